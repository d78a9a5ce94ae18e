//! How a decision is carried out: the weight among the rivals', the limits, and which plans were left out.

use super::{Inputs, Page, rfc3339};
use brimful_karpenter::Role;
use brimful_policy::Decision;
use brimful_policy::arithmetic::rivals;
use brimful_policy::decision::names;
use brimful_policy::limits::{LimitSum, Vcpu};
use brimful_policy::plan::{PoolPlan, show_limits};
use brimful_policy::top_up::TopUp;
use brimful_policy::weights::show;
use brimful_types::hour::human_duration;
use brimful_types::money::Money;

/// The pool among those that could take its pods.
pub(super) fn weight(page: &mut Page, inputs: &Inputs<'_>, plan: &PoolPlan) {
    let (rivals, apart) = rivals(plan, &inputs.proposal.pools);
    page.heading("Weight");
    if rivals.len() < 2 {
        page.line("rivals", "none: no other pool can take its pods");
    } else {
        page.line("order", "in which Karpenter tries these pools after the plan");
        let row = |rival: &brimful_policy::arithmetic::Rival| {
            let mark = if rival.name == plan.pool.name {
                "this pool"
            } else {
                ""
            };
            vec![
                rival.name.clone(),
                rival.role.as_str().to_owned(),
                show(rival.now),
                show(rival.then),
                mark.to_owned(),
            ]
        };
        let rows: Vec<_> = rivals.iter().map(row).collect();
        page.table(&["NODEPOOL", "ROLE", ">NOW", ">THEN", ""], &rows);
    }
    if !apart.is_empty() {
        let apart = apart.join(", ");
        page.line(
            "apart",
            &format!("taints or labels keep its pods apart from {apart}"),
        );
    }
}

/// How much capacity the commitments pay for.
pub(super) fn limits(page: &mut Page, plan: &PoolPlan) {
    if let Some(sum) = &plan.limit_sum {
        page.heading("Limits");
        limit_sum(page, plan, sum);
    } else if plan.by_limits || plan.changes_limits() {
        page.heading("Limits");
        page.line("set", &limit_change(plan));
    }
}

/// Whether consolidation may take its nodes.
pub(super) fn protection(page: &mut Page, plan: &PoolPlan) {
    let Some(protection) = plan.protection else { return };
    page.heading("Protection");
    let what = |is_on| if is_on { "on" } else { "off" };
    page.line("now", what(protection.current));
    let then = if protection.proposed {
        "on: it runs no more than its target and one node, and consolidation takes none that is in use"
    } else {
        "off, and on again by itself within 20 minutes unless a run renews it: it runs more than its target and one node, and \
         consolidation may take them at the pace of its other budgets"
    };
    page.line("then", then);
}

/// Which Spot node moves over to it.
pub(super) fn top_up(page: &mut Page, plan: &PoolPlan) {
    let Some(top_up) = &plan.top_up else { return };
    page.heading("Top-up");
    match top_up {
        TopUp::Moves(one) => page.line("moves", &one.describe()),
        TopUp::Waits(why) => page.line("waits", why),
    }
}

fn limit_sum(page: &mut Page, plan: &PoolPlan, sum: &LimitSum) {
    let member = &sum.member;
    page.line("runs now", &cores(member.running));
    for (group, part) in &sum.parts {
        let verb = if *part < Money::ZERO {
            "gives back"
        } else {
            "may take"
        };
        let room = format!(
            "{verb} {} of {group}, at {} per vCPU of the nodes it launches",
            part.abs().per_hour(),
            member.mix.per_vcpu(group).per_hour()
        );
        page.line("room", &room);
    }
    let target = match member.decision {
        Decision::Hold => format!("{}: a full pool keeps what it has", cores(sum.fresh)),
        _ if member.rooms.is_empty() => format!("{}: no plan pays for it any more", cores(sum.fresh)),
        _ if sum.parts.values().any(|part| *part < Money::ZERO) => {
            format!("{} = what runs, less what must be given back", cores(sum.fresh))
        }
        _ => format!("{} = what runs, and what the room pays for", cores(sum.fresh)),
    };
    page.line("target", &target);
    if let Some(ceiling) = member.ceiling {
        page.line("own limit", &format!("{}, never exceeded", cores(ceiling)));
    }
    if let Some(standing) = member.standing {
        let off = member.mix.price(sum.fresh.0 - standing.0);
        let latch = format!(
            "{} since it was set; the target is {} of nodes away, and moves it beyond {} or when the decision changes",
            cores(standing),
            off.abs().per_hour(),
            member.band.per_hour()
        );
        page.line("stands", &latch);
        if !member.may_rise {
            page.line("dwell", "it was changed lately, so it does not rise yet");
        }
    }
    page.line("set", &format!("{} (whole vCPU)", limit_change(plan)));
}

fn limit_change(plan: &PoolPlan) -> String {
    if plan.changes_limits() {
        return show_limits(&plan.pool.limits, &plan.limits);
    }
    let held = plan.pool.limits.iter();
    let held: Vec<String> = held.map(|(name, amount)| format!("{name} {amount}")).collect();
    format!("limits stay: {}", held.join(", "))
}

/// Groups, plans and hours that do not count.
pub(super) fn left_out(page: &mut Page, inputs: &Inputs<'_>, plan: &PoolPlan) {
    let groups = plan.left_out.iter().filter_map(|(id, why)| {
        let group = inputs.proposal.groups.iter().find(|group| group.id == *id)?;
        Some(format!("{}: {why}", names(&[group])))
    });
    let counted = plan.outcome.arithmetic.as_ref();
    let new = inputs.proposal.groups.iter().filter(|group| {
        let pays = plan.groups.contains(&group.id);
        pays && counted.is_some_and(|arithmetic| !arithmetic.groups.contains(&group.id))
    });
    let new = new.map(|group| format!("{}: no complete hour of them yet", names(&[group])));
    let now = inputs.proposal.now;
    let committed = plan.pool.role() == Role::Committed;
    let plans = inputs.analysis.utilization.plans.iter().filter(|_| committed);
    let plans = plans.filter_map(|entry| {
        let plan = &entry.plan;
        let why = if !plan.kind.covers_nodes() {
            "a plan of its kind pays for no node".to_owned()
        } else if !plan.shared {
            "it does not reach this cluster's account, by sharing.accounts or by what the report shows"
                .to_owned()
        } else if let Some(end) = plan.ends().filter(|end| *end <= now) {
            format!("it ended at {}, {} ago", rfc3339(end), human_duration(now - end))
        } else if let Some(start) = plan.start.filter(|start| *start > now) {
            format!("it begins at {}", rfc3339(start))
        } else if plan.group().is_none() {
            "its family or region is not known".to_owned()
        } else {
            return None;
        };
        Some(format!("{}: {why}", plan.short_id()))
    });
    let all: Vec<String> = groups.chain(new).chain(plans).collect();
    if all.is_empty() {
        return;
    }
    page.heading("Left out");
    for one in all {
        page.line("", &one);
    }
}

/// `28 vCPU`, `1.93 vCPU`.
fn cores(cpu: Vcpu) -> String {
    #[allow(clippy::cast_precision_loss)] // vCPU of a cluster
    let cores = cpu.0 as f64 / 1000.0;
    format!("{} vCPU", (cores * 100.0).round() / 100.0)
}
