//! The `NodePool`s: what keeps plans from being steered to them, and what they are to Brimful where nothing does.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Check, Group};
use crate::config::Config;
use brimful_karpenter::{InstanceTypes, NodePool, Role};
use brimful_policy::Decision;
use brimful_policy::annotations::{Baseline, MANAGED_LABEL, has_set_limits, is_marked};
use brimful_policy::cures;
use brimful_policy::eligibility::before_spot;
use brimful_policy::guards::{BUILT_IN, hands_off, not_committed, switches_protection};
use brimful_policy::limits::{binding, no_overflow, overflow, smallest_node, wished};
use brimful_policy::names;
use brimful_policy::patch::own_limits;
use brimful_policy::plan::{PoolPlan, Proposal};
use brimful_policy::pools::{Pool, Pools};
use brimful_policy::weights::{PoolPosition, WeightGoal, show, weights};
use brimful_types::warning::{Warning, WarningCode};

mod owners;
mod top_up;

use owners::owners;
use top_up::top_up;

/// Every check of the pools. `plan` makes the plan for them by a configuration, whether the report could be read or
/// not. As long as no pool is opted in for plans to pay, those that could be are judged as if they were.
#[must_use]
pub(crate) fn checks(config: &Config, now: DateTime<Utc>, plan: impl Fn(&Config) -> Proposal) -> Vec<Check> {
    let proposal = plan(config);
    let offered = offered(&proposal);
    let mut checks = vec![managed(&proposal, &offered)];
    checks.extend(no_such(&proposal, config));
    checks.extend(top_up(&proposal, config));
    if proposal.pools.iter().any(is_steered) || offered.is_empty() {
        checks.extend(of_each(&proposal, config, now));
        return checks;
    }
    let mut labelled = config.clone();
    labelled.node_pools.names.extend(offered.iter().cloned());
    let supposed = of_each(&plan(&labelled), &labelled, now).into_iter();
    checks.extend(supposed.map(|check| {
        let is_offered = check.subject.as_ref().is_some_and(|name| offered.contains(name));
        if !is_offered || check.id == "not-ready" {
            return check;
        }
        Check {
            message: format!("once labelled: {}", check.message),
            ..check
        }
    }));
    checks
}

/// Names that choose nothing; those of `topUp.from` have a check of their own.
fn no_such(proposal: &Proposal, config: &Config) -> Vec<Check> {
    let pools = proposal.pools.iter().map(|plan| plan.pool.name.clone());
    let unknown = names::no_such("nodePools.names", &config.node_pools.names, &pools.collect());
    let check = |warning| {
        Check::warning(Group::NodePools, warning)
            .cure("name a NodePool of this cluster in nodePools.names, or take the name out")
    };
    unknown.iter().map(check).collect()
}

/// True for pools that are opted in and that plans can pay for.
fn is_steered(plan: &PoolPlan) -> bool {
    plan.managed && not_committed(&plan.pool).is_none()
}

/// Pools that plans could pay for if they were opted in, and those that are.
fn offered(proposal: &Proposal) -> Vec<String> {
    let fit = |plan: &&PoolPlan| not_committed(&plan.pool).is_none() && !plan.pool.deleting;
    let fit = proposal.pools.iter().filter(fit);
    fit.map(|plan| plan.pool.name.clone()).collect()
}

fn managed(proposal: &Proposal, offered: &[String]) -> Check {
    const ID: &str = "managed";
    let who = || {
        if offered.is_empty() {
            "no NodePool launches only on-demand capacity: make one with the requirement\n\
             - key: karpenter.sh/capacity-type\n  operator: In\n  values: [on-demand]"
                .to_owned()
        } else {
            cures::opt_in(&offered.iter().map(String::as_str).collect::<Vec<_>>())
        }
    };
    let all = &proposal.pools;
    let managed = all.iter().filter(|plan| plan.managed).count();
    if managed == 0 {
        let message = "no NodePool is managed: `apply` changes nothing";
        return Check::warn(Group::NodePools, ID, message).cure(who());
    }
    let committed = all.iter().filter(|plan| is_steered(plan)).count();
    let message = format!(
        "{managed} of {} NodePools may be changed, {committed} of them for plans to pay",
        all.len()
    );
    if committed > 0 {
        Check::ok(Group::NodePools, ID, message)
    } else {
        Check::warn(Group::NodePools, ID, message).cure(who())
    }
}

/// The checks of each pool by the plan for it.
fn of_each(proposal: &Proposal, config: &Config, now: DateTime<Utc>) -> Vec<Check> {
    let pools: BTreeMap<String, NodePool> = proposal
        .pools
        .iter()
        .map(|plan| (plan.pool.name.clone(), plan.pool.clone()))
        .collect();
    let look = Look {
        proposal,
        config,
        now,
        supposed: supposed(proposal, &pools, config),
        pools,
    };
    let mut checks = Vec::new();
    for plan in &proposal.pools {
        let found = look.pool(plan);
        if found.is_empty() {
            checks.push(Check::ok(Group::NodePools, "nodepool", summary(plan)).about(&plan.pool.name));
        } else {
            checks.extend(found.into_iter().map(|check| check.about(&plan.pool.name)));
        }
    }
    checks
}

/// Warnings of the weights that the managed pools would get if all of them filled, and if all that may yielded: the
/// hazards of tomorrow's decision, whatever today's is.
fn supposed(proposal: &Proposal, pools: &BTreeMap<String, NodePool>, config: &Config) -> Vec<Warning> {
    let among = Pools::new(pools.values(), InstanceTypes::bundled());
    let stands = |want: &dyn Fn(&NodePool) -> WeightGoal| {
        let stand = |plan: &PoolPlan| PoolPosition {
            want: if is_steered(plan) {
                want(&plan.pool)
            } else {
                WeightGoal::Keep
            },
            managed: plan.managed,
            movable: plan.managed && !plan.pool.is_built_in(),
            committed: is_steered(plan) && want(&plan.pool) == WeightGoal::Fill,
            baseline: Baseline::recorded(&plan.pool)
                .ok()
                .flatten()
                .and_then(|baseline| baseline.weight),
        };
        let stands = proposal
            .pools
            .iter()
            .map(|plan| (plan.pool.name.clone(), stand(plan)));
        weights(&among, &stands.collect(), config.weights).warnings
    };
    let mut warnings = stands(&|_| WeightGoal::Keep);
    warnings.extend(stands(&|_| WeightGoal::Fill));
    warnings.extend(stands(&|pool| {
        if pool.protected_from_consolidation() || switches_protection(pool, &config.settings()).0 {
            WeightGoal::Yield
        } else {
            WeightGoal::Keep
        }
    }));
    warnings.sort();
    warnings.dedup_by(|a, b| (a.code, &a.node_pool) == (b.code, &b.node_pool));
    warnings
}

struct Look<'a> {
    proposal: &'a Proposal,
    config: &'a Config,
    now: DateTime<Utc>,
    supposed: Vec<Warning>,
    pools: BTreeMap<String, NodePool>,
}

impl Look<'_> {
    fn pool(&self, plan: &PoolPlan) -> Vec<Check> {
        let pool = &plan.pool;
        let mut checks: Vec<Check> = self.role(plan).into_iter().collect();
        checks.extend(self.warnings_of(plan));
        if pool.is_unready() {
            let message = "it is not Ready: Karpenter launches nothing from it, and pods go to the next pool";
            checks.push(warn("not-ready", message).cure(format!("kubectl describe nodepool {}", pool.name)));
        }
        if !plan.managed {
            return checks;
        }
        if not_committed(pool).is_none() {
            self.hold(pool, &mut checks);
        }
        checks.extend(at_limit(pool));
        checks.extend(owners(
            pool,
            wished(pool, &self.config.settings()).unwrap_or(false),
        ));
        checks
    }

    /// What keeps the pool from being steered at all.
    fn role(&self, plan: &PoolPlan) -> Option<Check> {
        let pool = &plan.pool;
        let why = not_committed(pool)?;
        if pool.is_built_in() {
            // The label would not stay, so it is named in the configuration.
            let check = || warn("built-in", BUILT_IN).cure(cures::own_auto_mode_pool());
            return plan.managed.then(check);
        }
        let matters = plan.managed || self.rivals_a_managed_one(pool);
        match pool.role() {
            Role::Mixed if matters => Some(warn("mixed", why).cure(cures::split(&pool.name))),
            Role::None if plan.managed && pool.is_static() => Some(
                warn("static", why).cure(format!("kubectl label nodepool {} {MANAGED_LABEL}-", pool.name)),
            ),
            Role::None if plan.managed => Some(warn("not-steerable", why)),
            _ => None,
        }
    }

    fn rivals_a_managed_one(&self, pool: &NodePool) -> bool {
        let managed = self.proposal.pools.iter().filter(|plan| is_steered(plan));
        managed
            .into_iter()
            .any(|plan| plan.pool.name != pool.name && pool.is_open_to_pods_of(&plan.pool))
    }

    /// What the plan warns of, and what it would if other decisions were due.
    fn warnings_of(&self, plan: &PoolPlan) -> Vec<Check> {
        let pool = &plan.pool;
        let about = |warning: &&Warning| warning.node_pool.as_ref() == Some(&pool.name);
        // What holds for the whole report is said there.
        let by_report = self.proposal.doubt.is_some() && !self.has_own_reason(plan);
        let of_report = |warning: &&Warning| warning.code == WarningCode::Frozen && by_report;
        let planned: Vec<&Warning> = self
            .proposal
            .warnings
            .iter()
            .filter(about)
            .filter(|warning| !of_report(warning))
            .collect();
        let codes: Vec<WarningCode> = planned.iter().map(|warning| warning.code).collect();
        let more = self
            .supposed
            .iter()
            .filter(about)
            .filter(|warning| !codes.contains(&warning.code));
        let all = planned.iter().copied().chain(more);
        all.map(|warning| match warning.code {
            WarningCode::Tie => Check::warning(Group::NodePools, warning)
                .cure("give them weights 10 apart: Brimful needs room in between"),
            _ => Check::warning(Group::NodePools, warning),
        })
        .collect()
    }

    /// True when the pool would freeze whatever the report says: the planner asks for these reasons before it looks at
    /// the report.
    fn has_own_reason(&self, plan: &PoolPlan) -> bool {
        let pool = &plan.pool;
        let known = self.proposal.state.node_pools.get(&pool.name);
        let is_replaced = known.is_some_and(|known| known.memory.marked) && !is_marked(pool);
        plan.managed && (is_replaced || hands_off(pool, &self.config.settings(), self.now).is_some())
    }

    /// What keeps a full pool full: limits where they are wished and can be, else protection from consolidation.
    fn hold(&self, pool: &NodePool, checks: &mut Vec<Check>) {
        let types = InstanceTypes::bundled();
        let is_steered = |other: &Pool<'_>| self.is_steered(other);
        let pools = Pools::new(self.pools.values(), types);
        let overflow = overflow(pool, &pools, None, is_steered);
        let spills_to_spot = before_spot(pool, &pools, |pool| pool.effective_weight(), is_steered).is_empty();
        let is_shown = |id: &str, checks: &[Check]| checks.iter().any(|check| check.id == id);
        match (wished(pool, &self.config.settings()), overflow) {
            (Ok(true), Ok(_)) => checks.extend(undrainable(pool)),
            (Ok(true), Err(lacks)) => {
                if !is_shown("no-overflow", checks) && !is_shown("overflow-lost", checks) {
                    checks.push(Check::warning(Group::NodePools, &no_overflow(pool, &lacks)));
                }
            }
            (Ok(false), overflow) => {
                if !is_shown("unprotected", checks) {
                    checks.extend(self.protection(pool));
                }
                if let (Some(check), Ok(other)) = (
                    checks
                        .iter_mut()
                        .find(|check| spills_to_spot && check.id == "unprotected"),
                    overflow,
                ) {
                    let yaml = check.cure.take().unwrap_or_default();
                    *check = check
                        .clone()
                        .cure(cures::or_limits(&yaml, &pool.name, &other.name));
                }
            }
            (Err(doubt), _) => {
                if !is_shown(doubt.code.as_str(), checks) {
                    checks.push(Check::warning(Group::NodePools, &doubt));
                }
            }
        }
    }

    fn is_steered(&self, pool: &NodePool) -> bool {
        let plans = &self.proposal.pools;
        not_committed(pool).is_none()
            && plans
                .iter()
                .any(|plan| plan.managed && plan.pool.name == pool.name)
    }

    fn protection(&self, pool: &NodePool) -> Option<Check> {
        let pools = Pools::new(self.pools.values(), InstanceTypes::bundled());
        let rival = pools.rivals(pool).max_by_key(|rival| rival.effective_weight())?;
        if pool.protected_from_consolidation() || switches_protection(pool, &self.config.settings()).0 {
            return None;
        }
        let message = format!(
            "consolidation may replace its nodes by Spot of {}: when its plans are full, Brimful has to keep its weight high",
            rival.name
        );
        Some(warn("unprotected", message).cure(cures::protection(pool)))
    }
}

/// A pool whose limits are managed, and from which nothing but churn takes nodes (`docs/karpenter-behaviour.md`).
fn undrainable(pool: &NodePool) -> Option<Check> {
    let message = "its limits are managed, and it is protected from consolidation: a drain waits until its pods go by themselves. \
                   Limits keep covered nodes without that protection";
    let cure = "# without a budget of 0 for Underutilized:\nspec:\n  disruption:\n    consolidationPolicy: WhenEmptyOrUnderutilized";
    pool.protected_from_consolidation()
        .then(|| warn("undrainable", message).cure(cure))
}

fn warn(id: &'static str, message: impl Into<String>) -> Check {
    Check::warn(Group::NodePools, id, message)
}

/// Limits that leave no room for a node: the user's own, where Brimful has lowered them.
fn at_limit(pool: &NodePool) -> Option<Check> {
    let limits = own_limits(pool)?;
    let node = smallest_node(pool, InstanceTypes::bundled());
    let resource = binding(&limits, &pool.resources, node)?;
    let limit = &limits[resource];
    let used = pool.resources.get(resource).map_or("0", String::as_str);
    let message = format!(
        "its own limit leaves no room for a node ({resource} {used} of {limit}): Karpenter launches nothing more from it, whatever its weight"
    );
    let raise = format!("# more than {limit}, as far as the plans pay:\nspec:\n  limits:\n    {resource}: …");
    let cure = if has_set_limits(pool) {
        // An edit of what Brimful has set would freeze the pool as contested.
        format!(
            "# first, since the limits that stand are Brimful's:\nbrimful reset --nodepool {}\n{raise}",
            pool.name
        )
    } else {
        raise
    };
    Some(warn("at-limit", message).cure(cure))
}

/// `committed, managed, weight 60, protected from consolidation; compute pays`
fn summary(plan: &PoolPlan) -> String {
    let pool = &plan.pool;
    let managed = if plan.managed { "managed" } else { "not managed" };
    let mut text = format!(
        "{}, {managed}, weight {}",
        pool.role().as_str(),
        show(pool.weight)
    );
    if let Some(why) = not_committed(pool).filter(|_| pool.role() == Role::None || pool.is_built_in()) {
        return format!("{text}; {why}");
    }
    if pool.role() == Role::Committed && pool.protected_from_consolidation() {
        text.push_str(", protected from consolidation");
    }
    if !plan.groups.is_empty() {
        let groups: Vec<String> = plan.groups.iter().map(ToString::to_string).collect();
        text = format!("{text}; {} can pay", groups.join(" and "));
    }
    if plan.managed && plan.outcome.decision != Decision::None && plan.outcome.decision != Decision::Freeze {
        text = format!("{text}; now: {}", plan.outcome.decision);
    }
    text
}

#[cfg(test)]
mod tests;
