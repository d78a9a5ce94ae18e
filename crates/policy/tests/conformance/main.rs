//! Decisions in organizations whose coverage is known. What is right follows from the bill alone: how what nobody pays for
//! changes in each of the next 24 hours with the cluster's nodes. Only where every hour agrees is something asserted.

#![allow(clippy::unwrap_used, reason = "a test")]

mod organization;

use std::collections::BTreeMap;

use brimful_karpenter::{Node, NodeCapacity, NodePool};
use brimful_policy::Decision;
use brimful_policy::limits::Vcpu;
use brimful_policy::peers::Peers;
use brimful_policy::plan::{Inputs, PoolPlan, propose};
use brimful_policy::settings::{ClusterConfig, Settings};
use brimful_policy::state::{Memory, State};
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::{Check, Terms, Utilization};
use chrono::Duration;
use organization::{Bought, OTHER, OWN, Organization, POOL, REGION, Usage, list_price, long_ago, now, vcpu};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// More or fewer nodes by so many, for what is asserted.
const STEP: f64 = 3.0;

/// What the bill says of the pool's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    /// Three more would be paid for.
    Room,
    /// One more would be billed on demand, and one less would be commitment lost.
    Full,
    /// Three less would save their on-demand price.
    Over,
    /// It depends on the hour.
    Unclear,
}

fn truth(organization: &Organization) -> Truth {
    if organization.is_a_guess() {
        return Truth::Unclear;
    }
    let running = organization.own().live;
    let price = list_price(&organization.own().kind);
    let uncovered = |own: f64| organization.uncovered(own);
    let change = |from: f64, to: f64| -> Vec<f64> {
        let both = uncovered(from).into_iter().zip(uncovered(to));
        both.map(|(from, to)| (to - from) / price).collect()
    };
    let all = |found: Vec<f64>, holds: fn(f64) -> bool| found.into_iter().all(holds);
    if all(change(running, running + STEP), |more| more < 0.01) {
        return Truth::Room;
    }
    if running >= STEP && all(change(running - STEP, running), |more| more > STEP - 0.1) {
        return Truth::Over;
    }
    let next_is_billed = all(change(running, running + 1.0), |more| more > 0.95);
    if next_is_billed && all(change(running - 1.0, running), |more| more < 0.05) {
        return Truth::Full;
    }
    Truth::Unclear
}

fn pools(organization: &Organization) -> Vec<NodePool> {
    let kind = &organization.own().kind;
    let running = organization.own().live * vcpu(kind);
    let family = kind.split_once('.').unwrap().0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // vCPU of a few nodes
    let committed = NodePool::test(POOL)
        .committed()
        .families(&[family])
        .weight(60)
        .managed()
        .resources(running as u32)
        .limit("cpu", &running.to_string())
        .annotation("brimful.dev/manage-limits", "true")
        .annotation("brimful.dev/baseline", r#"{"weight":10,"limits":null}"#)
        .annotation(
            "brimful.dev/decision",
            &format!(
                r#"{{"decision":"hold","reason":"","time":"2026-11-19T00:00:00Z","values":{{"weight":60,"limits":{{"cpu":"{running}"}}}}}}"#
            ),
        );
    vec![
        committed,
        NodePool::test("spot").spot().weight(50),
        NodePool::test("zz-overflow").committed(),
    ]
}

fn nodes(organization: &Organization) -> Vec<Node> {
    let kind = &organization.own().kind;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let reported = organization
        .usage
        .iter()
        .find(|usage| usage.own)
        .map_or(0, |own| own.count as usize);
    let node = |pool: &str, capacity, index: usize| Node {
        name: format!("{pool}-{index}"),
        node_pool: Some(pool.to_owned()),
        instance_type: Some(kind.clone()),
        capacity,
        region: Some(REGION.to_owned()),
        zone: None,
        arch: None,
        os: None,
        instance_id: None,
        // What the report does not show has come since.
        created: if index < reported {
            long_ago()
        } else {
            now() - Duration::hours(3)
        },
        ready: true,
        deleting: false,
        cluster_name: None,
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        vcpu: Some(vcpu(kind) as u32),
        memory_mib: None,
        held_by: None,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let own = (0..organization.own().live as usize).map(|index| node(POOL, NodeCapacity::OnDemand, index));
    let spot = (0..4).map(|index| node("spot", NodeCapacity::Spot, index));
    own.chain(spot).collect()
}

fn planned(organization: &Organization) -> PoolPlan {
    let config = Settings {
        cluster: ClusterConfig {
            name: Some("prod".to_owned()),
            account: Some(OWN.to_owned()),
            region: Some(REGION.to_owned()),
            ..ClusterConfig::default()
        },
        ..Settings::default()
    };
    let mut ledger = organization.ledger();
    let horizon = ledger.horizon(now());
    if let Some(horizon) = horizon {
        ledger.mark_stopped(horizon, config.maturity.0);
    }
    let accounts = if organization.shared {
        vec![OWN.to_owned(), OTHER.to_owned()]
    } else {
        vec![OWN.to_owned()]
    };
    let sharing = Sharing::of(organization.told.then_some(&accounts[..]), Some(OWN));
    let terms = Terms {
        sharing: &sharing,
        horizon,
        maturity: Duration::hours(24),
        check: Check::Reconciling,
    };
    let utilization = Utilization::of(&ledger, &terms);
    // Whatever is over now was so in earlier runs, too.
    let mut state = State::default();
    let memory = Memory {
        over_since: Some(now() - Duration::hours(3)),
        ..Memory::default()
    };
    state.note(POOL, Decision::Hold, memory, now() - Duration::hours(3));
    let proposal = propose(&Inputs {
        now: now(),
        config: &config,
        ledger: &ledger,
        utilization: &utilization,
        sharing: &sharing,
        node_pools: &pools(organization),
        nodes: Some(&nodes(organization)),
        node_claims: Some(&[]),
        pods: None,
        peers: &Peers::default(),
        state: &state,
        doubt: None,
    });
    let found = proposal.pools.into_iter().find(|plan| plan.pool.name == POOL);
    found.unwrap()
}

/// What is wrong with the plan, if anything.
fn wrong(organization: &Organization, truth: Truth) -> Option<String> {
    let plan = planned(organization);
    let decision = plan.outcome.decision;
    let running = organization.own().live * vcpu(&organization.own().kind);
    #[allow(clippy::cast_precision_loss)] // vCPU of a few nodes
    let limit = Vcpu::of(&plan.limits).map(|limit| limit.0 as f64 / 1000.0);
    let keeps = limit.is_none_or(|limit| limit >= running);
    let is_right = match truth {
        Truth::Room => decision == Decision::Fill && keeps,
        Truth::Full => decision == Decision::Hold && keeps,
        Truth::Over => decision == Decision::Drain,
        Truth::Unclear => true,
    };
    let reason = &plan.outcome.reason;
    (!is_right).then(|| {
        format!(
            "{truth:?}, but {decision} ({reason}), limit {limit:?} of {running} running, in {organization:#?}"
        )
    })
}

fn kind() -> impl Strategy<Value = String> {
    let family = prop::sample::select(vec!["m5", "r6i", "c5"]);
    let size = prop::sample::select(vec!["large", "xlarge", "4xlarge"]);
    (family, size).prop_map(|(family, size)| format!("{family}.{size}"))
}

fn others() -> impl Strategy<Value = Vec<Usage>> {
    let account = prop::sample::select(vec![OWN, OTHER]);
    let by_night = prop::sample::select(vec![1.0, 1.0, 0.3, 0.0]);
    let kind = prop_oneof![4 => kind(), 1 => Just("fargate.large".to_owned())];
    let one = (account, kind, 1u32..12, by_night).prop_map(|(account, kind, count, by_night)| Usage {
        account,
        kind,
        count: f64::from(count),
        by_night,
        own: false,
        live: f64::from(count),
    });
    prop::collection::vec(one, 0..4)
}

/// An organization with up to two plans, whose commitments are parts of what they could pay for by day.
fn organization() -> impl Strategy<Value = Organization> {
    let part = || prop::sample::select(vec![0.0, 0.3, 0.8, 1.0, 1.0, 1.4, 3.0]);
    let from = prop::sample::select(vec![-9000, -9000, -40, -20]);
    let live = prop::sample::select(vec![1.0, 1.0, 1.0, 0.6, 1.7]);
    let own = (kind(), 4u32..12, live);
    (own, others(), part(), part(), from, any::<[bool; 3]>())
        .prop_map(
            |((kind, count, live), mut usage, instance, compute, from, [shared, told, tagged])| {
                let count = f64::from(count);
                let family = kind.split_once('.').map(|(family, _)| family.to_owned());
                let mut plans = vec![Bought {
                    family,
                    commitment: instance * count * list_price(&kind) * 0.6,
                    from,
                    ..Bought::compute(0.0)
                }];
                usage.push(Usage {
                    account: OWN,
                    kind,
                    count,
                    by_night: 1.0,
                    own: true,
                    live: if tagged { (count * live).round() } else { count },
                });
                let reached = usage.iter().filter(|usage| shared || usage.account == OWN);
                let whole: f64 = reached.map(|usage| usage.count * list_price(&usage.kind)).sum();
                plans.push(Bought::compute(compute * whole * 0.72));
                plans.retain(|plan| plan.commitment > 0.0);
                Organization {
                    usage,
                    plans,
                    shared,
                    told,
                    tagged,
                }
            },
        )
        .prop_filter("no plan", |organization| !organization.plans.is_empty())
}

/// So many organizations are judged.
const MANY: usize = 250;

/// Judges many organizations, each changed a little; `judge` says what is wrong.
fn judge_many(change: impl Fn(&mut Organization), judge: impl Fn(&Organization, Truth) -> Option<String>) {
    let mut runner = TestRunner::deterministic();
    let (mut seen, mut failures) = (BTreeMap::<String, usize>::new(), Vec::new());
    for _ in 0..MANY {
        let mut organization = organization().new_tree(&mut runner).unwrap().current();
        change(&mut organization);
        let truth = truth(&organization);
        *seen.entry(format!("{truth:?}")).or_default() += 1;
        failures.extend(judge(&organization, truth));
    }
    assert!(
        failures.is_empty(),
        "{} of {seen:?}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(
        ["Room", "Full", "Over"]
            .iter()
            .any(|truth| seen.get(*truth) > Some(&(MANY / 20))),
        "{seen:?}"
    );
}

#[test]
fn decisions_follow_the_bill() {
    judge_many(|_| (), wrong);
}

/// One of the plans ended in an hour that the report covers, 30 hours ago.
#[test]
fn what_ended_plans_paid_is_nobodys_now() {
    judge_many(
        |organization| {
            organization.plans[0].from = -9000;
            organization.plans[0].to = -30;
        },
        wrong,
    );
}

/// A plan ended after the report's reach. Until a report could show a renewal, nothing that it would pay for is given back,
/// and nothing rests on it.
#[test]
fn an_end_that_no_report_could_follow_drains_nothing_and_fills_nothing() {
    judge_many(
        |organization| organization.plans[0].to = -3,
        |organization, without| {
            let mut renewed = organization.clone();
            renewed.plans[0].to = 9000;
            let plan = planned(organization);
            let decision = plan.outcome.decision;
            let with = truth(&renewed);
            let drains_paid = matches!(with, Truth::Room | Truth::Full) && decision == Decision::Drain;
            let rests_on_it = matches!(without, Truth::Full | Truth::Over) && decision == Decision::Fill;
            (drains_paid || rests_on_it).then(|| {
                format!(
                    "{with:?} if renewed, {without:?} if not, but {decision} ({}) in {organization:#?}",
                    plan.outcome.reason
                )
            })
        },
    );
}

/// A plan was returned: its rows of the future are gone. It is not filled, and nothing is given back for want of it before
/// the report shows hours without it.
#[test]
fn a_plan_that_was_returned_is_not_filled() {
    judge_many(
        |organization| organization.plans[0].returned = true,
        |organization, without| {
            let mut kept = organization.clone();
            kept.plans[0].returned = false;
            let plan = planned(organization);
            let decision = plan.outcome.decision;
            let with = truth(&kept);
            let drains_paid = matches!(with, Truth::Room | Truth::Full) && decision == Decision::Drain;
            let rests_on_it = matches!(without, Truth::Full | Truth::Over) && decision == Decision::Fill;
            (drains_paid || rests_on_it).then(|| {
                format!(
                    "{with:?} if kept, {without:?} if not, but {decision} ({}) in {organization:#?}",
                    plan.outcome.reason
                )
            })
        },
    );
}
