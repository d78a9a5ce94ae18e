//! Ctrl-C, and the SIGTERM at a Job's deadline.

use std::io::{BufRead, BufReader};
use std::process::Command;

use super::world::World;
use crate::support::run::{Derived, Ended};

#[test]
fn an_apply_that_is_stopped_changes_nothing_and_gives_the_state_back() {
    let world = World::new();
    // AWS is rewriting this report, so the run waits while it holds the state.
    world.deliver(Derived::report("status:UPDATING").path());
    let before = world.pools();
    let mut run = world.run("apply").spawn();
    let mut said = BufReader::new(run.stderr.take().expect("standard error"));
    let mut line = String::new();
    while !line.contains("reading the report again") {
        line.clear();
        assert!(
            said.read_line(&mut line).expect("text") > 0,
            "it ended before it was stopped"
        );
    }
    let holder = |world: &World| {
        world
            .state()
            .and_then(|state| state["metadata"].get("annotations").cloned())
    };
    assert!(holder(&world).is_some(), "it holds the state");
    let sent = Command::new("kill")
        .args(["-s", "TERM", &run.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    let ended = Ended::of(run);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_eq!(world.pools(), before);
    assert_eq!(holder(&world), None, "the next run need not wait");
}
