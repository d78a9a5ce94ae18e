//! `brimful plan` and `brimful apply` for people.

use std::fmt::Write as _;

use anstyle::Style;
use chrono::{DateTime, Utc};

use super::clean;
use super::headline::Headline;
use super::json::{Applied, ApplyResult, GroupReport, PlanDocument, PoolReport};
use super::text::{BAD, CAUTION, FAINT, GOOD, HEADING, paragraph, percent, rate, table, titled};
use brimful_policy::Decision;
use brimful_policy::plan::show_limits;
use brimful_policy::weights::show;
use brimful_types::hour::human_duration;

/// Headline, groups, pools with their reasons, and what changes.
#[must_use]
pub(crate) fn render(
    headline: Option<Headline>,
    plan: &PlanDocument,
    horizon: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    width: Option<usize>,
) -> String {
    let reach = horizon.map_or_else(
        || "no past hours".to_owned(),
        |h| {
            format!(
                "reaches to {}, {} ago",
                brimful_types::hour::rfc3339(h),
                human_duration(now - h)
            )
        },
    );
    let scanned = plan.source.scanned();
    let report = format!("{}, {reach}{scanned}", plan.source.uri);
    let mut out = headline.map_or_else(String::new, |headline| first_line(headline, width));
    out.push_str(&titled("Report", &report, width));
    if !plan.groups.is_empty() {
        let _ = writeln!(
            out,
            "\n{HEADING}Savings Plans that nodes can use{HEADING:#}, at SP rates"
        );
        out.push_str(&groups(plan, width));
    }
    if !plan.node_pools.is_empty() {
        let _ = writeln!(out, "\n{HEADING}NodePools{HEADING:#}");
    }
    for pool in &plan.node_pools {
        out.push_str(&pool_lines(pool, width));
    }
    out.push('\n');
    out.push_str(&changes(plan));
    out
}

/// What people ask for first.
fn first_line(headline: Headline, width: Option<usize>) -> String {
    let text = format!("{}; {}.", headline.sentence(), headline.changes());
    format!(
        "{HEADING}{}{HEADING:#}\n\n",
        paragraph(&text, 0, width).trim_end()
    )
}

fn groups(plan: &PlanDocument, width: Option<usize>) -> String {
    let rows = plan.groups.iter().map(|group| group_cells(group).to_vec());
    let headings = [
        "GROUP",
        ">PLANS",
        ">COMMITMENT",
        ">DEMAND NOW",
        ">FULL",
        ">HEADROOM",
        ">OUR SHARE",
    ];
    table(&headings, &rows.collect::<Vec<_>>(), width)
}

/// Group, plans, commitment, demand now, full, headroom, our share.
pub(super) fn group_cells(group: &GroupReport) -> [String; 7] {
    let used = group
        .demand
        .zip(Some(group.commitment))
        .and_then(|(d, c)| d.min(c).fraction_of(c));
    [
        group.id.to_string(),
        group.plans.len().to_string(),
        group.commitment.per_hour(),
        rate(group.demand),
        percent(used),
        rate(group.headroom),
        format!("{:.0} %", group.share * 100.0),
    ]
}

fn pool_weight(pool: &PoolReport) -> String {
    if pool.weight.current == pool.weight.proposed {
        format!("weight {}", show(pool.weight.current))
    } else {
        format!(
            "weight {} → {}",
            show(pool.weight.current),
            show(pool.weight.proposed)
        )
    }
}

fn pool_limits(pool: &PoolReport) -> String {
    pool.limits.as_ref().map_or_else(String::new, |limits| {
        let (now, then) = (
            limits.current.clone().unwrap_or_default(),
            limits.proposed.clone().unwrap_or_default(),
        );
        if now == then {
            let held = now.iter().map(|(name, amount)| format!("{name} {amount}"));
            format!("  limits {}", held.collect::<Vec<_>>().join(", "))
        } else {
            format!("  {}", show_limits(&now, &then))
        }
    })
}

fn pool_lines(pool: &PoolReport, width: Option<usize>) -> String {
    let mut out = String::new();
    let style = style(pool.decision);
    let (weight, limits) = (pool_weight(pool), pool_limits(pool));
    let protection =
        pool.protection
            .map_or("", |protection| match (protection.current, protection.proposed) {
                (true, true) => "  protection on",
                (false, false) => "  protection off",
                (true, false) => "  protection on → off",
                (false, true) => "  protection off → on",
            });
    let mark = if pool.managed || pool.decision == Decision::None {
        ""
    } else {
        ", not managed"
    };
    let word = pool.decision.to_string();
    let _ = writeln!(
        out,
        "  {style}{word:<6}{style:#}  {HEADING}{}{HEADING:#}  {FAINT}{}{mark}{FAINT:#}  {weight}{limits}{protection}",
        clean::name(&pool.name),
        pool.role
    );
    out.push_str(&paragraph(&pool.reason, 10, width));
    let fitting: Vec<String> = pool
        .fits
        .iter()
        .filter(|fit| fit.count > 0)
        .take(4)
        .map(|fit| format!("{} × {}", fit.count, fit.instance_type))
        .collect();
    if pool.decision == Decision::Fill && !fitting.is_empty() {
        out.push_str(&paragraph(
            &format!("Fits one of: {}", fitting.join(", ")),
            10,
            width,
        ));
    }
    out
}

pub(super) fn style(decision: Decision) -> Style {
    match decision {
        Decision::Fill => GOOD,
        Decision::Hold | Decision::Drain => CAUTION,
        Decision::Freeze => BAD,
        Decision::None => FAINT,
    }
}

fn changes(plan: &PlanDocument) -> String {
    let mut out = String::new();
    match (plan.changes.len(), &plan.applied) {
        (0, None) => out.push_str("Nothing to change.\n"),
        (count, None) => {
            let (s, verb) = if count == 1 {
                ("", "makes it")
            } else {
                ("s", "makes them")
            };
            let _ = writeln!(
                out,
                "{HEADING}{count} change{s}{HEADING:#}; `brimful apply` {verb}."
            );
        }
        (_, Some(applied)) if applied.is_empty() => out.push_str("Nothing to change.\n"),
        (_, Some(applied)) => applied.iter().for_each(|one| out.push_str(&applied_line(one))),
    }
    out
}

/// `patched   general-committed  weight 10 → 60`
#[must_use]
pub(crate) fn applied_line(applied: &Applied) -> String {
    let (word, style) = match applied.result {
        ApplyResult::Patched => ("patched", GOOD),
        ApplyResult::Unchanged => ("unchanged", FAINT),
        ApplyResult::Conflict => ("conflict", BAD),
        ApplyResult::Refused => ("refused", BAD),
    };
    format!(
        "{style}{word:<9}{style:#}  {}  {}\n",
        clean::name(&applied.node_pool),
        clean::text(&applied.message)
    )
}
