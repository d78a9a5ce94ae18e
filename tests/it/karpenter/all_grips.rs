//! The loop closed with all grips, on a committed pool that its owner leaves to consolidation: Brimful's own entry in the
//! budgets keeps what the plan pays for, and lets go of what it does not.
//!
//! Karpenter reads that entry's schedule by its own clock. So the calendar ends at the wall clock's time: days of
//! history, filling and holding lie before it, and the run that lets go is made at the time that it really is.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike as _, Duration, DurationRound as _, TimeZone as _, Utc};
use serde_json::{Value, json};

use super::closed_loop::{DAY, Loop, STEP, decided};
use super::{COMMITTED, SPOT, committed, told};
use crate::support::calendar::wall_clock;
use crate::support::kind::NODE_POOL;
use crate::support::run::{entry, text};

const CONFIG: &str = "{cluster: {name: prod}, share: 1, grips: [weight, disruption, limits]}";

/// The schedule of an entry that holds always.
const ALWAYS: &str = "0 0 * * *";
/// How long the calendar is: the loop's ten days of history, a day and a half of steps, the days until the excess is
/// believed (two), and those in which nobody runs Brimful.
const LENGTH: Duration = Duration::days(16);
/// Karpenter would have taken a node of a pool that nothing keeps: it did after 27 s.
const LONG: u64 = 40;

/// The loop, and where its report lies.
struct Grips {
    closed: Loop,
    bucket: &'static str,
}

impl Grips {
    fn step(&mut self, hours: i32, pods: usize) -> Value {
        self.closed.pass_and_apply(hours, CONFIG, self.bucket, pods)
    }

    /// Bills the hours up to now, in which nobody runs Brimful; then the report comes.
    fn catch_up(&mut self) -> DateTime<Utc> {
        let now = wall_clock();
        let hours = (now - self.closed.time()).num_hours();
        self.closed.pass(i32::try_from(hours).expect("some days"));
        self.closed.deliver_at(now, self.bucket);
        now
    }

    fn apply(&self, now: DateTime<Utc>) -> Value {
        let run = self.closed.run_at(now, "apply", self.bucket);
        run.config(CONFIG).json(0)
    }

    fn counts(&self) -> (usize, usize) {
        (self.closed.count(COMMITTED), self.closed.count(SPOT))
    }

    /// The committed pool goes on with just these nodes.
    #[track_caller]
    fn keeps(&self, nodes: &BTreeSet<String>) {
        let karpenter = &self.closed.karpenter;
        karpenter.stays("what should stay", LONG, |karpenter| {
            karpenter.nodes_of(COMMITTED) == *nodes
        });
    }

    fn pool(&self) -> Value {
        let server = &self.closed.karpenter.server;
        server.get(&NODE_POOL, COMMITTED).expect("the pool")
    }

    /// The schedule of Brimful's entry beside Karpenter's default.
    #[track_caller]
    fn schedule(&self) -> String {
        let budgets = self.pool()["spec"]["disruption"]["budgets"].clone();
        let schedule = text(&budgets[1]["schedule"]);
        let own =
            json!({"nodes": "0", "reasons": ["Underutilized"], "schedule": schedule, "duration": "8736h"});
        assert_eq!(budgets, json!([{"nodes": "10%"}, own]));
        schedule.to_owned()
    }

    /// The pool stands above Spot, with this limit; its entry holds always where it lacks a node, and lets go where it is
    /// full.
    #[track_caller]
    fn stands_at(&self, cpu: &str, is_full: bool) {
        let spec = &self.pool()["spec"];
        assert!(spec["weight"].as_i64() > Some(10), "{spec:#}");
        assert_eq!(spec["limits"], json!({ "cpu": cpu }));
        assert_eq!(self.schedule() != ALWAYS, is_full);
    }

    /// When the entry, open at `time`, holds again.
    #[track_caller]
    fn closes(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        let schedule = self.schedule();
        let numbers: Vec<u32> = schedule.split(' ').filter_map(|word| word.parse().ok()).collect();
        let &[minute, hour, day, month] = numbers.as_slice() else {
            panic!("no minute of a year: {schedule}");
        };
        let due = |year| Utc.with_ymd_and_hms(year, month, day, hour, minute, 0).single();
        let years = [time.year(), time.year() + 1];
        let next = years.into_iter().filter_map(due).find(|due| *due > time);
        let next = next.expect("a day of this year or the next");
        assert!(next - time <= Duration::minutes(20), "{schedule} at {time}");
        next
    }
}

#[test]
fn a_pool_that_nobody_else_protects_is_filled_kept_drained_and_given_back() {
    // Budgets that a manifest declares are its author's.
    let open = json!({"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s"});
    let hour = wall_clock().duration_trunc(Duration::hours(1)).expect("an hour");
    let bucket = "all-grips";
    let mut grips = Grips {
        closed: Loop::since(hour - LENGTH, &committed().disruption(open), bucket),
        bucket,
    };
    let karpenter = &grips.closed.karpenter;
    karpenter.patch_pool(COMMITTED, &json!({"weight": 5, "limits": {"cpu": "100"}}));
    let users = grips.pool()["spec"].clone();
    assert_eq!(grips.counts(), (4, 0));

    // Fill: the weight goes above Spot, and the limits to what the plan pays for.
    assert_eq!(decided(&grips.step(STEP, 4)).0, "fill");
    grips.stands_at("20", false);
    assert_eq!(decided(&grips.step(STEP, 8)).0, "fill");
    assert_eq!(grips.counts(), (8, 0));

    // Full: what comes now goes to Spot. The pool may be packed, but here every pod fills a node: nothing that is covered
    // goes.
    assert_eq!(decided(&grips.step(STEP, 10)).0, "hold");
    assert_eq!(decided(&grips.step(STEP, 14)).0, "hold");
    assert_eq!(grips.counts(), (10, 4));
    let covered = grips.closed.covered();
    assert_eq!(decided(&grips.step(DAY, 14)).0, "hold");
    grips.stands_at("20", true);
    grips.keeps(&covered);

    // The workload shrinks and grows again: what left room in the plan comes back to it.
    for (pods, counts) in [(9, (9, 0)), (12, (10, 2)), (14, (10, 4))] {
        let (decision, ..) = decided(&grips.step(STEP, pods));
        assert!(
            ["fill", "hold"].contains(&decision.as_str()),
            "{decision} at {pods} pods"
        );
        grips.stands_at("20", true); // empty nodes are still there
        let karpenter = &grips.closed.karpenter;
        karpenter.wait("empty nodes to go", 120, |karpenter| {
            (karpenter.counts().values().sum::<usize>() == pods).then_some(())
        });
        assert_eq!(grips.counts(), counts, "{}", grips.closed.karpenter.state());
    }

    // Another cluster takes more of the plan, which is believed once the report has told it for some days.
    grips.closed.others += 2;
    let covered = grips.closed.covered();
    let mut decision = decided(&grips.step(DAY, 14)).0;
    while decision == "hold" {
        grips.stands_at("20", true);
        assert!(grips.closed.time() + Duration::days(1) < hour, "no drain");
        decision = decided(&grips.step(DAY, 14)).0;
    }
    assert_eq!(decision, "drain");
    // It lets go for minutes that are long over by Karpenter's clock: a pool that Brimful has left keeps what it has.
    let over = grips.closes(grips.closed.time());
    assert!(over < hour, "{over}");
    assert_eq!(grips.pool()["spec"]["limits"], json!({"cpu": "12"}));
    grips.keeps(&covered);

    // The next run is at the time that it really is. What is beyond the target goes to Spot, and no more.
    let now = grips.catch_up();
    assert_eq!(decided(&grips.apply(now)).0, "drain");
    let closes = grips.closes(now);
    let karpenter = &grips.closed.karpenter;
    let (kept, seconds) = karpenter.wait("the pool to drain", 240, |karpenter| {
        let left = karpenter.nodes_of(COMMITTED);
        (left.len() <= 6).then_some(left)
    });
    told("all grips: drained from 10 nodes to its target of 6", seconds);
    assert!(kept.is_subset(&covered), "{}", karpenter.state());
    grips.keeps(&kept);
    assert_eq!(grips.counts(), (6, 8), "{}", karpenter.state());
    let open = wall_clock();
    assert!(open < closes, "it was the limits that kept them");

    // The entry holds again by itself.
    assert_eq!(grips.closes(open), closes);
    for (now, holds) in [(closes - Duration::seconds(1), false), (closes, true)] {
        let plan = grips.closed.run_at(now, "plan", bucket).config(CONFIG).json(0);
        let pool = entry(&plan["nodePools"], "name", COMMITTED);
        assert_eq!(
            pool["protection"],
            json!({"current": holds, "proposed": holds}),
            "{now}"
        );
    }
    // A full pool may be packed by Karpenter's clock, too, and above Spot none of its nodes is replaced by Spot.
    assert_eq!(decided(&grips.apply(wall_clock())).0, "hold");
    grips.stands_at("12", true);
    grips.keeps(&kept);
    // Once it lacks nodes, its entry holds always.
    let karpenter = &grips.closed.karpenter;
    karpenter.scale("web", 4);
    karpenter.wait("empty nodes to go", 180, |karpenter| {
        (karpenter.counts().values().sum::<usize>() == 4).then_some(())
    });
    assert_eq!(decided(&grips.apply(wall_clock())).0, "fill");
    assert_eq!(grips.schedule(), ALWAYS);

    // Nothing of Brimful's is left.
    grips.closed.in_cluster("reset").ends(0);
    let pool = grips.pool();
    assert_eq!(pool["spec"], users);
    let annotations = pool["metadata"]["annotations"].as_object().into_iter().flatten();
    let mut own = annotations.filter(|(name, _)| name.starts_with("brimful.dev/"));
    assert_eq!(own.next(), None);
}
