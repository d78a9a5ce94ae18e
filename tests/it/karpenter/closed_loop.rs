//! The loop closed: a workload on a running Karpenter, a biller that writes the report with a day's lag, and Brimful
//! in between. A step of a few seconds stands for two hours.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::launches::pod;
use super::{COMMITTED, SPOT, committed, spot, told};
use crate::cluster::world::install;
use crate::support::biller::{Biller, Machine};
use crate::support::calendar::Calendar;
use crate::support::cur::{Bucket, at};
use crate::support::karpenter::{Karpenter, Pool, prices};
use crate::support::run::{Brimful, entry, text};
use crate::support::s3::S3;

/// Ten days of history come before the loop; hours count from the calendar's origin.
const START: i32 = 240;
/// Hours in a step, and in a long one.
pub(super) const STEP: i32 = 2;
pub(super) const DAY: i32 = 24;
/// The report's newest hour began so long ago; an hour must then be a day old to count (`cur.maturity`).
const LAG: i32 = 5;

/// Ten `m5.large` at $0.070/h beside what another cluster uses.
const COMMITMENT: f64 = 0.56 + 10.0 * 0.07;

pub(super) struct Loop {
    pub(super) karpenter: Karpenter,
    calendar: Calendar,
    biller: Biller,
    /// `m5.xlarge` of another cluster that uses the same plan.
    pub(super) others: u32,
    hour: i32,
    applies: u32,
}

impl Loop {
    /// A cluster that has used four committed nodes all the time.
    pub(super) fn new(bucket: &str) -> Self {
        Self::with(&committed(), bucket)
    }

    /// The same with another committed pool.
    pub(super) fn with(committed: &Pool, bucket: &str) -> Self {
        Self::since(at(0), committed, bucket)
    }

    /// The same in a calendar that begins at `origin`, a full hour.
    pub(super) fn since(origin: DateTime<Utc>, committed: &Pool, bucket: &str) -> Self {
        let karpenter = Karpenter::start();
        install(&karpenter.server);
        let managed = committed.clone().weight(20);
        karpenter.pool(&managed.label("brimful.dev/managed", "true"));
        karpenter.pool(&spot().weight(10));
        karpenter.pool(&Pool::new("overflow", &["on-demand"], &["m5.large"]));
        karpenter.run("web", pod());
        karpenter.scale("web", 4);
        karpenter.settle();
        let token = karpenter.server.service_account_token("brimful", "brimful");
        let calendar = Calendar::new(karpenter.server.client_for_token(&token), origin);
        S3::shared().create_bucket(bucket);
        let mut closed = Self {
            karpenter,
            calendar,
            biller: Biller::new(COMMITMENT, prices(), origin),
            others: 4,
            hour: 0,
            applies: 0,
        };
        closed.pass(START);
        closed
    }

    /// What time it is.
    pub(super) fn time(&self) -> DateTime<Utc> {
        self.biller.time(self.hour)
    }

    /// Bills so many hours of what runs now.
    pub(super) fn pass(&mut self, hours: i32) {
        let machine = |instance_type: &str, spot: bool, cluster: &str, pool: &str| Machine {
            instance_type: instance_type.to_owned(),
            spot,
            cluster: cluster.to_owned(),
            node_pool: pool.to_owned(),
        };
        let nodes = self.karpenter.nodes().into_iter();
        let own = nodes.map(|node| (machine(&node.instance_type, node.spot, "prod", &node.pool), 1.0));
        let others = (machine("m5.xlarge", false, "staging", ""), f64::from(self.others));
        let running: Vec<(Machine, f64)> = own.chain([others]).collect();
        for _ in 0..hours {
            self.biller.bill(self.hour, running.clone());
            self.hour += 1;
        }
    }

    /// Two hours in which the workload has so many pods; then the report comes, and Brimful runs.
    fn step(&mut self, bucket: &str, pods: usize) -> Value {
        self.step_of(STEP, bucket, pods)
    }

    /// The same by another configuration.
    pub(super) fn step_by(&mut self, config: &str, bucket: &str, pods: usize) -> Value {
        self.pass_and_apply(STEP, config, bucket, pods)
    }

    fn step_of(&mut self, hours: i32, bucket: &str, pods: usize) -> Value {
        let config = "{cluster: {name: prod}, share: 1, limits: {manage: true}}";
        self.pass_and_apply(hours, config, bucket, pods)
    }

    /// The same of so many hours.
    pub(super) fn pass_and_apply(&mut self, hours: i32, config: &str, bucket: &str, pods: usize) -> Value {
        self.calendar.turn_to(self.time());
        self.karpenter.scale("web", pods);
        self.karpenter.settle();
        self.pass(hours);
        self.deliver(bucket);
        self.applies += 1;
        self.run("apply", bucket).config(config).json(0)
    }

    /// Writes the report as it is by now.
    pub(super) fn deliver(&self, bucket: &str) {
        self.deliver_at(self.time(), bucket);
    }

    /// The same where it is `now`, within the hour.
    pub(super) fn deliver_at(&self, now: DateTime<Utc>, bucket: &str) {
        self.calendar.turn_to(now);
        let report = Bucket::by_month(self.biller.rows(self.hour - LAG, now));
        report.write_status("READY");
        S3::shared().put_dir(report.path(), bucket, "");
    }

    /// A command with the report, by the calendar's clock, as Brimful's `ServiceAccount`.
    pub(super) fn run(&self, command: &str, bucket: &str) -> Brimful {
        self.run_at(self.time(), command, bucket)
    }

    /// The same where it is `now`.
    pub(super) fn run_at(&self, now: DateTime<Utc>, command: &str, bucket: &str) -> Brimful {
        self.in_cluster(command)
            .envs(S3::shared().env())
            .arg("--cur")
            .arg(format!("s3://{bucket}"))
            .args(["--now", &brimful_types::hour::rfc3339(now)])
    }

    /// A command without report and clock, as Brimful's `ServiceAccount`.
    pub(super) fn in_cluster(&self, command: &str) -> Brimful {
        let kubeconfig = self.calendar.kubeconfig(&self.karpenter.folder());
        Brimful::new(command).arg("--kubeconfig").arg(kubeconfig)
    }

    /// Days without a change of the workload, until the decision is `wanted`; how many it took.
    fn days_until(&mut self, bucket: &str, pods: usize, wanted: &str, most: u32) -> u32 {
        let mut done = Value::Null;
        for days in 1..=most {
            done = self.step_of(DAY, bucket, pods);
            if decided(&done).0 == wanted {
                return days;
            }
        }
        panic!(
            "no {wanted} in {most} days\n{:#}\n{}",
            done["nodePools"],
            self.karpenter.state()
        );
    }

    pub(super) fn covered(&self) -> BTreeSet<String> {
        self.karpenter.nodes_of(COMMITTED)
    }

    pub(super) fn count(&self, pool: &str) -> usize {
        self.karpenter.nodes_of(pool).len()
    }
}

/// Decision, limit of vCPU and weight of the committed pool.
pub(super) fn decided(done: &Value) -> (String, String, i64) {
    let pool = entry(&done["nodePools"], "name", COMMITTED);
    let cpu = pool["limits"]["proposed"]["cpu"].as_str().unwrap_or("none");
    let weight = pool["weight"]["proposed"].as_i64().unwrap_or(0);
    (text(&pool["decision"]).to_owned(), cpu.to_owned(), weight)
}

fn is(decision: &str, cpu: &str, weight: i64) -> (String, String, i64) {
    (decision.to_owned(), cpu.to_owned(), weight)
}

/// How often the whole is run, each time with another walk of the workload: once, or as `make e2e-long` says.
#[allow(
    clippy::disallowed_methods,
    reason = "the variable is the test's, not the program's"
)]
fn rounds() -> u32 {
    let asked = std::env::var("BRIMFUL_E2E_ROUNDS").ok();
    asked.map_or(1, |rounds| {
        rounds.parse().expect("BRIMFUL_E2E_ROUNDS is a number")
    })
}

/// Sizes of the workload, down and up, by a round's number.
fn walk(round: u32) -> Vec<usize> {
    let mut seed = round;
    let mut pick = |from: usize, to: usize| {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        from + (seed >> 16) as usize % (to - from + 1)
    };
    vec![pick(5, 9), pick(10, 16), pick(5, 9)]
}

#[test]
fn a_plan_is_filled_held_and_drained_while_the_workload_moves() {
    for round in 0..rounds() {
        run(round);
    }
}

fn run(round: u32) {
    let bucket = &format!("closed-loop-{round}");
    let mut closed = Loop::new(bucket);
    assert_eq!(closed.count(COMMITTED), 4);

    // Fill: room for six more nodes, and the next ones land there.
    assert_eq!(decided(&closed.step(bucket, 4)), is("fill", "20", 20));
    assert_eq!(decided(&closed.step(bucket, 8)), is("fill", "20", 20));
    assert_eq!((closed.count(COMMITTED), closed.count(SPOT)), (8, 0));

    // Full: of six more two still fit, the others spill to Spot.
    assert_eq!(decided(&closed.step(bucket, 14)), is("hold", "20", 20));
    assert_eq!((closed.count(COMMITTED), closed.count(SPOT)), (10, 4));

    // Hold: the report catches up, and no covered node is lost.
    let covered = closed.covered();
    for _ in 0..15 {
        assert_eq!(decided(&closed.step(bucket, 14)), is("hold", "20", 20));
        assert_eq!(closed.covered(), covered);
    }
    closed.karpenter.stays("the covered nodes stay", 45, |karpenter| {
        karpenter.nodes_of(COMMITTED) == covered
    });
    let full = closed.biller.used(closed.hour - 1) / COMMITMENT;
    told(
        &format!("closed loop: utilization while held {:.1} %", full * 100.0),
        0,
    );
    assert!(
        closed.biller.spilled(closed.hour - 1) < 0.001,
        "nothing is paid beyond the plan"
    );

    // The workload shrinks and grows again: what left room in the plan comes back to it before Spot gets anything.
    let mut pods = 14;
    for next in walk(round) {
        let spot = closed.count(SPOT);
        let (decision, _, weight) = decided(&closed.step(bucket, next));
        assert!(
            decision != "drain" && decision != "freeze" && weight == 20,
            "{decision} at {next} pods"
        );
        if next < pods {
            closed.karpenter.wait("empty nodes to go", 120, |karpenter| {
                (karpenter.counts().values().sum::<usize>() == next).then_some(())
            });
        }
        let committed = closed.count(COMMITTED);
        assert!(committed <= 10, "{}", closed.karpenter.state());
        assert!(
            committed == 10 || closed.count(SPOT) <= spot,
            "{}",
            closed.karpenter.state()
        );
        pods = next;
    }
    closed.step(bucket, 14);
    assert_eq!(closed.count(COMMITTED), 10, "{}", closed.karpenter.state());

    // Drain: another cluster takes more of the plan, which the report tells a day later. Once its use a week ago no
    // longer speaks against it, Brimful believes that it will last.
    closed.others += 2;
    let late = closed.days_until(bucket, 14, "drain", 10);
    told(
        &format!("closed loop: drain decided {late} days after the other cluster grew"),
        0,
    );
    let ((), seconds) = closed.karpenter.wait("the pool to drain", 240, |karpenter| {
        (karpenter.nodes_of(COMMITTED).len() <= 7).then_some(())
    });
    told("closed loop: drained from 10 nodes to its target of 6", seconds);
    closed.karpenter.stays("it drains no further", 60, |karpenter| {
        (5..=7).contains(&karpenter.nodes_of(COMMITTED).len())
    });

    // Spot runs out: no pod waits that the overflow pool could take.
    closed.karpenter.restart(false);
    let before = closed.count("overflow");
    closed.step(bucket, 16);
    assert!(closed.count("overflow") > before, "{}", closed.karpenter.state());
    told(&format!("closed loop: {} applies", closed.applies), 0);
    assert!(closed.applies <= 40);
}
