//! `brimful backtest` for people.

use std::fmt::Write as _;

use super::backtest::{Choice, Document, PolicyRow, ThresholdsRow, Trust};
use super::clean;
use super::text::{CAUTION, FAINT, GOOD, HEADING, dollars, paragraph, percent, table};

/// The table.
#[must_use]
pub(crate) fn render(document: &Document, width: Option<usize>) -> String {
    let mut out = String::new();
    let replayed = &document.replayed;
    let model = &document.model;
    let _ = writeln!(
        out,
        "{HEADING}{} days replayed{HEADING:#}: {} to {}, after {} days to learn from",
        replayed.days, replayed.from, replayed.to, replayed.warm_up_days
    );
    let _ = writeln!(
        out,
        "{FAINT}plans {} · {:.0} nodes of {:.1} vCPU in the mean · $/h per vCPU: plan {:.4}, on demand {:.4}, Spot {:.4}{FAINT:#}",
        clean::name(&model.groups.join(", ")),
        model.mean_nodes,
        model.node_vcpu,
        model.savings_plan_per_vcpu,
        model.on_demand_per_vcpu,
        model.spot_per_vcpu
    );
    out += &untold(document, width);
    out += &policies(document, width);
    out += "\n";
    out += &paragraph(
        "As it was: by the report; all else is simulated. Unused commitment and spill that foresight would have avoided (negative: it accepts more), and cost beyond foresight's: % of \
         the commitment. $/month: commitment, on demand and Spot; saved: against leaving the cluster alone. Patches, and Spot nodes moved \
         over: a day.",
        0,
        width,
    );
    out += "\n";
    if !document.consents.is_empty() {
        let _ = writeln!(
            out,
            "{HEADING}further consents{HEADING:#}, against what is configured"
        );
        for row in &document.consents {
            out += &paragraph(&format!("with {}: {}", row.further(), row.worth()), 2, width);
        }
        out += "\n";
    }
    let _ = writeln!(out, "{HEADING}thresholds{HEADING:#}");
    let verdict = paragraph(&verdict_in_words(&document.thresholds), 2, width);
    // A text is laid out first and coloured then: colours that it brings along are not let through.
    out += &verdict.replacen("keep yours", &format!("{GOOD}keep{GOOD:#} yours"), 1);
    let _ = writeln!(out, "\n{HEADING}what this rests on{HEADING:#}");
    for sentence in &document.assumptions {
        out += &paragraph(sentence, 2, width);
    }
    out += &paragraph(&trust_in_words(&document.trust), 2, width);
    out
}

/// Where the report does not tell this cluster's usage: before the figures, since they are not its alone then.
fn untold(document: &Document, width: Option<usize>) -> String {
    let model = &document.model;
    if model.own != "all-spot" {
        return "\n".to_owned();
    }
    let there = document.clusters.join(", ");
    let cure = match &model.cluster {
        _ if there.is_empty() => {
            "no usage carries a cluster's tag: activate the cost allocation tag aws:eks:cluster-name in the payer account".to_owned()
        }
        Some(name) => format!("no usage is tagged {name}; the report has {there}: set cluster.name to one of these"),
        None => format!("set cluster.name in the configuration, or pass --nodes; the report has {there}"),
    };
    let text = format!("These are all Spot instances of the report, not this cluster's alone: {cure}.");
    // A text is laid out first and coloured then.
    format!(
        "{CAUTION}{}{CAUTION:#}\n\n",
        paragraph(&text, 0, width).trim_end()
    )
}

/// What each policy would have cost and saved.
fn policies(document: &Document, width: Option<usize>) -> String {
    let commitment = document.policies.first().map_or(0.0, |row| row.commitment);
    let part = |amount: f64| percent((commitment > 0.0).then(|| amount / commitment));
    let changes = |count: Option<f64>| count.map_or_else(|| "–".to_owned(), |count| format!("{count:.1}"));
    let dash = || "–".to_owned();
    let was = &document.as_it_was;
    let best = document.policies.last();
    let beyond_best = |was: f64, of: fn(&PolicyRow) -> f64| part(was - best.map_or(0.0, of));
    let as_it_was = vec![
        "as it was".to_owned(),
        beyond_best(was.unused, |row| row.unused),
        beyond_best(was.spill, |row| row.spill),
        dollars(was.total_per_month),
        dash(),
        dash(),
        dash(),
        dash(),
    ];
    let rows = document.policies.iter().map(|row| {
        vec![
            title(&row.policy),
            part(row.avoidable_unused),
            part(row.avoidable_spill),
            dollars(row.total_per_month),
            dollars(row.saved_per_month),
            percent(Some(row.regret)),
            changes(row.patches_per_day),
            changes(row.moves_per_day),
        ]
    });
    table(
        &[
            "policy", ">unused", ">spill", ">$/month", ">saved", ">regret", ">patches", ">moves",
        ],
        &std::iter::once(as_it_was).chain(rows).collect::<Vec<_>>(),
        width,
    )
}

fn title(policy: &str) -> String {
    let known = match policy {
        "leave-alone" => "leave alone (Spot first)",
        "naive" => "naive: flip at 100 % of the report",
        "live" => "one threshold on live nodes, 95 %",
        "static" => "static weight and limit",
        other => other,
    };
    match known.strip_prefix("brimful-") {
        Some(consents) => format!("Brimful: {}", consents.replace('-', ", ")),
        None => known.to_owned(),
    }
}

fn in_words(choice: &Choice) -> String {
    format!(
        "fill {}, hold {}, drain {}, lookahead {}",
        choice.fill, choice.hold, choice.drain, choice.lookahead
    )
}

fn verdict_in_words(row: &ThresholdsRow) -> String {
    let weeks = row.best_by_week.len();
    let others = row.tried.len().saturating_sub(1);
    if row.best == row.configured {
        let stable = match (weeks, row.stable) {
            (0, _) => "in too few days to compare weeks",
            (_, true) => "in no single week either",
            (_, false) => "though in some weeks others would have been: that is luck, not a reason to change",
        };
        return format!(
            "keep yours ({}): none of {others} others would have been clearly cheaper, {stable}",
            in_words(&row.configured)
        );
    }
    let advice = match (weeks, row.stable) {
        (0 | 1, _) => "but one week tells little".to_owned(),
        (_, true) => format!("and in each of {weeks} weeks: worth a change"),
        (_, false) => format!("but not in each of {weeks} weeks: likely luck"),
    };
    format!(
        "{} would have saved {} a month more than yours ({}), {advice}",
        in_words(&row.best),
        dollars(row.best.saved_per_month),
        in_words(&row.configured)
    )
}

fn trust_in_words(trust: &Trust) -> String {
    match trust.application_order_error {
        Some(error) => format!(
            "AWS's application order, replayed on the report, misses the use that it states by {:.2} % of the commitment.",
            error * 100.0
        ),
        None => "No hour is complete enough to replay AWS's application order.".to_owned(),
    }
}
