//! Webhooks are told what a run has done, once, and never hold it up for long.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::World;
use crate::support::kind::NODE_POOL;
use crate::support::receiver::{Answer, Receiver};
use crate::support::run::{Brimful, NOW, entry, text};

/// What stands in the address of a webhook and nowhere else.
const SECRET: &str = "T0000-hush-hush";

/// A configuration with one webhook.
fn hook(receiver: &Receiver, more: &str) -> String {
    let url = format!("{}/services/{SECRET}", receiver.endpoint());
    format!("notify:\n  webhooks:\n    - url: {url}\n{more}")
}

fn run(world: &World, config: &str, now: &str) -> Brimful {
    world.run_at("apply", now).config(config)
}

/// The one message that a receiver got, if it is of the contract's JSON.
#[track_caller]
fn message(receiver: &Receiver) -> Value {
    let posts = receiver.take();
    assert_eq!(posts.len(), 1, "{posts:#?}");
    assert_eq!(posts[0].method, "POST");
    assert_eq!(posts[0].content_type, "application/json");
    posts[0].json()
}

fn events(message: &Value) -> Vec<&str> {
    let events = message["events"].as_array().expect("events").iter();
    events.map(|event| text(&event["event"])).collect()
}

#[test]
fn a_change_is_told_by_the_run_that_made_it_and_a_contest_once() {
    let world = World::new();
    let receiver = Receiver::start();
    let config = hook(&receiver, "");
    let done = run(&world, &config, NOW).json(0);
    let told = message(&receiver);
    assert_eq!(
        (&told["schema"], &told["time"], &told["cluster"], &told["more"]),
        (
            &json!("brimful/notification/v1"),
            &json!(NOW),
            &json!("prod"),
            &json!(0)
        )
    );
    assert_eq!(events(&told), ["change", "change", "planEnding"]);
    let ending = entry(&told["events"], "event", "planEnding");
    assert_eq!(ending["ends"], "2026-11-21T21:00:00Z");
    assert!(text(&ending["text"]).contains(" ends in 3 h, "), "{ending}");
    let change = entry(&told["events"], "nodePool", "memory-committed");
    let pool = entry(&done["nodePools"], "name", "memory-committed");
    assert_eq!(
        (&change["decision"], &change["change"], &change["reason"]),
        (&json!("fill"), &json!("weight 10 → 60"), &pool["reason"])
    );
    assert!(text(&change["text"]).starts_with("memory-committed: weight 10 → 60 (fill). "));

    run(&world, &config, "2026-11-21T18:10:00Z").json(0);
    assert!(receiver.take().is_empty(), "nothing new, nothing told");

    let other = json!({"spec": {"weight": 33}});
    world.server.patch(&NODE_POOL, "memory-committed", &other);
    run(&world, &config, "2026-11-21T18:20:00Z").json(0);
    let told = message(&receiver);
    assert_eq!(events(&told), ["contest"]);
    assert_eq!(told["events"][0]["nodePool"], "memory-committed");
    assert!(text(&told["events"][0]["reason"]).contains("set the weight to 33 after Brimful had set 60"));
    run(&world, &config, "2026-11-21T18:30:00Z").json(0);
    assert!(receiver.take().is_empty(), "told once, not every ten minutes");
}

#[test]
fn what_could_not_be_told_is_told_by_the_next_run_and_after_a_week_comes_the_summary() {
    let world = World::new();
    let receiver = Receiver::answering(Answer::Status(503));
    let config = hook(
        &receiver,
        "      format: slack\n      events: [freeze, summary]\n",
    );
    run(&world, &config, NOW).json(0);
    assert!(receiver.take().is_empty(), "changes are not wanted");

    // From 72 h on the report is too old for any decision.
    let failed = run(&world, &config, "2026-11-26T18:00:00Z").json(5);
    let tries = receiver.take();
    assert_eq!(tries.len(), 3, "a server that is out of order is tried again");
    assert_eq!(tries[0].path, format!("/services/{SECRET}"));
    let warning = entry(&failed["warnings"], "code", "notify-failed");
    assert_eq!(
        warning["message"],
        "notify.webhooks[0] was not told: it answers 503 Service Unavailable"
    );
    receiver.answer(Answer::Status(200));
    run(&world, &config, "2026-11-26T18:10:00Z").json(5);
    let told = message(&receiver);
    let said = text(&told["text"]);
    assert!(
        said.starts_with("*Brimful, prod*\n• Nothing is decided for "),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "one reason, one line: {said}");
    run(&world, &config, "2026-11-26T18:20:00Z").json(5);
    assert!(receiver.take().is_empty(), "a freeze is told once");

    run(&world, &config, "2026-11-28T18:00:00Z").json(5);
    let told = message(&receiver);
    let said = text(&told["text"]);
    assert!(
        said.contains("• 2026-11-19T18:00:00Z to 2026-11-26T18:00:00Z: 2 changes"),
        "{said}"
    );
    assert!(said.contains("% of the commitments was used"), "{said}");
    run(&world, &config, "2026-11-28T18:10:00Z").json(5);
    assert!(receiver.take().is_empty(), "once a week");
}

#[test]
fn a_webhook_that_fails_in_whatever_way_fails_no_run_and_its_address_is_in_no_message() {
    let world = World::new();
    let pool = "memory-committed";
    for (answer, tries, why) in [
        (Answer::Silence, 1..=4, "no answer within 10 s"),
        (Answer::Status(500), 3..=3, "500 Internal Server Error"),
        (Answer::Status(429), 3..=3, "429 Too Many Requests"),
        (
            Answer::Status(404),
            1..=1,
            "the address is wrong, or no longer valid",
        ),
        (Answer::Redirect, 1..=1, "redirects are not followed"),
    ] {
        let receiver = Receiver::answering(answer);
        // Something to tell each time.
        world.reset().ends(0);
        let began = Instant::now();
        let ended = run(&world, &hook(&receiver, ""), NOW)
            .args(["-o", "json", "-vv"])
            .ends(0);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{answer:?}: {took:?}");
        assert_eq!(world.weight(pool), Some(60), "{answer:?}: patched all the same");
        let said = ended.json();
        let warning = entry(&said["warnings"], "code", "notify-failed");
        assert!(text(&warning["message"]).contains(why), "{answer:?}: {warning}");
        let count = receiver.take().len();
        assert!(tries.contains(&count), "{answer:?}: {count} tries");
        for said in [&ended.stdout, &ended.stderr] {
            assert!(!said.contains(SECRET), "{answer:?}: {said}");
        }
    }
}

#[test]
fn the_address_may_come_from_a_file_and_one_that_is_gone_is_told_by_its_name() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("slack");
    let receiver = Receiver::start();
    let config = format!("notify:\n  webhooks:\n    - urlFile: {}\n", file.display());
    let warned =
        |done: &Value| text(&entry(&done["warnings"], "code", "notify-failed")["message"]).to_owned();

    let done = run(&world, &config, NOW).json(0);
    assert!(warned(&done).contains("cannot read urlFile"), "{}", warned(&done));
    world.reset().ends(0);
    std::fs::write(&file, SECRET).expect("a file");
    let done = run(&world, &config, NOW).json(0);
    assert!(warned(&done).contains("holds no address"), "{}", warned(&done));
    assert!(!done.to_string().contains(SECRET));
    world.reset().ends(0);
    std::fs::write(&file, format!("{}/{SECRET}\n", receiver.endpoint())).expect("a file");
    run(&world, &config, NOW).json(0);
    assert_eq!(events(&message(&receiver)), ["change", "change", "planEnding"]);
}

#[test]
fn nothing_is_told_of_a_dry_run() {
    let world = World::new();
    let receiver = Receiver::start();
    run(&world, &hook(&receiver, ""), NOW)
        .args(["--dry-run", "server"])
        .json(0);
    assert!(receiver.take().is_empty());
}
