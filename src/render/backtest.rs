//! `brimful backtest` for programs.

use serde::Serialize;

use super::consents::{ConsentsRow, per_month, rounded};
use crate::analysis::Source;
use brimful_simulation::backtest::Backtest;
use brimful_simulation::backtest::history::{History, Past};
use brimful_simulation::backtest::steerable::Own;
use brimful_simulation::backtest::thresholds::Tried;
use brimful_simulation::backtest::trace::{DELIVERED_EVERY, LAG};
use brimful_simulation::billing::Bill;
use brimful_simulation::policies::Kind;
use brimful_types::hour::{human_duration, rfc3339};
use brimful_types::warning::Warning;

/// `brimful backtest -o json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    schema: &'static str,
    /// The clock.
    pub now: String,
    /// Where the figures come from.
    pub source: Source,
    /// The time that was replayed.
    pub replayed: Replayed,
    /// What was replayed.
    pub model: Model,
    /// Clusters that the report's usage is tagged with.
    #[serde(skip)]
    pub clusters: Vec<String>,
    /// How far the replay can be trusted.
    pub trust: Trust,
    /// What the replayed days came to, by the report.
    pub as_it_was: AsItWas,
    /// Policies, then foresight.
    pub policies: Vec<PolicyRow>,
    /// What further consents would have saved.
    pub consents: Vec<ConsentsRow>,
    /// Brimful with other thresholds.
    pub thresholds: ThresholdsRow,
    /// What was simulated or assumed, in sentences.
    pub assumptions: Vec<String>,
    /// What should be known.
    pub warnings: Vec<Warning>,
}

/// The time that was replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub(crate) struct Replayed {
    pub from: String,
    pub to: String,
    pub warm_up_days: usize,
    pub days: usize,
    pub missing_hours: usize,
}

/// What was replayed. Rates in $/h and vCPU.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub(crate) struct Model {
    pub groups: Vec<String>,
    pub cluster: Option<String>,
    /// `tags`, or `all-spot` where nothing shows which usage is this cluster's.
    pub own: &'static str,
    pub node_vcpu: f64,
    pub mean_nodes: f64,
    pub savings_plan_per_vcpu: f64,
    pub on_demand_per_vcpu: f64,
    pub spot_per_vcpu: f64,
    pub node_lifetime_hours: f64,
    pub node_lifetime_learned: bool,
}

/// How far the replay can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trust {
    /// By how much AWS's application order, replayed on the report's hours, misses the use that the report states, as a
    /// part of the commitment; null when no hour is complete.
    pub application_order_error: Option<f64>,
}

/// What the report shows, nothing of it simulated. $ over the replayed days unless the name says per month (730 h).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub(crate) struct AsItWas {
    pub commitment: f64,
    pub unused: f64,
    /// Eligible usage beyond the commitment, at SP rates.
    pub spill: f64,
    /// On demand and Spot beyond the commitment.
    pub cost: f64,
    /// Commitment and cost.
    pub total_per_month: f64,
}

/// One policy. $ over the replayed days unless the name says per month (730 h).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub(crate) struct PolicyRow {
    pub policy: String,
    pub commitment: f64,
    pub unused: f64,
    /// Unused commitment that foresight would have used.
    pub avoidable_unused: f64,
    /// Eligible usage beyond the commitment, at SP rates.
    pub spill: f64,
    pub avoidable_spill: f64,
    /// On demand and Spot beyond the commitment.
    pub cost: f64,
    /// Commitment and cost.
    pub total_per_month: f64,
    /// Less than leaving alone.
    pub saved_per_month: f64,
    /// Cost beyond foresight's, as a part of the commitment.
    pub regret: f64,
    pub weight_changes_per_day: Option<f64>,
    pub limit_changes_per_day: Option<f64>,
    /// Patches, for whatever change.
    pub patches_per_day: Option<f64>,
    /// Spot nodes moved over.
    pub moves_per_day: Option<f64>,
}

/// Brimful with other thresholds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub(crate) struct ThresholdsRow {
    pub policy: String,
    pub configured: Choice,
    pub best: Choice,
    /// True if the best is as good as the best of each week.
    pub stable: bool,
    pub best_by_week: Vec<Choice>,
    pub tried: Vec<Choice>,
}

/// Thresholds and what they cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub(crate) struct Choice {
    pub fill: f64,
    pub hold: f64,
    pub drain: f64,
    pub lookahead: String,
    /// What is saved against the configured thresholds, over the whole time or over the week.
    pub saved_per_month: f64,
}

/// What a document is made of.
#[derive(Debug)]
#[allow(missing_docs)]
pub(crate) struct Inputs<'a> {
    pub now: String,
    pub source: Source,
    pub cluster: Option<String>,
    /// Clusters that the report's usage is tagged with.
    pub clusters: Vec<String>,
    pub history: &'a History,
    pub backtest: &'a Backtest,
    pub application_order_error: Option<f64>,
    pub warnings: Vec<Warning>,
}

impl Document {
    /// The document of a backtest.
    #[must_use]
    pub(crate) fn new(facts: Inputs<'_>) -> Self {
        let (history, backtest) = (facts.history, facts.backtest);
        let hours = (backtest.warm_up_days + backtest.days) * 24;
        let model = model(history, facts.cluster, &history.hours[..hours]);
        Self {
            schema: "brimful/backtest/v1",
            now: facts.now,
            source: facts.source,
            replayed: Replayed {
                from: rfc3339(history.first.plus(at(backtest.warm_up_days)).start()),
                to: rfc3339(
                    history
                        .first
                        .plus(at(backtest.warm_up_days + backtest.days))
                        .start(),
                ),
                warm_up_days: backtest.warm_up_days,
                days: backtest.days,
                missing_hours: history.gaps,
            },
            trust: Trust {
                application_order_error: facts.application_order_error.map(rounded),
            },
            as_it_was: as_it_was(backtest),
            policies: policies(backtest),
            consents: ConsentsRow::all(&backtest.worths, backtest.given, backtest.days),
            thresholds: thresholds(backtest),
            assumptions: assumptions(history, &model),
            model,
            clusters: facts.clusters,
            warnings: facts.warnings,
        }
    }
}

/// The first hour of a day, counted from the first.
fn at(days: usize) -> i32 {
    i32::try_from(days * 24).unwrap_or(i32::MAX)
}

#[allow(clippy::cast_precision_loss, reason = "hours of some months")]
fn model(history: &History, cluster: Option<String>, hours: &[Past]) -> Model {
    let mean =
        |part: fn(&Past) -> f64| rounded(hours.iter().map(part).sum::<f64>() / hours.len().max(1) as f64);
    let per_vcpu = |amount: f64| rounded(amount / history.node_vcpu);
    Model {
        groups: history.groups.iter().map(ToString::to_string).collect(),
        cluster,
        own: match history.own {
            Own::Tags => "tags",
            Own::AllSpot => "all-spot",
        },
        node_vcpu: rounded(history.node_vcpu),
        mean_nodes: mean(|past| past.nodes),
        savings_plan_per_vcpu: per_vcpu(history.savings_plan),
        on_demand_per_vcpu: per_vcpu(history.on_demand),
        spot_per_vcpu: per_vcpu(mean(|past| past.spot_price)),
        node_lifetime_hours: rounded(1.0 / history.turnover),
        node_lifetime_learned: history.turnover_learned,
    }
}

fn as_it_was(backtest: &Backtest) -> AsItWas {
    let bill = &backtest.as_it_was;
    AsItWas {
        commitment: rounded(bill.commitment),
        unused: rounded(bill.unused),
        spill: rounded(bill.spill),
        cost: rounded(bill.cost),
        total_per_month: rounded(per_month(bill.commitment + bill.cost, backtest.days)),
    }
}

#[allow(clippy::cast_precision_loss, reason = "days and changes of some months")]
fn policies(backtest: &Backtest) -> Vec<PolicyRow> {
    let best = &backtest.foresight.bill;
    let alone = backtest.played.first().map_or(0.0, |played| played.run.bill.cost);
    let played = backtest
        .played
        .iter()
        .map(|played| (Some(played.kind), &played.run));
    played
        .chain([(None, &backtest.foresight)])
        .map(|(kind, run)| {
            let (bill, effort) = (&run.bill, &run.effort);
            let monthly = |amount: f64| rounded(per_month(amount, backtest.days));
            let made = |changes: usize| kind.map(|_| rounded(changes as f64 / backtest.days as f64));
            PolicyRow {
                policy: kind.map_or_else(|| "foresight".to_owned(), Kind::name),
                commitment: rounded(bill.commitment),
                unused: rounded(bill.unused),
                avoidable_unused: rounded(bill.unused - best.unused),
                spill: rounded(bill.spill),
                avoidable_spill: rounded(bill.spill - best.spill),
                cost: rounded(bill.cost),
                total_per_month: monthly(bill.commitment + bill.cost),
                saved_per_month: monthly(alone - bill.cost),
                regret: rounded((bill.cost - best.cost) / bill.commitment.max(1e-9)),
                weight_changes_per_day: made(effort.weights),
                limit_changes_per_day: made(effort.limits),
                patches_per_day: made(effort.patches),
                moves_per_day: made(effort.moves),
            }
        })
        .collect()
}

fn thresholds(backtest: &Backtest) -> ThresholdsRow {
    let verdict = &backtest.verdict;
    let configured = &verdict.tried[0];
    let whole = |tried: &Tried| {
        choice(
            tried,
            per_month(configured.bill.cost - tried.bill.cost, backtest.days),
        )
    };
    let of_week = |(week, best): (usize, &usize)| {
        let tried = &verdict.tried[*best];
        let (mine, theirs): (&Bill, &Bill) = (&tried.weeks[week], &configured.weeks[week]);
        // The last week may be a short one: its part of the commitment is its part of the hours.
        let part = mine.commitment / tried.bill.commitment.max(1e-9);
        choice(
            tried,
            per_month((theirs.cost - mine.cost) / part.max(1e-9), backtest.days),
        )
    };
    ThresholdsRow {
        policy: Kind::Brimful(backtest.given).name(),
        configured: whole(configured),
        best: whole(&verdict.tried[verdict.best]),
        stable: verdict.stable,
        best_by_week: verdict.best_by_week.iter().enumerate().map(of_week).collect(),
        tried: verdict.tried.iter().map(whole).collect(),
    }
}

fn choice(tried: &Tried, saved_per_month: f64) -> Choice {
    let thresholds = tried.candidate.thresholds();
    Choice {
        fill: thresholds.fill,
        hold: thresholds.hold,
        drain: thresholds.drain,
        lookahead: human_duration(tried.candidate.lookahead()),
        saved_per_month: rounded(saved_per_month),
    }
}

fn assumptions(history: &History, model: &Model) -> Vec<String> {
    let mut said = vec![
        "Taken from the report: commitments, what everybody used of them, this cluster's Spot usage and Spot prices, hour by hour. \
         Simulated: Karpenter, the reports as they come in, and each policy's decisions."
            .to_owned(),
        format!(
            "Reports arrive every {DELIVERED_EVERY} h and reach to {LAG} h before; a tenth of an hour's rows comes up to a day late."
        ),
    ];
    said.push(match history.own {
        Own::Tags => format!(
            "What cluster {} ran on Spot could have run on demand, on nodes of {:.1} vCPU at the mean rates of its instance types; its \
             other on-demand usage stays where it was.",
            model.cluster.as_deref().unwrap_or("this"),
            history.node_vcpu
        ),
        Own::AllSpot => {
            let why = model.cluster.as_ref().map_or_else(
                || "cluster.name and its cost allocation tags do".to_owned(),
                |name| format!("nothing in it carries the tags of {name}"),
            );
            format!(
                "The report does not tell this cluster's usage ({why}): all Spot instances of the report are taken for its, on nodes \
                 of {:.1} vCPU.",
                history.node_vcpu
            )
        }
    });
    said.push(format!(
        "Nodes live for {:.0} h in the mean ({}).",
        1.0 / history.turnover,
        if history.turnover_learned {
            "learned: how instances of each type come and go while as many are needed"
        } else {
            "assumed: too few instance types to learn it from"
        }
    ));
    if history.groups.len() > 1 {
        said.push(
            "All plans that this cluster's families can use count as one: an EC2 Instance plan is filled by any of its nodes.".to_owned(),
        );
    }
    if history.assumed_prices {
        said.push("The report lacks an SP rate or on-demand price of some instance types: others of their family, or usual discounts, stand in.".to_owned());
    }
    if history.gaps > 0 {
        said.push(format!(
            "{} hours are missing in the report; the hour before stands for each.",
            history.gaps
        ));
    }
    said
}
