//! `brimful plan --explain`: one pool's decision, line by line, as one would work it out on paper.

use std::fmt::Write as _;

use super::clean;
use super::plan_table::style;
use super::text::{FAINT, HEADING, paragraph, table};
use crate::analysis::Analysis;
use crate::config::Config;
use brimful_policy::arithmetic::{Arithmetic, GroupWorking, HourLevel, PlanInForce, Rule};
use brimful_policy::decision::names;
use brimful_policy::groups::GroupNow;
use brimful_policy::plan::{PoolPlan, Proposal};
use brimful_policy::prices::Source as PriceSource;
use brimful_savings_plans::nowcast::{Method, Nowcast};
use brimful_types::hour::{human_duration, rfc3339};
use brimful_types::money::Money;

mod json;
mod steering;

pub(crate) use self::json::json;

/// Columns before the text of a line.
const INDENT: usize = 15;
/// Less than this is not worth a line, $/h.
const NEGLIGIBLE: i128 = 500_000_000;

/// Everything that an explanation draws on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// The report.
    pub analysis: &'a Analysis,
    /// The settings.
    pub config: &'a Config,
    /// The plan.
    pub proposal: &'a Proposal,
}

/// The explanation of one pool's decision.
#[must_use]
pub(crate) fn render(inputs: &Inputs<'_>, plan: &PoolPlan, width: Option<usize>) -> String {
    let mut page = Page {
        out: String::new(),
        width,
    };
    title(&mut page, plan);
    report(&mut page, inputs);
    for group in inputs
        .proposal
        .groups
        .iter()
        .filter(|g| plan.groups.contains(&g.id))
    {
        page.heading(&format!("{}, at SP rates", names(&[group])));
        let working = inputs.proposal.workings.get(&group.id);
        explain_group(&mut page, group, working.unwrap_or(&GroupWorking::default()));
    }
    if let Some(arithmetic) = &plan.outcome.arithmetic {
        page.heading("Decision");
        decision(&mut page, inputs, arithmetic);
    }
    steering::weight(&mut page, inputs, plan);
    steering::limits(&mut page, plan);
    steering::protection(&mut page, plan);
    steering::top_up(&mut page, plan);
    steering::left_out(&mut page, inputs, plan);
    page.heading("Therefore");
    conclusion(&mut page, plan);
    page.out
}

/// The text so far.
struct Page {
    out: String,
    width: Option<usize>,
}

impl Page {
    fn heading(&mut self, text: &str) {
        let _ = writeln!(self.out, "\n{HEADING}{}{HEADING:#}", clean::name(text));
    }

    /// A labelled line; a long one is wrapped below its own beginning.
    fn line(&mut self, label: &str, text: &str) {
        let body = paragraph(text, INDENT, self.width);
        let room = INDENT - 2;
        let _ = write!(
            self.out,
            "  {FAINT}{label:<room$}{FAINT:#}{}",
            body.get(INDENT..).unwrap_or("\n")
        );
    }

    fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) {
        let width = self.width.map(|width| width.saturating_sub(INDENT - 1));
        for line in table(headings, rows, width).lines() {
            let _ = writeln!(self.out, "{}{line}", " ".repeat(INDENT - 1));
        }
    }
}

fn title(page: &mut Page, plan: &PoolPlan) {
    let managed = if plan.managed { "managed" } else { "not managed" };
    let style = style(plan.outcome.decision);
    let _ = writeln!(
        page.out,
        "{HEADING}{}{HEADING:#}  {}, {managed}: {style}{}{style:#}",
        clean::name(&plan.pool.name),
        plan.pool.role().as_str(),
        plan.outcome.decision
    );
}

fn report(page: &mut Page, inputs: &Inputs<'_>) {
    page.heading("Report");
    page.line("from", &inputs.analysis.source.uri);
    let now = inputs.proposal.now;
    let reach = match inputs.analysis.utilization.horizon {
        Some(horizon) => format!(
            "to {}, which is {} before now ({})",
            rfc3339(horizon),
            human_duration(now - horizon),
            rfc3339(now)
        ),
        None => "no past hours".to_owned(),
    };
    page.line("reaches", &reach);
    let maturity = human_duration(inputs.config.cur.maturity.0);
    page.line(
        "counts",
        &format!(
            "an hour counts as complete once it reconciles and ended {maturity} before the report's end"
        ),
    );
    if let Some(doubt) = &inputs.proposal.doubt {
        page.line("in doubt", doubt);
    }
}

fn explain_group(page: &mut Page, group: &GroupNow, working: &GroupWorking) {
    for plan in &working.plans {
        page.line("plan", &in_force(plan));
    }
    let ending = group.in_force - group.commitment;
    let mut commitment = format!("{} may be filled", group.commitment.per_hour());
    if ending > Money::ZERO {
        let _ = write!(
            commitment,
            " ({} in force − {} that ends shortly)",
            group.in_force.per_hour(),
            ending.per_hour()
        );
    }
    page.line("commitment", &commitment);
    if let Some(doubt) = &group.doubt {
        page.line("in doubt", doubt);
    }
    match working.newest_mature {
        Some(hour) => page.line("newest hour", &format!("{hour} is the newest complete one")),
        None => page.line(
            "newest hour",
            "no hour of these plans is complete yet: nothing is known of their use",
        ),
    }
    if !working.hours.is_empty() {
        page.line("level", &format!("it rests on {}", hours(working.hours.len())));
        levels(page, &working.hours);
    }
    if let Some(live) = &working.live {
        let counted = match working.own_now {
            None => "; they do not correct the report, whose tags do not tell this cluster's part".to_owned(),
            Some(own) if own != live.cost => {
                format!("; {} of it has a counterpart in the report", own.per_hour())
            }
            Some(_) => String::new(),
        };
        let (nodes, cost) = (nodes(live.count), live.cost.per_hour());
        page.line(
            "live now",
            &format!("{nodes} of this cluster on demand: {cost}{counted}"),
        );
    }
    if let Some(estimate) = &group.nowcast {
        demand(page, group, estimate, working);
    }
}

fn in_force(plan: &PlanInForce) -> String {
    let commitment = plan
        .commitment
        .map_or_else(|| "an unknown commitment".to_owned(), Money::per_hour);
    let end = plan
        .end
        .map(|end| format!(" until {}", rfc3339(end)))
        .unwrap_or_default();
    let soon = if plan.ends_shortly {
        ", which is so soon that it is not filled any more"
    } else {
        ""
    };
    format!("{}: {commitment}{end}{soon}", plan.short_id)
}

fn levels(page: &mut Page, hours: &[HourLevel]) {
    let is_split = hours.iter().any(|hour| hour.own.is_some());
    let is_moved = hours.iter().any(|hour| hour.moved != Money::ZERO);
    let row = |hour: &HourLevel| {
        let mut row = vec![
            hour.hour.to_string(),
            hour.used.per_hour(),
            hour.spill.per_hour(),
            (hour.used + hour.spill).per_hour(),
        ];
        if is_split {
            row.push(hour.own.unwrap_or_default().per_hour());
            row.push(hour.others().per_hour());
        }
        if is_moved {
            row.push(hour.moved.per_hour());
            row.push(hour.carried().per_hour());
        }
        row
    };
    let mut headings = vec!["HOUR", ">USED", ">+ SPILL", ">= DEMAND"];
    if is_split {
        headings.extend([">− THIS CLUSTER THEN", ">= OTHERS"]);
    }
    if is_moved {
        headings.extend([">+ CHANGE SINCE", ">= NOW"]);
    }
    page.table(&headings, &hours.iter().map(row).collect::<Vec<_>>());
}

fn demand(page: &mut Page, group: &GroupNow, estimate: &Nowcast, working: &GroupWorking) {
    let level = middle(working.hours.iter().map(HourLevel::carried).collect());
    let risen = estimate.forecast.risen;
    let base = working.own_now.unwrap_or_default() + level + risen;
    let beyond = estimate.demand - base.or_zero();
    let mut sum = match working.own_now {
        Some(own) => format!(
            "{} of others (the middle of the hours above) + {} live",
            level.per_hour(),
            own.per_hour()
        ),
        None => format!("{}, the middle of the hours above", level.per_hour()),
    };
    if risen > Money::ZERO {
        let _ = write!(
            sum,
            " + {} more that all of the newest hours show, although rows of them are still to come",
            risen.per_hour()
        );
    }
    if beyond.abs().picos() > NEGLIGIBLE {
        let sign = if beyond < Money::ZERO { "−" } else { "+" };
        let _ = write!(
            sum,
            " {sign} {} that moves between groups of plans, falls to this one from ended plans, or is foreseen beyond these hours",
            beyond.abs().per_hour()
        );
    }
    if working.own_now.is_some() || beyond.abs().picos() > NEGLIGIBLE {
        let _ = write!(sum, " = {}", estimate.demand.per_hour());
    }
    let method = match estimate.method {
        Method::Live => "the report, corrected by live Nodes",
        Method::Profile => "the report at this hour of the day",
        Method::LastMature => "the newest complete hour alone",
    };
    page.line("demand now", &format!("{sum} ({method})"));
    let range = format!("{} to {}", estimate.low.per_hour(), estimate.high.per_hour());
    page.line("range", &format!("demand is most likely {range}"));
    let headroom = group.commitment - estimate.demand;
    let mut sum = format!(
        "{} commitment − {} demand = {}",
        group.commitment.per_hour(),
        estimate.demand.per_hour(),
        headroom.per_hour()
    );
    if headroom > Money::ZERO {
        let _ = write!(
            sum,
            "; × {:.0} % of it for this cluster = {}",
            group.share * 100.0,
            group.shared(headroom).per_hour()
        );
    }
    page.line("headroom", &sum);
    to_plan_for(page, group, estimate);
}

/// The demand to plan for, and why that one.
fn to_plan_for(page: &mut Page, group: &GroupNow, estimate: &Nowcast) {
    let Some(planned) = group.planned else {
        return;
    };
    let ratio = group.ratio;
    let source = if ratio.learned {
        "what Spot costs of the on-demand price by the report"
    } else {
        "a usual Spot price over the on-demand price: the report shows no Spot"
    };
    let line = format!(
        "{}: of the {} levels that the next {} h may have (each hour's forecast with each of its past errors) {:.0} % are no higher \
         = 1 − {:.2}, {source}; above it a node more on demand costs more than it saves",
        planned.per_hour(),
        estimate.forecast.levels(group.lookahead).len(),
        group.lookahead,
        ratio.quantile() * 100.0,
        ratio.spot_ratio
    );
    page.line("to plan for", &line);
}

fn decision(page: &mut Page, inputs: &Inputs<'_>, arithmetic: &Arithmetic) {
    if arithmetic.groups.len() > 1 {
        let sum = format!(
            "{} commitment, {} demand ({} to {}) in {} groups together; one group's spill takes nothing from another's headroom",
            arithmetic.commitment.per_hour(),
            arithmetic.demand.per_hour(),
            arithmetic.low.per_hour(),
            arithmetic.high.per_hour(),
            arithmetic.groups.len()
        );
        page.line("in all", &sum);
    }
    let free = format!(
        "{} now; room to fill: {}, by the demand to plan for ({} in the next {} h)",
        arithmetic.headroom.per_hour(),
        arithmetic.room.per_hour(),
        arithmetic.planned.per_hour(),
        arithmetic.lookahead
    );
    page.line("headroom", &free);
    let source = match arithmetic.price.source {
        PriceSource::Learned => "its SP rate in the report",
        PriceSource::Described => "AWS's list of the plan's rates: the report has not seen it yet",
        PriceSource::Family => "by the SP rates of other sizes of its family: its own was not seen yet",
        PriceSource::OnDemand => "its on-demand price: no SP rate seen yet",
        PriceSource::Assumed => "assumed: the report has never seen it",
    };
    let node = format!(
        "{} at {} ({source})",
        arithmetic.node,
        arithmetic.price.rate.per_hour()
    );
    page.line("cheapest", &node);
    if arithmetic.worth_filling_from > Money::ZERO {
        let launches = format!(
            "with room of {} or more, what the pools launch at a time is better on demand than on Spot",
            arithmetic.worth_filling_from.per_hour()
        );
        page.line("launches", &launches);
    }
    let start = format!("room of {} or more", arithmetic.to_start.per_hour());
    page.line("to start", &start);
    let on = format!(
        "after a fill, room of more than {}",
        arithmetic.to_go_on.per_hour()
    );
    page.line("to go on", &on);
    let drain = format!(
        "the demand to plan for exceeds the commitments in force by more than {}, for {}",
        arithmetic.to_drain.per_hour(),
        human_duration(inputs.config.policy.dwell.0)
    );
    page.line("to drain", &drain);
    page.line("rule", &rule(arithmetic));
}

/// Which comparison spoke.
fn rule(arithmetic: &Arithmetic) -> String {
    let threshold = arithmetic.threshold().per_hour();
    let room = arithmetic.room.per_hour();
    let excess = arithmetic.excess.per_hour();
    let since = arithmetic.over_since.map(rfc3339).unwrap_or_default();
    match arithmetic.rule {
        Rule::BeyondCap => {
            "live on-demand nodes cost more beyond the commitment than policy.maxExtraOnDemand: hold"
                .to_owned()
        }
        Rule::Spent => format!(
            "{} was added since the fill began, as much as the {room} that was free: hold",
            arithmetic.spent.unwrap_or_default().per_hour()
        ),
        Rule::Starts => format!("{room} ≥ {threshold} to start: fill"),
        Rule::GoesOn => {
            format!("{room} would not start a fill, but one is under way, and {room} > {threshold}: fill")
        }
        Rule::Drains => format!("{excess} > {threshold}, since {since} or longer: drain"),
        Rule::NotYetDrains => {
            format!("{excess} > {threshold}, but only since {since}: hold, and drain if it lasts")
        }
        Rule::TooLittle => format!("{room} < {threshold} to start, and no fill goes on: hold"),
        Rule::Full => format!("nothing is free, and no excess to give back ({excess}): hold"),
    }
}

fn conclusion(page: &mut Page, plan: &PoolPlan) {
    let word = plan.outcome.decision.to_string();
    page.line(&word, &plan.outcome.reason);
    let change = match (plan.changes() || plan.restore, plan.managed) {
        (true, _) => plan.change(),
        (false, true) => "nothing changes".to_owned(),
        (false, false) => "nothing changes: the pool is not managed".to_owned(),
    };
    page.line("change", &change);
}

/// The middle of some amounts: of an even number the mean of both in the middle.
fn middle(mut amounts: Vec<Money>) -> Money {
    amounts.sort_unstable();
    let half = amounts.len() / 2;
    match amounts.get(half) {
        None => Money::ZERO,
        Some(upper) if amounts.len() % 2 == 1 => *upper,
        Some(upper) => Money::from_picos((amounts[half - 1] + *upper).picos() / 2),
    }
}

fn hours(count: usize) -> String {
    match count {
        1 => "this complete hour of the report".to_owned(),
        count => format!("these {count} complete hours of the report"),
    }
}

fn nodes(count: usize) -> String {
    match count {
        1 => "1 node".to_owned(),
        count => format!("{count} nodes"),
    }
}
