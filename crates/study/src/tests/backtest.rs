//! A report that the simulator has written is read back as what it was written from, and replayed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;

use super::scenario::Scenario;
use brimful_policy::identity::Identity;
use brimful_policy::settings::Settings;
use brimful_savings_plans::ledger::Ledger;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::{Check, Terms, Utilization};
use brimful_simulation::backtest::history::History;
use brimful_simulation::backtest::steerable::{Own, turnover};
use brimful_simulation::backtest::thresholds::{Candidate, candidates, verdict};
use brimful_simulation::backtest::{Backtest, trace};
use brimful_simulation::billing::Bill;
use brimful_simulation::closed_loop::Run;
use brimful_simulation::cluster::Cluster;
use brimful_simulation::policies::Kind;
use brimful_simulation::report::{self, Report};
use brimful_simulation::trace::{STEPS_PER_HOUR, Trace, WARM_UP, cluster_name};
use brimful_types::ErrorKind;
use brimful_types::hour::Hour;

/// A month of a cluster that is left alone, and its report.
fn month(scenario: Scenario) -> (Trace, report::History, Report) {
    let trace = scenario.trace(1);
    let mut cluster = Cluster::new(&cluster_name(0), false, trace.clusters[0].nodes[0]).unwrap();
    let mut history = report::History::default();
    for step in 0..WARM_UP {
        cluster.step(&trace.clusters[0], step, true);
        history.note(step, std::slice::from_ref(&cluster));
    }
    let report = reported(&trace, &history);
    (trace, history, report)
}

/// What the newest report tells of it.
fn reported(trace: &Trace, history: &report::History) -> Report {
    let delivery = *trace.deliveries.iter().rfind(|one| one.step < WARM_UP).unwrap();
    Report::new(trace, history, delivery, &Settings::default())
}

fn identity(name: Option<&str>) -> Identity {
    Identity {
        cluster: name.map(str::to_owned),
        ..Identity::default()
    }
}

fn read(report: &Report) -> History {
    let own = identity(Some("cluster-0"));
    History::of(&report.ledger, &report.utilization, &own, &BTreeSet::new()).unwrap()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

#[test]
fn a_report_is_read_back_as_what_it_was_written_from() {
    let (trace, run, report) = month(Scenario::PlanExpiry);
    let history = read(&report);
    assert_eq!(history.own, Own::Tags);
    assert_eq!(history.groups, BTreeSet::from([GroupId::Compute]));
    assert_eq!((history.gaps, history.assumed_prices), (0, false));
    assert!(close(history.node_vcpu, 4.0, 1e-9));
    assert!(close(history.savings_plan, 0.140, 1e-9) && close(history.on_demand, 0.192, 1e-9));
    let begin = Hour::of(brimful_simulation::trace::time_of(0)).index();
    let first = usize::try_from(history.first.index() - begin).unwrap();
    for (index, past) in history.hours.iter().enumerate() {
        let hour = first + index;
        assert!(close(past.others, trace.others[hour], 1e-6), "hour {hour}");
        assert!(
            close(past.nodes, run.0[hour].0[0].iter().sum(), 1e-6),
            "hour {hour}"
        );
        assert!(
            close(past.spot_price, trace.spot_price[hour], 1e-6),
            "hour {hour}"
        );
    }
    // The plan of day 20 is not bought yet; the one that ends on day 12 still stands.
    let commitments: Vec<f64> = history.plans.iter().map(|plan| plan.commitment).collect();
    assert_eq!(commitments, [9.0, 5.0]);
    assert!(
        history
            .plans
            .iter()
            .all(|plan| plan.covers(0) && plan.covers(history.hours.len()))
    );
}

#[test]
fn a_trace_follows_the_history_hour_by_hour() {
    let (_, _, report) = month(Scenario::Diurnal);
    let history = read(&report);
    let trace = trace::trace(&history, 2, 3);
    assert_eq!((trace.steps, trace.warm_up), (5 * 144, 2 * 144));
    for hour in 1..119 {
        assert!(close(trace.others[hour], history.hours[hour].others, 1e-12));
        let steps = &trace.clusters[0].nodes[hour * STEPS_PER_HOUR..][..STEPS_PER_HOUR];
        let mean = steps.iter().sum::<usize>() as f64 / STEPS_PER_HOUR as f64;
        let neighbours = [hour - 1, hour, hour + 1].map(|hour| history.hours[hour].nodes);
        let (least, most) = neighbours
            .iter()
            .fold((f64::MAX, 0.0_f64), |(least, most), level| {
                (least.min(*level), most.max(*level))
            });
        assert!(
            (least - 0.5..=most + 0.5).contains(&mean),
            "hour {hour}: {mean} of {neighbours:?}"
        );
    }
}

#[test]
fn nobody_beats_foresight_and_the_number_of_threads_changes_nothing() {
    let (_, _, report) = month(Scenario::Diurnal);
    let mut history = read(&report);
    history.hours.truncate(4 * 24);
    let run = |threads| Backtest::run(&history, &Settings::default(), threads, &|_, _| ()).unwrap();
    let (one, two) = (run(1), run(2));
    assert_eq!((&one.played, &one.foresight), (&two.played, &two.foresight));
    assert_eq!((one.warm_up_days, one.days), (1, 3));
    let best = one.foresight.bill.cost;
    for run in one
        .played
        .iter()
        .map(|played| &played.run)
        .chain([&one.foresight])
    {
        let bill = run.bill;
        assert!(bill.cost >= best - 1e-9, "{bill:?}");
        assert!(bill.unused <= bill.commitment && close(bill.commitment, 14.0 * 72.0, 1e-6));
    }
    let of = |kind| one.played.iter().find(|played| played.kind == kind).unwrap();
    assert_eq!(of(Kind::LeaveAlone).run.effort.patches, 0);
    assert!(of(Kind::WEIGHTS).run.bill.cost < of(Kind::LeaveAlone).run.bill.cost);
    // The configured thresholds are tried first; this is what `plan` would do.
    assert_eq!(one.verdict.tried[0].bill, of(Kind::WEIGHTS).run.bill);
}

#[test]
fn without_tags_all_spot_instances_are_taken_and_it_is_told() {
    let (_, _, report) = month(Scenario::Steady);
    let unknown = identity(None);
    let history = History::of(&report.ledger, &report.utilization, &unknown, &BTreeSet::new()).unwrap();
    assert_eq!(history.own, Own::AllSpot);
    assert_eq!(history.hours, read(&report).hours);
}

#[test]
fn what_a_managed_committed_pool_ran_on_demand_can_be_steered_again() {
    let (trace, mut run, report) = month(Scenario::Steady);
    for hour in &mut run.0 {
        hour.0[0] = [10.0, 0.0, hour.0[0][2] - 10.0];
    }
    let steered = reported(&trace, &run);
    let own = identity(Some("cluster-0"));
    let pools = BTreeSet::from(["committed".to_owned()]);
    let of = |pools| History::of(&steered.ledger, &steered.utilization, &own, pools).unwrap();
    let (before, with, without) = (read(&report), of(&pools), of(&BTreeSet::new()));
    for ((before, with), without) in before.hours.iter().zip(&with.hours).zip(&without.hours) {
        assert!(close(before.nodes, with.nodes, 1e-6) && close(before.others, with.others, 1e-6));
        assert!(close(before.nodes - 10.0, without.nodes, 1e-6));
        assert!(close(before.others + 1.4, without.others, 1e-6));
    }
}

#[test]
fn a_report_without_plans_or_spot_or_days_is_refused() {
    let (_, _, report) = month(Scenario::Steady);
    let none = Ledger::default();
    let terms = Terms {
        sharing: &Sharing::Open,
        horizon: None,
        maturity: Duration::hours(24),
        check: Check::Reconciling,
    };
    let nothing = Utilization::of(&none, &terms);
    let own = identity(Some("cluster-0"));
    let error = |ledger: &Ledger, utilization: &Utilization| {
        let error = History::of(ledger, utilization, &own, &BTreeSet::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Report);
        error.to_string()
    };
    assert!(error(&none, &nothing).contains("no Savings Plan"));
    let mut without_spot = report.ledger.clone();
    let is_spot = |series: &brimful_savings_plans::ledger::Series| series.usage_type.contains("SpotUsage");
    let usage = without_spot.series.iter().zip(&mut without_spot.cells);
    usage
        .filter(|(series, _)| is_spot(series))
        .for_each(|(_, cells)| cells.clear());
    assert!(error(&without_spot, &report.utilization).contains("no Spot usage"));
    let mut short = read(&report);
    short.hours.truncate(3 * 24 + 23);
    let error = Backtest::run(&short, &Settings::default(), 1, &|_, _| ()).unwrap_err();
    assert!(error.to_string().contains("3 whole days"), "{error}");
}

#[test]
fn turnover_is_what_leaves_one_type_while_as_many_are_needed() {
    let hour = |index| Hour::from_index(index);
    let hours =
        |counts: &[f64]| -> BTreeMap<Hour, f64> { (0..).map(hour).zip(counts.iter().copied()).collect() };
    // Ten instances; two move from a to b, then the workload shrinks by four of b.
    let counts = BTreeMap::from([("a", hours(&[6.0, 4.0, 4.0])), ("b", hours(&[4.0, 6.0, 2.0]))]);
    assert_eq!(turnover(&counts), Some(2.0 / 20.0));
    assert_eq!(turnover(&BTreeMap::new()), None);
}

/// A run of two weeks with this cost a day in each.
fn costs(first: f64, second: f64) -> Run {
    let day = |cost| Bill {
        commitment: 100.0,
        cost,
        ..Bill::default()
    };
    let days: Vec<Bill> = [vec![day(first); 7], vec![day(second); 7]].concat();
    Run {
        bill: days.iter().sum(),
        days,
        ..Run::default()
    }
}

#[test]
fn thresholds_are_worth_a_change_only_if_every_week_says_so() {
    let candidate = |index: usize| -> Candidate { candidates(&Settings::default()).swap_remove(index) };
    let judge =
        |configured: Run, other: Run| verdict(vec![(candidate(0), &configured), (candidate(1), &other)]);
    let better = judge(costs(10.0, 10.0), costs(9.0, 9.0));
    assert_eq!(
        (better.best, better.stable, better.best_by_week),
        (1, true, vec![1, 1])
    );
    let lucky = judge(costs(10.0, 10.0), costs(7.0, 11.0));
    assert_eq!(
        (lucky.best, lucky.stable, lucky.best_by_week),
        (1, false, vec![1, 0])
    );
    let equal = judge(costs(10.0, 10.0), costs(9.8, 9.9)); // within a quarter of a percent of the commitment
    assert_eq!(
        (equal.best, equal.stable, equal.best_by_week),
        (0, true, vec![0, 0])
    );
}

#[test]
fn the_configured_thresholds_come_first_and_none_is_tried_twice() {
    let tried: Vec<String> = candidates(&Settings::default())
        .iter()
        .map(|one| format!("{:?} {}", one.thresholds(), one.lookahead()))
        .collect();
    let distinct: BTreeSet<&String> = tried.iter().collect();
    assert_eq!(distinct.len(), tried.len(), "{tried:?}");
    let configured = Settings::default().policy;
    assert_eq!(
        tried[0],
        format!("{:?} {}", configured.thresholds, configured.lookahead.0)
    );
}
