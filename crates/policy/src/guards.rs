//! Why a pool is left as it is: it cannot be steered, somebody wants it so, or its nodes are about to be replaced.

use chrono::{DateTime, Duration, Utc};

use super::annotations::{
    BASELINE, Baseline, DECISION, DecisionRecord, GRIPS, MANAGED_LABEL, is_paused, set_budgets,
};
use super::cures::{ignore_differences, indented, protection};
use super::limits::same;
use super::plan::show_limits;
use super::protection::{MAX_ENTRIES, same_entries, without_own};
use super::weights::show;
use crate::settings::{Grip, Grips, NodePoolsConfig, Settings};
use brimful_karpenter::cluster::FIELD_MANAGER;
use brimful_karpenter::nodepool::FieldManager;
use brimful_karpenter::{NodeClaim, NodePool, Role};
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};

/// Nodes that expire within so many hours count as a roll-out.
const ROLL_OUT_WITHIN: i64 = 6;

/// True for pools that are opted in: by their label, the configuration's selector, or its names.
#[must_use]
pub fn is_managed(pool: &NodePool, chosen: &NodePoolsConfig) -> bool {
    let labelled = pool
        .labels
        .get(MANAGED_LABEL)
        .is_some_and(|value| value == "true");
    let selected = !chosen.selector.is_empty()
        && chosen
            .selector
            .iter()
            .all(|(key, value)| pool.labels.get(key) == Some(value));
    labelled || selected || chosen.names.contains(&pool.name)
}

/// By what a pool may be steered: its annotation, else the configuration; and what is wrong with the annotation.
#[must_use]
pub fn consented(pool: &NodePool, config: &Settings) -> (Grips, Option<Warning>) {
    let chosen = || config.chosen_grips();
    match pool.annotations.get(GRIPS).map(|text| Grips::parse(text)) {
        Some(Ok(grips)) => (grips, None),
        Some(Err(why)) => {
            let message = format!("its annotation {GRIPS}: {why}; it is steered as the configuration says");
            (
                chosen(),
                Some(Warning::of_pool(WarningCode::Grips, &pool.name, message)),
            )
        }
        None => (chosen(), None),
    }
}

/// Tools that write their own values again and again, by how their field managers' names begin.
const TOOLS: [&str; 8] = [
    "argocd",
    "kustomize-controller",
    "helm",
    "flux",
    "terraform",
    "pulumi",
    "kapp",
    "fleet",
];

/// True for a tool that writes its own values again and again, by its name.
#[must_use]
pub fn is_tool(manager: &FieldManager) -> bool {
    let name = manager.manager.to_ascii_lowercase();
    TOOLS.iter().any(|tool| name.starts_with(tool))
}

/// A tool that writes the field again and again; people with kubectl edit, patch or apply do not.
#[must_use]
pub fn reasserts(managers: &[FieldManager]) -> Option<&str> {
    // Server-side apply: what declares a field so will declare it again.
    let applies = |manager: &FieldManager| manager.operation == "Apply" && manager.manager != FIELD_MANAGER;
    let mut newest_first = managers.iter().rev();
    let found = newest_first.find(|manager| is_tool(manager) || applies(manager))?;
    Some(&found.manager)
}

/// Whether Brimful switches the pool's protection from consolidation; else what keeps it from it, if it was consented to.
#[must_use]
pub fn switches_protection(pool: &NodePool, config: &Settings) -> (bool, Option<Warning>) {
    let (grips, unclear) = consented(pool, config);
    if !grips.allow(Grip::Disruption) {
        return (false, unclear);
    }
    let no = |code, message| (false, Some(Warning::of_pool(code, &pool.name, message)));
    if pool.protected_from_consolidation() {
        let message = "its own budgets or consolidation policy protect it always, and Brimful never takes away what is yours: what it has \
                       beyond its target goes only as pods go. Remove that (an entry of nodes 0 for Underutilized, WhenEmpty, or \
                       consolidateAfter Never), and Brimful protects it as long as its plans pay for its nodes";
        return no(WarningCode::AlwaysProtected, message.to_owned());
    }
    if set_budgets(pool).is_some() {
        return (true, unclear);
    }
    if let Some(tool) = reasserts(&pool.budgets_managers).filter(|_| !pool.annotations.contains_key(GRIPS)) {
        let message = format!(
            "{tool} sets spec.disruption.budgets and would set them back: its protection is not switched. Have it ignore them, and say so \
             with the annotation {GRIPS} on the pool. Argo CD:\n{}",
            indented(&ignore_differences(&pool.name, &["/spec/disruption/budgets"]))
        );
        return no(WarningCode::BudgetsDeclared, message);
    }
    let own = pool
        .budgets
        .as_deref()
        .map_or(0, |budgets| without_own(budgets).len());
    if own >= MAX_ENTRIES {
        let message =
            format!("it has {own} budgets, and Karpenter takes no more: its protection is not switched");
        return no(WarningCode::BudgetsFull, message);
    }
    (true, unclear)
}

/// Why EKS Auto Mode's own pools stay as they are.
pub const BUILT_IN: &str = "is a built-in pool of EKS Auto Mode, which cannot be modified (AWS overwrites changes): give the plans a pool of your \
                            own beside it (`brimful doctor` shows one)";

/// Why plans cannot be steered to a pool, if so.
#[must_use]
pub fn not_committed(pool: &NodePool) -> Option<String> {
    match pool.role() {
        Role::Committed if pool.is_built_in() => Some(BUILT_IN.to_owned()),
        Role::Committed => None,
        Role::Spot => Some("launches Spot, which no Savings Plan covers".to_owned()),
        Role::Mixed => Some(
            "launches on-demand and Spot, and Karpenter takes Spot first: no weight steers inside a pool. Split it into one pool with \
             karpenter.sh/capacity-type In [on-demand] and one with In [spot]"
                .to_owned(),
        ),
        Role::None if !pool.is_v1() => Some(format!("is of {}: Brimful steers karpenter.sh/v1 (Karpenter 1.0 or newer)", pool.api_version)),
        Role::None if pool.is_static() => Some("is static (spec.replicas): Karpenter allows no weight on it".to_owned()),
        Role::None if pool.other_provider().is_some() => Some(format!(
            "launches machines of another provider (its nodeClassRef is of group {}), which no AWS Savings Plan covers",
            pool.other_provider().unwrap_or_default()
        )),
        Role::None => Some("its requirements allow no capacity type".to_owned()),
    }
}

/// True while somebody wants the pool left alone: the configuration, its annotation, or a blackout.
#[must_use]
pub fn is_held_on_purpose(pool: &NodePool, config: &Settings, now: DateTime<Utc>) -> bool {
    config.paused
        || is_paused(pool)
        || config
            .policy
            .blackouts
            .iter()
            .any(|blackout| blackout.covers(now))
}

/// Why Brimful keeps its hands off a managed pool, if so.
#[must_use]
pub fn hands_off(pool: &NodePool, config: &Settings, now: DateTime<Utc>) -> Option<String> {
    if config.paused {
        return Some("paused by the configuration".to_owned());
    }
    if is_paused(pool) {
        return Some("paused by its annotation brimful.dev/paused".to_owned());
    }
    if config
        .policy
        .blackouts
        .iter()
        .any(|blackout| blackout.covers(now))
    {
        return Some("a blackout of the configuration is on".to_owned());
    }
    if pool.is_built_in() {
        return Some(BUILT_IN.to_owned());
    }
    let (there, gone) = match (DecisionRecord::recorded(pool), Baseline::recorded(pool)) {
        (_, Err(damage)) => {
            return Some(format!(
                "{damage}: restore it; or set weight and limits as they should be without Brimful, and remove Brimful's annotations"
            ));
        }
        (Err(damage), _) => {
            return Some(format!(
                "{damage}: run `brimful reset --nodepool {}` to start afresh from what was there before Brimful",
                pool.name
            ));
        }
        (Ok(Some(record)), Ok(Some(_))) => return contest(pool, &record),
        (Ok(None), Ok(None)) => return None,
        (Ok(Some(_)), Ok(None)) => (DECISION, BASELINE),
        (Ok(None), Ok(Some(_))) => (BASELINE, DECISION),
    };
    Some(format!(
        "somebody removed its annotation {gone} and left {there}: set weight and limits as they should be without Brimful, and remove \
         that, too, to start afresh"
    ))
}

/// Why a pool that Brimful has steered and that carries nothing of it any more is left alone.
#[must_use]
pub fn replaced_whole(pool: &NodePool) -> String {
    let who = last_other(&pool.weight_managers).unwrap_or("somebody");
    format!(
        "{who} replaced it whole, Brimful's annotations included: contested. Have the tool apply changes instead of replacing objects \
         (Argo CD: without Replace=true), and leave spec.weight and spec.limits out of Git; then run `brimful reset --nodepool {}`",
        pool.name
    )
}

/// Who but Brimful owned a field last.
fn last_other(managers: &[FieldManager]) -> Option<&str> {
    let mut names = managers.iter().rev().map(|manager| manager.manager.as_str());
    names.find(|name| *name != FIELD_MANAGER)
}

/// True when somebody else has changed what Brimful had set on the pool.
#[must_use]
pub fn is_contested(pool: &NodePool) -> bool {
    let both = (DecisionRecord::recorded(pool), Baseline::recorded(pool));
    matches!(both, (Ok(Some(record)), Ok(Some(_))) if contest(pool, &record).is_some())
}

/// Somebody else changed what Brimful had set: a person, or a GitOps tool that will do so again.
fn contest(pool: &NodePool, record: &DecisionRecord) -> Option<String> {
    let (now, then) = (show(pool.weight), show(record.values.weight));
    let values = &record.values;
    let limits = values.limits.as_ref().filter(|set| !same(set, &pool.limits));
    let budgets = values
        .budgets
        .as_deref()
        .filter(|set| !same_entries(Some(set), pool.budgets.as_deref()));
    let (field, managers, change) = if values.weight != pool.weight {
        let change = format!("set the weight to {now} after Brimful had set {then}");
        ("weight", &pool.weight_managers, change)
    } else if let Some(set) = limits {
        let change = format!(
            "changed its {} after Brimful had set them",
            show_limits(set, &pool.limits)
        );
        ("limits", &pool.limits_managers, change)
    } else {
        budgets?;
        let change = "changed its disruption budgets after Brimful had set an entry of its own there";
        ("disruption.budgets", &pool.budgets_managers, change.to_owned())
    };
    let other = last_other(managers);
    let who = other.unwrap_or("somebody");
    let by_hand = other.is_none_or(|manager| manager.starts_with("kubectl") || manager == "node-fetch");
    let name = &pool.name;
    Some(if by_hand {
        format!("{who} {change}: it is left so; to hand the pool back, run `brimful reset --nodepool {name}`")
    } else {
        format!(
            "{who} {change}: contested. Leave spec.{field} out of Git, or have the tool ignore it (Argo CD: ignoreDifferences with \
             jsonPointers [/spec/{}] for karpenter.sh NodePool {name}), then run `brimful reset --nodepool {name}`",
            field.replace('.', "/")
        )
    })
}

/// The pool's claims that are not going away already.
fn staying<'a>(pool: &'a NodePool, claims: &'a [NodeClaim]) -> impl Iterator<Item = &'a NodeClaim> {
    let own = |claim: &&NodeClaim| claim.node_pool.as_ref() == Some(&pool.name) && !claim.deleting;
    claims.iter().filter(own)
}

/// What of the pool is about to be replaced, if enough to matter: anything drifted, or more than a tenth expiring.
#[must_use]
pub fn roll_out(pool: &NodePool, claims: &[NodeClaim], now: DateTime<Utc>) -> Option<String> {
    let claims = || staying(pool, claims);
    let drifted = claims().filter(|claim| claim.drifted).count();
    let soon = now + Duration::hours(ROLL_OUT_WITHIN);
    let expiring = claims()
        .filter(|claim| claim.expires_at().is_some_and(|at| at <= soon))
        .count();
    match (drifted, expiring) {
        (0, expiring) if expiring * 10 <= claims().count() => None,
        (0, expiring) => Some(format!(
            "{expiring} of its nodes expire within {ROLL_OUT_WITHIN} h"
        )),
        (drifted, _) => Some(format!(
            "{drifted} of its nodes have drifted and will be replaced"
        )),
    }
}

/// The part of the pool's nodes that drift or age takes by then.
#[must_use]
pub fn going_until(pool: &NodePool, claims: &[NodeClaim], until: DateTime<Utc>) -> f64 {
    let goes = |claim: &&NodeClaim| claim.drifted || claim.expires_at().is_some_and(|at| at <= until);
    let (all, going) = (
        staying(pool, claims).count(),
        staying(pool, claims).filter(goes).count(),
    );
    #[allow(clippy::cast_precision_loss)] // counts of nodes
    let part = going as f64 / all.max(1) as f64;
    part
}

/// What a full pool lacks to yield: protection from consolidation. `excess` is what its plans' demand exceeds them by;
/// `below` tells that it stands below every Spot pool already.
#[must_use]
pub fn unprotected(pool: &NodePool, below: bool, excess: Money) -> Warning {
    let cost = if excess > Money::ZERO {
        format!(
            " ({} at SP rates is already paid on demand beyond them)",
            excess.per_hour()
        )
    } else {
        String::new()
    };
    let what = if below {
        "and it stands below Spot: consolidation will replace the nodes that the plans pay for by Spot. Protect the pool, and they stay"
    } else {
        "but its weight stays above Spot: lowered, consolidation would replace the nodes that the plans pay for by Spot. Protect the \
         pool, and Brimful can let new nodes go to Spot"
    };
    let message = format!(
        "its plans are full{cost}, {what}:\n{}",
        indented(&protection(pool))
    );
    Warning::of_pool(WarningCode::Unprotected, &pool.name, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::DECISION;
    use brimful_karpenter::nodepool::ExpireAfter;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn steered(weight: i32) -> NodePool {
        let record =
            r#"{"decision":"fill","reason":"","time":"2026-11-21T00:00:00Z","values":{"weight":60}}"#;
        NodePool::test("a")
            .committed()
            .weight(weight)
            .annotation(BASELINE, r#"{"weight":7,"limits":null}"#)
            .annotation(DECISION, record)
    }

    fn set_by(mut pool: NodePool, managers: &[&str]) -> NodePool {
        pool.weight_managers = managers
            .iter()
            .map(|name| FieldManager {
                manager: (*name).to_owned(),
                operation: "Update".to_owned(),
                time: None,
            })
            .collect();
        pool
    }

    #[test]
    fn a_weight_that_stands_as_set_is_no_contest() {
        assert_eq!(hands_off(&steered(60), &Settings::default(), NOW), None);
        assert_eq!(
            hands_off(&NodePool::test("a").committed(), &Settings::default(), NOW),
            None
        );
    }

    #[test]
    fn a_gitops_tool_that_sets_the_weight_back_is_named_with_the_cure() {
        let pool = set_by(steered(10), &["brimful", "argocd-controller"]);
        let reason = hands_off(&pool, &Settings::default(), NOW).unwrap();
        assert!(
            reason.contains("argocd-controller") && reason.contains("ignoreDifferences"),
            "{reason}"
        );
    }

    #[test]
    fn a_persons_edit_is_respected_and_told() {
        let pool = set_by(steered(33), &["kubectl-edit"]);
        let reason = hands_off(&pool, &Settings::default(), NOW).unwrap();
        assert!(
            reason.contains("kubectl-edit") && reason.contains("brimful reset --nodepool a"),
            "{reason}"
        );
        assert!(!reason.contains("contested"), "{reason}");
    }

    #[test]
    fn a_damaged_record_keeps_hands_off() {
        let pool = NodePool::test("a").committed().annotation(DECISION, "{");
        assert!(hands_off(&pool, &Settings::default(), NOW).is_some());
    }

    #[test]
    fn one_record_without_the_other_keeps_hands_off() {
        for gone in [BASELINE, DECISION] {
            let mut pool = steered(60);
            pool.annotations.remove(gone);
            let reason = hands_off(&pool, &Settings::default(), NOW).unwrap();
            assert!(
                reason.contains(&format!("removed its annotation {gone}")),
                "{reason}"
            );
        }
    }

    fn claims(count: usize, drifted: usize, expiring: usize) -> Vec<NodeClaim> {
        let claim = |index: usize| NodeClaim {
            name: format!("a-{index}"),
            uid: None,
            resource_version: None,
            held_by: None,
            node_pool: Some("a".to_owned()),
            node_name: None,
            instance_type: None,
            machine: None,
            drifted: index < drifted,
            launched: true,
            registered: true,
            deleting: false,
            created: NOW,
            expire_after: if index < expiring {
                ExpireAfter::After(Duration::hours(1))
            } else {
                ExpireAfter::Never
            },
        };
        (0..count).map(claim).collect()
    }

    #[test]
    fn drift_and_mass_expiry_are_roll_outs_and_a_single_old_node_is_not() {
        let pool = NodePool::test("a");
        let judge = |count, drifted, expiring| roll_out(&pool, &claims(count, drifted, expiring), NOW);
        assert_eq!(judge(20, 0, 0), None);
        assert_eq!(judge(20, 0, 2), None);
        assert!(judge(20, 0, 3).unwrap().contains("3 of its nodes expire"));
        assert!(judge(20, 1, 0).unwrap().contains("drifted"));
        assert!(judge(2, 0, 1).is_some());
    }
}
