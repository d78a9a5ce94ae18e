use super::*;
use crate::annotations::{BASELINE, DECISION};
use crate::state::MAX_BYTES;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::minutes(minute)
}

fn entry(pool: &str, minute: i64, to: i32) -> Entry {
    let pool = NodePool::test(pool).weight(10);
    Entry::of_reset(&pool, Some(to), &Limits::new(), at(minute), Fate::Patched, "")
}

fn refused(pool: &str, minute: i64, to: i32) -> Entry {
    Entry {
        result: Fate::Refused,
        message: Some(format!("no, said at {minute}")),
        ..entry(pool, minute, to)
    }
}

fn times(history: &History) -> Vec<i64> {
    let entries = history.entries().iter();
    entries
        .map(|entry| (entry.time - DateTime::UNIX_EPOCH).num_minutes())
        .collect()
}

#[test]
fn the_oldest_entries_go_when_there_are_too_many_or_they_are_too_long() {
    let mut history = History::default();
    for minute in 0..400 {
        history.note(entry("a", minute, 60));
    }
    let kept = history.clone().bounded(MAX_BYTES);
    assert_eq!(times(&kept), (100..400).collect::<Vec<_>>());
    let small = history.clone().bounded(2000);
    let text = small.to_text();
    assert!(text.len() <= 2000, "{}", text.len());
    let one_more = 400 - i64::try_from(small.entries().len()).unwrap() - 1;
    let length = serde_json::to_string(&entry("a", one_more, 60)).unwrap().len();
    assert!(text.len() + length + 2 > 2000, "no more would have fitted");
    assert_eq!(times(&small).last(), Some(&399));
    assert!(history.bounded(10).is_empty());
}

#[test]
fn long_reasons_are_cut_at_a_whole_character() {
    let pool = NodePool::test("a");
    let long = "→".repeat(5000);
    let entry = Entry::of_reset(&pool, None, &Limits::new(), at(0), Fate::Refused, &long);
    assert_eq!(entry.reason.chars().count(), MAX_CHARS + 1);
}

#[test]
fn what_is_refused_again_and_again_is_one_entry() {
    let mut history = History::default();
    for minute in [0, 10, 20] {
        history.note(refused("a", minute, 60));
        history.note(refused("b", minute, 60));
    }
    history.note(refused("a", 30, 70));
    history.note(entry("a", 40, 70));
    history.note(entry("a", 50, 70));
    assert_eq!(times(&history), [0, 0, 30, 40, 50]);
    let first = &history.entries()[0];
    assert_eq!((first.tries, first.last_tried), (Some(3), Some(at(20))));
    assert_eq!(first.message.as_deref(), Some("no, said at 20"));
}

#[test]
fn it_reads_back_what_it_wrote_and_nothing_else() {
    let mut history = History::default();
    history.note(entry("a", 0, 60));
    assert_eq!(History::parse(&history.to_text()), Ok(history));
    for text in ["", "{", "[]", r#"{"schema":"brimful/history/v9","entries":[]}"#] {
        assert!(History::parse(text).is_err(), "{text}");
    }
}

/// A pool as a run leaves it that changed its weight from 10 to 60 in that minute.
fn changed(minute: i64) -> NodePool {
    let time = at(minute).to_rfc3339();
    let decision = format!(
        r#"{{"decision":"fill","reason":"room","time":"{time}","values":{{"weight":60}},
            "demand":1.5,"low":1.4,"high":1.6,"commitment":2,"headroom":0.5,"threshold":0.06}}"#
    );
    NodePool::test("a")
        .weight(60)
        .annotation(BASELINE, r#"{"weight":10,"limits":null}"#)
        .annotation(DECISION, &decision)
}

#[test]
fn a_change_that_a_killed_run_could_not_write_down_is_caught_up_with_once() {
    let mut history = History::default();
    history.note(entry("b", 30, 5));
    for _ in 0..2 {
        history.catch_up([changed(20), NodePool::test("c")].iter());
        assert_eq!(times(&history), [20, 30], "in its place by time");
    }
    let caught = &history.entries()[0];
    assert_eq!(
        caught.weight,
        Some(Change {
            from: Some(10),
            to: Some(60)
        })
    );
    assert_eq!(
        (caught.decision, caught.demand),
        (Some(Decision::Fill), Money::from_dollars(1.5))
    );
    assert_eq!(caught.limits, None);
}

#[test]
fn a_change_lasts_until_the_next_one_of_its_pool_that_was_made() {
    let mut history = History::default();
    history.note(entry("a", 0, 60));
    history.note(entry("b", 10, 60));
    history.note(refused("a", 20, 5));
    history.note(entry("a", 30, 5));
    assert_eq!(history.until(), [Some(at(30)), None, None, None]);
}
