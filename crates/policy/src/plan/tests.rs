use std::collections::BTreeMap;

use chrono::Duration;

use super::*;
use crate::Decision;
use crate::annotations::{BASELINE, DECISION, MANAGED_LABEL};
use crate::arithmetic::Rule;
use crate::settings::OnMaxHold;
use crate::state::Memory;
use brimful_karpenter::NodeCapacity;
use brimful_savings_plans::ledger::{Granularity, PlanHour, PlanLedger, UsageKey};
use brimful_savings_plans::savings_plan::{Plan, PlanKind};
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::{Check, Terms};
use brimful_types::hour::Hour;

mod costs;
mod fleet;
mod groundwork;
mod limits;
mod peers;
mod protection;
mod recorded;
mod top_up;

const NOW: &str = "2026-11-21T18:00:00Z";
const HORIZON: &str = "2026-11-21T09:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn dollars(amount: f64) -> Money {
    Money::from_dollars(amount).unwrap()
}

/// A plan whose use is the same in every hour of November.
fn plan(name: &str, kind: PlanKind, commitment: f64, used: f64) -> PlanLedger {
    let is_ec2 = kind == PlanKind::Ec2Instance;
    let first = Hour::of(at("2026-11-01T00:00:00Z"));
    let hours = (0..720).map(|i| first.plus(i)).map(|hour| {
        let used = if hour.end() <= at(HORIZON) {
            dollars(used)
        } else {
            Money::ZERO
        };
        let amounts = PlanHour {
            commitment: Some(dollars(commitment)),
            used,
            covered: used,
            suspect: false,
            fee_rows: 1,
        };
        (hour, amounts)
    });
    PlanLedger {
        plan: Plan {
            arn: format!("arn:aws:savingsplans::111122223333:savingsplan/{name}"),
            kind,
            region: is_ec2.then(|| "us-east-2".to_owned()),
            family: is_ec2.then(|| "m5".to_owned()),
            owner: Some("111122223333".to_owned()),
            payment_option: None,
            start: Some(at("2026-01-01T00:00:00Z")),
            end: Some(at("2027-01-01T00:00:00Z")),
            currency: Some("USD".to_owned()),
            stopped: None,
            returned: None,
            unclear: Vec::new(),
            listed: None,
            shared: true,
        },
        hours: hours.collect(),
    }
}

fn key(usage_type: &str) -> UsageKey {
    UsageKey {
        usage_type: usage_type.into(),
        operation: "RunInstances".into(),
    }
}

fn ledger(plans: Vec<PlanLedger>) -> Ledger {
    let rates = (0..plans.len()).map(|plan| ((plan, key("USE2-BoxUsage:m5.large")), dollars(0.06)));
    Ledger {
        rates: rates.collect(),
        plans,
        newest_by_region: BTreeMap::from([("us-east-2".to_owned(), at(HORIZON))]),
        newest_usage: Some(at(HORIZON)),
        granularity: Some(Granularity::Hourly),
        ..Ledger::default()
    }
}

fn committed() -> NodePool {
    NodePool::test("committed")
        .committed()
        .families(&["m5"])
        .weight(10)
        .managed()
        .protected()
}

fn spot() -> NodePool {
    NodePool::test("spot").spot().weight(50)
}

struct Scene {
    now: DateTime<Utc>,
    config: Settings,
    ledger: Ledger,
    pools: Vec<NodePool>,
    nodes: Option<Vec<Node>>,
    claims: Option<Vec<NodeClaim>>,
    pods: Option<Pods>,
    peers: Peers,
    state: State,
}

impl Scene {
    fn new(plans: Vec<PlanLedger>) -> Self {
        Self {
            now: at(NOW),
            config: Settings::default(),
            ledger: ledger(plans),
            pools: vec![committed(), spot()],
            nodes: None,
            claims: Some(Vec::new()),
            pods: None,
            peers: Peers::default(),
            state: State::default(),
        }
    }

    fn compute(commitment: f64, used: f64) -> Self {
        Self::new(vec![plan("c", PlanKind::Compute, commitment, used)])
    }

    fn utilization(&self) -> Utilization {
        let terms = Terms {
            sharing: &Sharing::Open,
            horizon: self.ledger.horizon(self.now),
            maturity: Duration::hours(24),
            check: Check::Reconciling,
        };
        Utilization::of(&self.ledger, &terms)
    }

    fn inputs<'a>(&'a self, utilization: &'a Utilization) -> Inputs<'a> {
        Inputs {
            now: self.now,
            config: &self.config,
            ledger: &self.ledger,
            utilization,
            sharing: &Sharing::Open,
            node_pools: &self.pools,
            nodes: self.nodes.as_deref(),
            node_claims: self.claims.as_deref(),
            pods: self.pods.as_ref(),
            peers: &self.peers,
            state: &self.state,
            doubt: None,
        }
    }

    fn run(&self) -> Proposal {
        propose(&self.inputs(&self.utilization()))
    }
}

fn pool<'a>(proposal: &'a Proposal, name: &str) -> &'a PoolPlan {
    proposal.pools.iter().find(|pool| pool.pool.name == name).unwrap()
}

fn decided(scene: &Scene) -> (Decision, Option<i32>) {
    let proposal = scene.run();
    let pool = pool(&proposal, "committed");
    (pool.outcome.decision, pool.proposed)
}

fn codes(proposal: &Proposal) -> Vec<&'static str> {
    proposal
        .warnings
        .iter()
        .map(|warning| warning.code.as_str())
        .collect()
}

#[test]
fn an_idle_plan_fills_above_spot() {
    let scene = Scene::compute(2.0, 1.5);
    assert_eq!(decided(&scene), (Decision::Fill, Some(60)));
    let proposal = scene.run();
    let found = pool(&proposal, "committed");
    assert_eq!(found.outcome.headroom, Some(dollars(0.5)));
    assert_eq!(
        (found.fits[0].instance_type.as_str(), found.fits[0].count),
        ("m5.large", 8)
    );
}

#[test]
fn a_full_plan_holds_and_a_protected_pool_yields() {
    let mut scene = Scene::compute(2.0, 2.0);
    scene.pools[0] = committed().weight(60);
    assert_eq!(decided(&scene), (Decision::Hold, Some(40)));
}

#[test]
fn an_unprotected_pool_keeps_its_weight_and_is_told_what_it_lacks() {
    let mut scene = Scene::compute(2.0, 2.0);
    scene.pools[0] = NodePool::test("committed")
        .committed()
        .families(&["m5"])
        .weight(60)
        .managed();
    assert_eq!(decided(&scene), (Decision::Hold, Some(60)));
    assert!(codes(&scene.run()).contains(&"unprotected"));
}

#[test]
fn room_for_less_than_a_node_starts_nothing_but_does_not_stop_a_fill() {
    let mut scene = Scene::compute(2.0, 1.96);
    assert_eq!(decided(&scene).0, Decision::Hold);
    scene
        .state
        .note("committed", Decision::Fill, Memory::default(), scene.now);
    assert_eq!(decided(&scene).0, Decision::Fill);
}

#[test]
fn one_groups_spill_takes_nothing_from_anothers_room() {
    let full_compute = plan("c", PlanKind::Compute, 2.0, 2.0);
    let scene = Scene::new(vec![full_compute, plan("e", PlanKind::Ec2Instance, 1.0, 0.5)]);
    let proposal = scene.run();
    let found = pool(&proposal, "committed");
    // Without a region nothing says that the EC2 Instance plan applies; the report's only region tells it.
    assert_eq!(found.groups.len(), 2);
    assert_eq!(found.outcome.decision, Decision::Fill);
    assert_eq!(found.outcome.headroom, Some(dollars(0.5)));
}

fn over(scene: &mut Scene, spill: f64) {
    use brimful_savings_plans::ledger::{Cell, Series, UsageClass};
    use brimful_types::quantity::Quantity;
    scene.ledger.series = vec![Series {
        class: UsageClass::OnDemand,
        is_instance: true,
        usage_type: "USE2-BoxUsage:m5.large".into(),
        operation: "RunInstances".into(),
        region: "us-east-2".into(),
        account: "".into(),
        cluster: "".into(),
        node_pool: "".into(),
    }];
    let hours = scene.ledger.plans[0]
        .hours
        .keys()
        .filter(|hour| hour.end() <= at(HORIZON));
    let cells = hours
        .map(|hour| Cell {
            hour: *hour,
            amount: Quantity::from_units(spill / 0.06).unwrap(),
            picos: 0,
        })
        .collect();
    scene.ledger.cells = vec![cells];
}

#[test]
fn spill_within_the_band_holds_and_lasting_spill_beyond_it_drains() {
    let mut scene = Scene::compute(2.0, 2.0);
    scene.pools[0] = committed().weight(60);
    over(&mut scene, 0.06);
    assert_eq!(decided(&scene).0, Decision::Hold);
    over(&mut scene, 0.3);
    assert_eq!(decided(&scene), (Decision::Drain, Some(40)));
    assert_eq!(scene.run().groups[0].headroom(), Some(dollars(-0.3)));
}

#[test]
fn a_stale_report_freezes_and_proposes_nothing() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.now = at("2026-11-25T00:00:00Z");
    assert_eq!(decided(&scene), (Decision::Freeze, Some(10)));
    let proposal = scene.run();
    assert!(proposal.is_frozen());
    assert!(pool(&proposal, "committed").outcome.reason.contains("maxDataAge"));
}

#[test]
fn hours_that_do_not_reconcile_freeze() {
    let mut scene = Scene::compute(2.0, 1.0);
    let hour = Hour::of(at("2026-11-20T03:00:00Z"));
    scene.ledger.plans[0].hours.get_mut(&hour).unwrap().covered = dollars(0.9);
    assert_eq!(decided(&scene).0, Decision::Freeze);
}

#[test]
fn a_missing_hour_freezes() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.ledger.plans[0]
        .hours
        .remove(&Hour::of(at("2026-11-20T03:00:00Z")));
    assert_eq!(decided(&scene).0, Decision::Freeze);
}

#[test]
fn use_that_fell_to_nothing_is_missing_data_at_first() {
    let mut scene = Scene::compute(2.0, 1.0);
    for (hour, amounts) in &mut scene.ledger.plans[0].hours {
        if *hour >= Hour::of(at("2026-11-20T05:00:00Z")) {
            (amounts.used, amounts.covered) = (Money::ZERO, Money::ZERO);
        }
    }
    assert_eq!(decided(&scene).0, Decision::Freeze);
}

#[test]
fn another_accounts_plan_of_unknown_commitment_freezes() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.ledger.plans[0]
        .hours
        .values_mut()
        .for_each(|hour| hour.commitment = None);
    assert_eq!(decided(&scene).0, Decision::Freeze);
}

#[test]
fn plans_in_two_currencies_are_never_added_up() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.ledger.currencies = ["USD", "CNY"].map(str::to_owned).into();
    assert_eq!(decided(&scene).0, Decision::Freeze);
}

#[test]
fn a_plan_about_to_end_gives_no_headroom_but_still_counts_as_in_force() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.ledger.plans[0].plan.end = Some(at("2026-11-21T20:00:00Z"));
    assert_eq!(decided(&scene).0, Decision::Hold);
    assert!(codes(&scene.run()).contains(&"plan-ending"));
}

fn steered(weight: i32, decision: &str, time: &str) -> NodePool {
    let record =
        format!(r#"{{"decision":"{decision}","reason":"","time":"{time}","values":{{"weight":{weight}}}}}"#);
    committed()
        .weight(weight)
        .annotation(BASELINE, r#"{"weight":7,"limits":null}"#)
        .annotation(DECISION, &record)
}

#[test]
fn a_change_waits_for_the_dwell_time() {
    let mut scene = Scene::compute(2.0, 2.0);
    scene.pools[0] = steered(60, "fill", "2026-11-21T17:50:00Z");
    let proposal = scene.run();
    assert_eq!(pool(&proposal, "committed").proposed, Some(60));
    assert!(pool(&proposal, "committed").outcome.reason.contains("dwell"));
    scene.pools[0] = steered(60, "fill", "2026-11-21T16:00:00Z");
    assert_eq!(decided(&scene), (Decision::Hold, Some(7)));
}

fn node(index: usize) -> Node {
    Node {
        name: format!("n{index}"),
        node_pool: Some("committed".to_owned()),
        instance_type: Some("m5.large".to_owned()),
        capacity: NodeCapacity::OnDemand,
        region: Some("us-east-2".to_owned()),
        zone: None,
        arch: None,
        os: Some("linux".to_owned()),
        instance_id: None,
        // The plan's use of old hours is 25 nodes; more came this morning.
        created: at(if index < 25 {
            "2026-11-01T00:00:00Z"
        } else {
            "2026-11-21T10:00:00Z"
        }),
        ready: true,
        deleting: false,
        cluster_name: Some("prod".to_owned()),
        vcpu: Some(2),
        memory_mib: None,
        held_by: None,
    }
}

/// Tags all of the plan's use as cluster prod's: 1.5 $/h is 25 m5.large.
fn tagged(scene: &mut Scene, used: f64) {
    over(scene, used);
    let series = &mut scene.ledger.series[0];
    series.class = brimful_savings_plans::ledger::UsageClass::Covered(0);
    series.cluster = "prod".into();
    series.account = "111122223333".into();
}

#[test]
fn live_nodes_that_fill_the_plan_stop_the_fill_without_waiting() {
    let mut scene = Scene::compute(2.0, 1.5);
    tagged(&mut scene, 1.5);
    scene.pools[0] = steered(60, "fill", "2026-11-21T17:55:00Z");
    scene.nodes = Some((0..25).map(node).collect());
    assert_eq!(decided(&scene), (Decision::Fill, Some(60)));
    scene.nodes = Some((0..34).map(node).collect());
    assert_eq!(decided(&scene), (Decision::Hold, Some(7)));
}

#[test]
fn nodes_without_tags_in_the_report_count_at_least_for_themselves() {
    let mut scene = Scene::compute(2.0, 1.5);
    scene.nodes = Some((0..10).map(node).collect());
    assert_eq!(decided(&scene).0, Decision::Fill);
    assert!(codes(&scene.run()).contains(&"untagged"));
    // Whoever used the plan in the report's hours: what runs now alone costs more than it pays.
    scene.nodes = Some((0..90).map(node).collect());
    assert_eq!(decided(&scene).0, Decision::Hold);
}

#[test]
fn a_pool_that_is_not_opted_in_is_shown_but_not_changed() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.pools[0].labels.clear();
    let proposal = scene.run();
    let found = pool(&proposal, "committed");
    assert_eq!(
        (found.managed, found.outcome.decision, found.proposed),
        (false, Decision::Fill, Some(10))
    );
    assert!(found.outcome.reason.contains(&format!(
        "labelled {MANAGED_LABEL}=true, its weight would go 10 → 60"
    )));
    assert!(!found.changes());
}

#[test]
fn a_pool_that_is_opted_out_again_gets_its_baseline_back() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.pools[0] = steered(60, "fill", "2026-11-20T00:00:00Z");
    scene.pools[0].labels.clear();
    let proposal = scene.run();
    let found = pool(&proposal, "committed");
    assert!(found.restore && found.changes());
    assert_eq!(found.proposed, Some(7));
}

#[test]
fn a_pool_whose_weight_somebody_has_set_since_keeps_it_when_opted_out() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.pools[0] = steered(60, "fill", "2026-11-20T00:00:00Z").weight(33);
    scene.pools[0].labels.clear();
    let proposal = scene.run();
    assert!(pool(&proposal, "committed").restore);
    assert_eq!(pool(&proposal, "committed").proposed, Some(33));
    scene.config.paused = true;
    assert!(!pool(&scene.run(), "committed").restore);
}

#[test]
fn a_report_without_plans_is_doubted_where_brimful_has_steered() {
    let mut scene = Scene::new(Vec::new());
    scene.pools[0] = steered(60, "fill", "2026-11-20T00:00:00Z");
    assert_eq!(decided(&scene), (Decision::Freeze, Some(60)));
    scene.pools[0] = committed();
    assert_eq!(decided(&scene), (Decision::None, Some(10)));
}

#[test]
fn a_returned_plan_counts_as_ended_when_its_rows_stop() {
    let mut scene = Scene::new(vec![
        plan("a", PlanKind::Compute, 2.0, 2.0),
        plan("b", PlanKind::Compute, 5.0, 1.0),
    ]);
    let returned = Hour::of(at("2026-11-18T00:00:00Z"));
    scene.ledger.plans[1].hours.retain(|hour, _| *hour < returned);
    assert_eq!(scene.ledger.mark_stopped(at(HORIZON), Duration::hours(24)), [1]);
    assert_eq!(decided(&scene).0, Decision::Hold);
    assert_eq!(scene.run().groups[0].commitment, dollars(2.0));
}

#[test]
fn usage_left_over_beside_a_plan_with_room_is_not_its_spill() {
    let mut scene = Scene::compute(10.0, 2.0);
    over(&mut scene, 30.0);
    assert_eq!(decided(&scene).0, Decision::Fill);
}

#[test]
fn a_cluster_of_unknown_name_is_never_taken_for_another() {
    let mut scene = Scene::compute(2.0, 1.97);
    tagged(&mut scene, 1.97);
    scene.nodes = Some(Vec::new());
    assert_eq!(decided(&scene).0, Decision::Hold);
    assert!(codes(&scene.run()).contains(&"untagged"));
}

#[test]
fn nodes_whose_use_carries_no_tags_are_not_counted_twice() {
    let mut scene = Scene::compute(2.0, 1.5);
    tagged(&mut scene, 0.3);
    scene.nodes = Some((0..25).map(node).collect());
    assert_eq!(decided(&scene).0, Decision::Fill);
    assert!(codes(&scene.run()).contains(&"untagged"));
}

#[test]
fn without_tags_a_fill_stops_once_its_headroom_is_spent() {
    let mut scene = Scene::compute(2.0, 1.5);
    scene.nodes = Some((0..10).map(node).collect());
    let first = scene.run();
    assert_eq!(pool(&first, "committed").outcome.decision, Decision::Fill);
    scene.state = first.state;
    scene.nodes = Some((0..19).map(node).collect());
    let later = scene.run();
    let found = pool(&later, "committed");
    assert_eq!(found.outcome.decision, Decision::Hold);
    assert!(
        found.outcome.reason.contains("since the fill began"),
        "{}",
        found.outcome.reason
    );
    // The report cannot have seen it yet: the next run must not begin again.
    scene.state = later.state;
    assert_eq!(decided(&scene).0, Decision::Hold);
}

#[test]
fn the_cap_on_extra_on_demand_needs_no_tags() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.config.policy.max_extra_on_demand = Some(1.0);
    scene.nodes = Some((0..90).map(node).collect());
    assert_eq!(decided(&scene).0, Decision::Hold);
}

#[test]
fn a_freeze_forgets_nothing() {
    let mut scene = Scene::compute(2.0, 1.96);
    scene
        .state
        .note("committed", Decision::Fill, Memory::default(), scene.now);
    scene
        .state
        .note("committed", Decision::Freeze, Memory::default(), scene.now);
    assert_eq!(decided(&scene).0, Decision::Fill);
}

#[test]
fn a_new_plans_group_does_not_silence_the_others() {
    let mut new = plan("e", PlanKind::Ec2Instance, 1.0, 0.0);
    new.plan.start = Some(at("2026-11-21T00:00:00Z"));
    new.hours
        .retain(|hour, _| *hour >= Hour::of(at("2026-11-21T00:00:00Z")));
    let scene = Scene::new(vec![plan("c", PlanKind::Compute, 2.0, 1.0), new]);
    assert_eq!(decided(&scene).0, Decision::Fill);
}

#[test]
fn plans_of_accounts_that_do_not_share_count_for_nothing() {
    let mut foreign = plan("b", PlanKind::Compute, 100.0, 90.0);
    foreign.plan.shared = false;
    let scene = Scene::new(vec![plan("a", PlanKind::Compute, 10.0, 2.0), foreign]);
    let proposal = scene.run();
    assert_eq!(proposal.groups[0].headroom(), Some(dollars(8.0)));
    assert_eq!(pool(&proposal, "committed").outcome.decision, Decision::Fill);
}

#[test]
fn a_paused_cluster_is_no_alarm() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.config.paused = true;
    assert!(!scene.run().is_frozen());
}

#[test]
fn a_pool_whose_last_plan_ended_drains_first_and_gets_its_baseline_back_later() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.ledger.plans[0].plan.end = Some(at("2026-11-21T17:00:00Z"));
    scene.pools[0] = steered(60, "fill", "2026-11-20T00:00:00Z");
    // The report ends before the plan did: a renewal could not be seen yet.
    assert_eq!(decided(&scene), (Decision::Hold, Some(7)));
    scene.ledger.plans[0].plan.end = Some(at("2026-11-21T08:00:00Z"));
    assert_eq!(decided(&scene), (Decision::Drain, Some(7)));
    scene.ledger.plans[0].plan.end = Some(at("2026-11-19T17:00:00Z"));
    assert_eq!(decided(&scene), (Decision::None, Some(7)));
    assert!(pool(&scene.run(), "committed").restore);
}

#[test]
fn a_long_data_freeze_restores_the_baseline_only_where_asked() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.now = at("2026-11-26T00:00:00Z");
    scene.pools[0] = steered(60, "fill", "2026-11-20T00:00:00Z");
    scene.state.note(
        "committed",
        Decision::Freeze,
        Memory::default(),
        at("2026-11-23T00:00:00Z"),
    );
    assert_eq!(decided(&scene), (Decision::Freeze, Some(60)));
    scene.config.policy.on_max_hold = OnMaxHold::Baseline;
    assert_eq!(decided(&scene), (Decision::Freeze, Some(7)));
}

#[test]
fn pauses_freeze_one_pool_or_all() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.pools[0] = committed().annotation("brimful.dev/paused", "true");
    assert_eq!(decided(&scene), (Decision::Freeze, Some(10)));
    scene.pools[0] = committed();
    scene.config.paused = true;
    assert_eq!(decided(&scene), (Decision::Freeze, Some(10)));
}

#[test]
fn mixed_and_spot_pools_are_never_decided() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.pools = vec![NodePool::test("mixed").mixed().managed(), spot().managed()];
    let proposal = scene.run();
    assert!(
        proposal
            .pools
            .iter()
            .all(|pool| pool.outcome.decision == Decision::None && !pool.changes())
    );
    assert!(!proposal.is_frozen());
}

#[test]
fn a_roll_out_keeps_a_full_pools_weight_unless_what_goes_is_what_should() {
    let mut scene = Scene::compute(2.0, 2.0);
    scene.pools[0] = committed().weight(60);
    scene.claims = Some(vec![NodeClaim {
        name: "a".to_owned(),
        uid: None,
        resource_version: None,
        held_by: None,
        node_pool: Some("committed".to_owned()),
        node_name: None,
        instance_type: None,
        machine: None,
        drifted: true,
        launched: true,
        registered: true,
        deleting: false,
        created: at(NOW),
        expire_after: brimful_karpenter::nodepool::ExpireAfter::Never,
    }]);
    assert_eq!(decided(&scene), (Decision::Hold, Some(60)));
    assert!(codes(&scene.run()).contains(&"roll-out"));
    // A pool that must shrink a little must not lose everything either: 0.6 × $0.5 against 0.4 × $1.54.
    scene.nodes = Some((0..34).map(node).collect());
    over(&mut scene, 0.5);
    scene.pools[0] = committed().weight(5);
    assert_eq!(decided(&scene), (Decision::Drain, Some(60)));
    // Of ten nodes one goes in the hour, and more than that should.
    let mut claims = scene.claims.take().unwrap();
    let stays = |index| NodeClaim {
        name: format!("b{index}"),
        drifted: false,
        ..claims[0].clone()
    };
    claims.extend((0..9).map(stays).collect::<Vec<_>>());
    scene.claims = Some(claims);
    assert_eq!(decided(&scene), (Decision::Drain, Some(5)));
}

#[test]
fn a_pool_that_was_replaced_whole_is_not_fought_over() {
    let mut scene = Scene::compute(2.0, 1.0);
    scene.pools[0] = steered(60, "fill", "2026-11-20T00:00:00Z");
    scene.state = scene.run().state;
    scene.pools[0] = committed();
    assert_eq!(decided(&scene), (Decision::Freeze, Some(10)));
    scene.state = scene.run().state;
    assert_eq!(decided(&scene).0, Decision::Freeze);
    scene.state = State::default(); // what `reset` leaves
    assert_eq!(decided(&scene), (Decision::Fill, Some(60)));
}

#[test]
fn a_drain_by_churn_tells_how_long_it_takes() {
    let mut scene = Scene::compute(1.0, 1.0);
    tagged(&mut scene, 1.5);
    // 34 nodes now, and 25 when $1.00/h was all that the plan held; 9 of them were launched in the last day.
    scene.nodes = Some((0..34).map(node).collect());
    scene.state.note(
        "committed",
        Decision::Drain,
        Memory {
            over_since: Some(at("2026-11-21T10:00:00Z")),
            ..Memory::default()
        },
        at("2026-11-21T12:00:00Z"),
    );
    let proposal = scene.run();
    let found = &pool(&proposal, "committed").outcome;
    assert_eq!(found.decision, Decision::Drain, "{}", found.reason);
    assert!(
        found.reason.contains("h at the pace of the last day"),
        "{}",
        found.reason
    );
}

#[test]
fn equal_inputs_give_equal_plans() {
    let scene = Scene::new(vec![
        plan("c", PlanKind::Compute, 2.0, 1.9),
        plan("e", PlanKind::Ec2Instance, 1.0, 0.5),
    ]);
    assert_eq!(scene.run(), scene.run());
}

#[test]
fn the_arithmetic_of_a_decision_is_kept_with_it() {
    let proposal = Scene::compute(2.0, 1.5).run();
    let outcome = &pool(&proposal, "committed").outcome;
    let arithmetic = outcome.arithmetic.as_ref().unwrap();
    assert_eq!(arithmetic.rule, Rule::Starts);
    assert_eq!(
        (arithmetic.commitment, arithmetic.demand, arithmetic.headroom),
        (dollars(2.0), dollars(1.5), dollars(0.5))
    );
    assert_eq!(
        (arithmetic.node.as_str(), arithmetic.threshold()),
        ("m5.large", dollars(0.06))
    );
    let working = &proposal.workings[&GroupId::Compute];
    assert_eq!(working.plans[0].commitment, Some(dollars(2.0)));
    assert!(working.hours.iter().all(|hour| hour.others() == dollars(1.5)));
    assert_eq!(
        (working.live, working.own_now),
        (None, None),
        "no Nodes were given"
    );
    let full = Scene::compute(2.0, 2.0).run();
    let full = pool(&full, "committed").outcome.arithmetic.clone().unwrap();
    assert_eq!((full.rule, full.headroom), (Rule::Full, Money::ZERO));
}

#[test]
fn groups_that_do_not_pay_for_a_pool_are_named_with_the_reason() {
    let mut scene = Scene::new(vec![plan("i", PlanKind::Ec2Instance, 2.0, 1.0)]);
    scene.pools[0] = NodePool::test("committed")
        .committed()
        .families(&["c5"])
        .managed();
    let proposal = scene.run();
    let left_out = &pool(&proposal, "committed").left_out;
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0].1, "the pool launches no m5");
}
