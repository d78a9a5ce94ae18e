//! `brimful backtest` for people.

use std::fmt::Write as _;

use super::backtest::{Choice, Document, ThresholdsRow, Trust};
use super::clean;
use super::text::{FAINT, GOOD, HEADING, paragraph, percent, table};

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
        "{FAINT}plans {} · {:.0} nodes of {:.1} vCPU in the mean · $/h per vCPU: plan {:.4}, on demand {:.4}, Spot {:.4}{FAINT:#}\n",
        clean::name(&model.groups.join(", ")),
        model.mean_nodes,
        model.node_vcpu,
        model.savings_plan_per_vcpu,
        model.on_demand_per_vcpu,
        model.spot_per_vcpu
    );
    out += &policies(document, width);
    out += "\n";
    out += &paragraph(
        "Unused commitment and spill that foresight would have avoided (negative: it accepts more), and cost beyond foresight's: % of \
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

/// What each policy would have cost and saved.
fn policies(document: &Document, width: Option<usize>) -> String {
    let commitment = document.policies.first().map_or(0.0, |row| row.commitment);
    let part = |amount: f64| percent((commitment > 0.0).then(|| amount / commitment));
    let changes = |count: Option<f64>| count.map_or_else(|| "–".to_owned(), |count| format!("{count:.1}"));
    let rows = document.policies.iter().map(|row| {
        vec![
            title(&row.policy),
            part(row.avoidable_unused),
            part(row.avoidable_spill),
            format!("${:.0}", row.total_per_month),
            format!("${:.0}", row.saved_per_month),
            percent(Some(row.regret)),
            changes(row.patches_per_day),
            changes(row.moves_per_day),
        ]
    });
    table(
        &[
            "policy", ">unused", ">spill", ">$/month", ">saved", ">regret", ">patches", ">moves",
        ],
        &rows.collect::<Vec<_>>(),
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
        "{} would have saved ${:.0} a month more than yours ({}), {advice}",
        in_words(&row.best),
        row.best.saved_per_month,
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
