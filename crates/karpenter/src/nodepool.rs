//! A Karpenter `NodePool` as far as weights, limits and decisions need it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

use super::cluster::OWN_BUDGET_HOURS;
use super::labels;
use super::launchable::os;
use super::requirement::Requirements;
use super::units::{duration, quantity};

mod parse;

/// The API version that has everything Brimful needs; Karpenter serves it since 1.0.
pub const API_VERSION: &str = "karpenter.sh/v1";

/// How long a node lives if `expireAfter` is not set: 720 h (default of the CRD).
#[must_use]
pub fn default_expire_after() -> Duration {
    Duration::hours(720)
}

/// A `NodePool`, read once and never written back whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePool {
    /// `metadata.name`.
    pub name: String,
    /// `karpenter.sh/v1`, or an older version that Brimful only names.
    pub api_version: String,
    /// `metadata.uid`; None in a manifest that no API server has seen.
    pub uid: Option<String>,
    /// `metadata.resourceVersion`; None in a manifest that no API server has seen.
    pub resource_version: Option<String>,
    /// `metadata.generation`: moves with the spec, not with the status.
    pub generation: Option<i64>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `spec.weight`: 1–100, or absent.
    pub weight: Option<i32>,
    /// `spec.limits`: Kubernetes quantities by resource name.
    pub limits: BTreeMap<String, String>,
    /// `spec.replicas`: set on static pools only.
    pub replicas: Option<i64>,
    /// `spec.template.spec.nodeClassRef.group`: whose `NodeClass` it is, hence which provider's machines it launches.
    pub node_class_group: Option<String>,
    /// The template's requirements, narrowed by the template's labels.
    pub requirements: Requirements,
    /// `spec.template.metadata.labels`.
    pub template_labels: BTreeMap<String, String>,
    /// `spec.template.spec.taints`. Startup taints are left out: Karpenter asks no toleration for them.
    pub taints: Vec<Taint>,
    /// `spec.disruption`.
    pub disruption: Disruption,
    /// `spec.disruption.budgets`, entry by entry as written, so that it can be written back as it was; None = absent.
    pub budgets: Option<Vec<Value>>,
    /// When nodes are deleted by age.
    pub expire_after: ExpireAfter,
    /// `status.resources`: the capacity of the pool's nodes as Karpenter counts it against the limits.
    pub resources: BTreeMap<String, String>,
    /// The condition `Ready`; None = not there.
    pub ready: Option<Readiness>,
    /// True once the pool is being deleted.
    pub deleting: bool,
    /// Who owns `spec.weight` according to `metadata.managedFields`, newest last.
    pub weight_managers: Vec<FieldManager>,
    /// The same for `spec.limits`, or any resource of it.
    pub limits_managers: Vec<FieldManager>,
    /// The same for `spec.disruption.budgets`, a list that is owned as a whole.
    pub budgets_managers: Vec<FieldManager>,
}

/// A taint of a pool's nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taint {
    /// The taint's key.
    pub key: String,
    /// The taint's value, if any.
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// When Karpenter may take nodes away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disruption {
    /// Which nodes consolidation considers.
    pub consolidation_policy: ConsolidationPolicy,
    /// `Never` or a duration; None = the default, 0 s.
    pub consolidate_after: Option<String>,
    /// Bounds on simultaneous disruption; none written = Karpenter's default of 10 %.
    pub budgets: Vec<Budget>,
}

/// Which nodes consolidation considers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConsolidationPolicy {
    /// Only nodes without workload.
    WhenEmpty,
    /// Any node (the CRD's default).
    #[default]
    WhenEmptyOrUnderutilized,
    /// Any node, if the move is worth the disruption (Karpenter 1.14 and later).
    Balanced,
    /// A policy that Brimful does not know.
    Other(String),
}

/// A bound on how many nodes may be disrupted at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// A count or a percentage.
    pub nodes: String,
    /// What the budget is for; None = every reason (an empty list, by Karpenter's reading, = none).
    pub reasons: Option<Vec<String>>,
    /// Cron schedule of the budget's start; None = always active.
    pub schedule: Option<String>,
    /// How long the budget is active after each start.
    pub duration: Option<String>,
}

/// When a node is deleted by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireAfter {
    /// Not by age.
    Never,
    /// This long after its creation.
    After(Duration),
}

impl Default for ExpireAfter {
    fn default() -> Self {
        Self::After(default_expire_after())
    }
}

/// One entry of `metadata.managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldManager {
    /// The manager's name, such as `brimful` or `argocd-controller`.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// When it last wrote.
    pub time: Option<DateTime<Utc>>,
}

/// The kind of capacity a node runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapacityType {
    /// Billed by the hour; Savings Plans apply.
    OnDemand,
    /// Spot; never covered by a Savings Plan.
    Spot,
    /// An on-demand capacity reservation (ODCR) or a Capacity Block.
    Reserved,
}

impl CapacityType {
    /// The value of the label [`labels::CAPACITY_TYPE`].
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
            Self::Reserved => "reserved",
        }
    }
}

/// The status of the condition Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// True.
    Ready,
    /// False.
    NotReady,
    /// Unknown, as for a moment after each change of the spec.
    Unknown,
}

/// What a pool is to Brimful, by the capacity it can launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Only on-demand (and reserved) capacity: a Savings Plan can pay for it.
    Committed,
    /// Only Spot.
    Spot,
    /// Both; Karpenter takes Spot first, and weights cannot steer inside it.
    Mixed,
    /// Not steerable: static, an old API version, another provider's, or no capacity at all.
    None,
}

impl Role {
    /// The word used in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Spot => "spot",
            Self::Mixed => "mixed",
            Self::None => "none",
        }
    }
}

impl NodePool {
    /// The weight that Karpenter orders by: absent counts as 0.
    #[must_use]
    pub fn effective_weight(&self) -> i32 {
        self.weight.unwrap_or(0)
    }

    /// True for a pool with a fixed number of nodes, on which the API refuses a weight.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.replicas.is_some()
    }

    /// True for a pool that EKS Auto Mode made itself: AWS says that these cannot be modified, and overwrites what is
    /// (EKS user guide, "Enable or Disable Built-in `NodePools`").
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        matches!(self.name.as_str(), "general-purpose" | "system")
            && self.labels.get(labels::MANAGED_BY).is_some_and(|by| by == "eks")
    }

    /// True for the API version that Brimful patches.
    #[must_use]
    pub fn is_v1(&self) -> bool {
        self.api_version == API_VERSION
    }

    /// The group of its `NodeClass`, if that is another provider's than AWS: no Savings Plan pays for its machines.
    #[must_use]
    pub fn other_provider(&self) -> Option<&str> {
        let group = self.node_class_group.as_deref()?;
        (!group.is_empty() && !labels::PROVIDERS.contains(&group)).then_some(group)
    }

    /// What the pool is to Brimful.
    #[must_use]
    pub fn role(&self) -> Role {
        if self.is_static() || !self.is_v1() || self.other_provider().is_some() {
            return Role::None;
        }
        let committed = self.can_launch(CapacityType::OnDemand) || self.can_launch(CapacityType::Reserved);
        match (committed, self.can_launch(CapacityType::Spot)) {
            (true, false) => Role::Committed,
            (false, true) => Role::Spot,
            (true, true) => Role::Mixed,
            (false, false) => Role::None,
        }
    }

    /// True if the pool's requirements allow this capacity.
    #[must_use]
    pub fn can_launch(&self, capacity: CapacityType) -> bool {
        self.requirements
            .get(labels::CAPACITY_TYPE)
            .allows(capacity.label())
    }

    /// True if consolidation never replaces a node of this pool that has workload: `WhenEmpty`, a
    /// `consolidateAfter` of `Never`, or an always active budget of 0 for `Underutilized`. Drift and expiry
    /// are not held back by any of these.
    #[must_use]
    pub fn protected_from_consolidation(&self) -> bool {
        let disruption = &self.disruption;
        disruption.consolidation_policy == ConsolidationPolicy::WhenEmpty
            || disruption.consolidate_after.as_deref() == Some("Never")
            || disruption.budgets.iter().any(Budget::forbids_underutilized)
    }

    /// True if the pods of `other` that ask for nothing in particular also fit this pool.
    ///
    /// Pods are taken to tolerate what their own pool needs and no more, so this pool's taints must be among those of
    /// the other; and they run on one operating system. No label parts two pools: a pod that names none fits both, and
    /// Karpenter then goes by weight (`scheduler.go`, `add`).
    #[must_use]
    pub fn is_open_to_pods_of(&self, other: &Self) -> bool {
        self.pod_terms().are_open_to(&other.pod_terms())
    }

    /// What decides which pods fit, whatever they ask for.
    #[must_use]
    pub fn pod_terms(&self) -> PodTerms<'_> {
        PodTerms {
            taints: self.hard_taints(),
            systems: os(self),
        }
    }

    /// True unless the condition Ready is True or absent: Karpenter launches nothing from it at this moment.
    #[must_use]
    pub fn is_unready(&self) -> bool {
        self.ready.is_some_and(|ready| ready != Readiness::Ready)
    }

    /// False for a pool from which nothing is launched: not Ready, being deleted, or with a limit of zero.
    #[must_use]
    pub fn is_switched_on(&self) -> bool {
        let is_zero = |limit: &String| quantity(limit).is_some_and(|limit| limit <= 0.0);
        self.ready != Some(Readiness::NotReady) && !self.deleting && !self.limits.values().any(is_zero)
    }

    /// True if every pod that the other pool takes fits this one, as far as taints and labels that users define say:
    /// its taints must be among the other's, which those pods tolerate, and it must have every label that they may ask
    /// for (Karpenter matches no pod that names a label which the pool does not define).
    #[must_use]
    pub fn takes_pods_of(&self, other: &Self) -> bool {
        self.hard_taints().is_subset(&other.hard_taints())
            && other
                .requirements
                .iter()
                .filter(|(key, _)| !labels::is_well_known(key))
                .all(|(key, values)| {
                    self.requirements.contains(key) && values.is_subset_of(self.requirements.get(key))
                })
    }

    /// Taints that keep pods away, as (key, value, effect).
    fn hard_taints(&self) -> BTreeSet<(&str, &str, &str)> {
        let hard = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
        let hard = self.taints.iter().filter(hard);
        hard.map(|taint| {
            (
                taint.key.as_str(),
                taint.value.as_deref().unwrap_or(""),
                taint.effect.as_str(),
            )
        })
        .collect()
    }
}

/// What a pool asks of every pod: to tolerate its taints, and to run on its operating systems. Pools of equal terms are alike
/// to pods that ask for nothing in particular.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodTerms<'a> {
    /// (key, value, effect) of those that keep pods away.
    taints: BTreeSet<(&'a str, &'a str, &'a str)>,
    systems: BTreeSet<&'static str>,
}

impl PodTerms<'_> {
    /// See [`NodePool::is_open_to_pods_of`].
    #[must_use]
    pub fn are_open_to(&self, other: &Self) -> bool {
        self.taints.is_subset(&other.taints) && !self.systems.is_disjoint(&other.systems)
    }
}

impl Budget {
    /// True if it is active at any time: without a schedule, or due again before its duration is over.
    #[must_use]
    pub fn is_always_active(schedule: Option<&str>, length: Option<&str>) -> bool {
        let (Some(schedule), Some(length)) = (schedule, length) else {
            return schedule.is_none() && length.is_none();
        };
        let is_number = |field: &&str| field.parse::<u32>().is_ok();
        let fields: Vec<&str> = schedule.split_whitespace().collect();
        let every = |minute: &str| minute.strip_prefix("*/").and_then(|every| every.parse().ok());
        let minutes = match fields.as_slice() {
            ["@hourly"] => 60,
            ["@daily" | "@midnight"] => 24 * 60,
            ["@weekly"] => 7 * 24 * 60,
            ["*", "*", "*", "*", "*"] => 1,
            [minute, "*", "*", "*", "*"] if is_number(minute) => 60,
            [minute, "*", "*", "*", "*"] => match every(minute) {
                Some(minutes) => minutes,
                None => return false,
            },
            [minute, hour, "*", "*", "*"] if is_number(minute) && is_number(hour) => 24 * 60,
            [minute, hour, "*", "*", day] if [minute, hour, day].into_iter().all(is_number) => 7 * 24 * 60,
            _ => return false,
        };
        duration(length) >= Some(Duration::minutes(minutes))
    }

    /// True for one that Brimful writes and switches.
    fn is_own(&self) -> bool {
        self.duration.as_deref().and_then(duration) == Some(Duration::hours(OWN_BUDGET_HOURS))
    }

    /// True if the budget lets no underutilized node go, at any time.
    fn forbids_underutilized(&self) -> bool {
        let number = self.nodes.strip_suffix('%').unwrap_or(&self.nodes);
        let concerns = |reasons: &Vec<String>| reasons.iter().any(|reason| reason == "Underutilized");
        number.parse() == Ok(0_u64)
            && !self.is_own()
            && Self::is_always_active(self.schedule.as_deref(), self.duration.as_deref())
            && self.reasons.as_ref().is_none_or(concerns)
    }
}

#[cfg(test)]
mod tests;
