//! `brimful plan --explain -o json`: the same numbers for programs.

use serde::Serialize;
use serde_json::{Value, json};

use super::Inputs;
use crate::analysis::Source;
use crate::render::json::{GroupReport, PlanDocument, PoolReport};
use brimful_policy::arithmetic::{Arithmetic, GroupWorking, HourLevel, PlanInForce, Rule, rivals};
use brimful_policy::plan::PoolPlan;
use brimful_policy::prices::Source as PriceSource;
use brimful_types::hour::rfc3339;
use brimful_types::warning::Warning;

/// One pool's decision and what it rests on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document<'a> {
    schema: &'static str,
    now: &'a str,
    source: &'a Source,
    /// As in `plan`.
    node_pool: Option<&'a PoolReport>,
    /// The groups that pay for it, as in `plan`, with what their demand was worked out from.
    groups: Vec<Group<'a>>,
    /// The decision's numbers; null where none were compared.
    arithmetic: Option<Value>,
    /// The pool and those that could take its pods, in the order in which Karpenter tries them after the plan.
    order: Vec<Value>,
    warnings: Vec<&'a Warning>,
}

#[derive(Debug, Serialize)]
struct Group<'a> {
    #[serde(flatten)]
    report: &'a GroupReport,
    working: Option<Value>,
}

pub(crate) fn json<'a>(inputs: &Inputs<'a>, plan: &PoolPlan, document: &'a PlanDocument) -> Document<'a> {
    let name = &plan.pool.name;
    let groups = document
        .groups
        .iter()
        .filter(|group| plan.groups.contains(&group.id));
    let (order, _) = rivals(plan, &inputs.proposal.pools);
    let order = order.into_iter().map(|rival| {
        let weight = json!({"current": rival.now, "proposed": rival.then});
        json!({"name": rival.name, "role": rival.role.as_str(), "weight": weight})
    });
    let concerns = |warning: &&Warning| warning.concerns(name);
    Document {
        schema: "brimful/explain/v1",
        now: &document.now,
        source: &document.source,
        node_pool: document.node_pools.iter().find(|pool| pool.name == *name),
        groups: groups
            .map(|report| Group {
                report,
                working: inputs.proposal.workings.get(&report.id).map(working),
            })
            .collect(),
        arithmetic: plan.outcome.arithmetic.as_deref().map(arithmetic),
        order: order.collect(),
        warnings: document.warnings.iter().filter(concerns).collect(),
    }
}

fn working(working: &GroupWorking) -> Value {
    let plan = |plan: &PlanInForce| {
        json!({
            "id": plan.short_id, "commitment": plan.commitment, "end": plan.end.map(rfc3339),
            "endsShortly": plan.ends_shortly,
        })
    };
    let hour = |hour: &HourLevel| {
        json!({
            "hour": hour.hour, "used": hour.used, "spill": hour.spill, "own": hour.own, "moved": hour.moved,
            "carried": hour.carried(),
        })
    };
    json!({
        "plans": working.plans.iter().map(plan).collect::<Vec<_>>(),
        "hours": working.hours.iter().map(hour).collect::<Vec<_>>(),
        "newestMature": working.newest_mature,
        "liveNodes": working.live.map(|live| json!({"count": live.count, "cost": live.cost})),
        "ownNow": working.own_now,
    })
}

fn arithmetic(sum: &Arithmetic) -> Value {
    json!({
        "groups": sum.groups,
        "commitment": sum.commitment,
        "demand": sum.demand,
        "low": sum.low,
        "high": sum.high,
        "lookaheadHours": sum.lookahead,
        "planned": sum.planned,
        "headroom": sum.headroom,
        "room": sum.room,
        "excess": sum.excess,
        "nextNode": {"instanceType": sum.node, "rate": sum.price.rate, "from": source(sum.price.source)},
        "worthFillingFrom": sum.worth_filling_from,
        "toStart": sum.to_start,
        "toGoOn": sum.to_go_on,
        "toDrain": sum.to_drain,
        "overSince": sum.over_since.map(rfc3339),
        "spent": sum.spent,
        "last": sum.last,
        "rule": rule(sum.rule),
    })
}

fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::BeyondCap => "beyondCap",
        Rule::Spent => "spent",
        Rule::Starts => "starts",
        Rule::GoesOn => "goesOn",
        Rule::Drains => "drains",
        Rule::NotYetDrains => "notYetDrains",
        Rule::TooLittle => "tooLittle",
        Rule::Full => "full",
    }
}

fn source(source: PriceSource) -> &'static str {
    match source {
        PriceSource::Learned => "report",
        PriceSource::Described => "aws",
        PriceSource::Family => "family",
        PriceSource::OnDemand => "onDemand",
        PriceSource::Assumed => "assumed",
    }
}
