//! Ways of acting, behind one trait.

use super::cluster::Cluster;
use super::node_pools::{HIGH, LOW, NODE_VCPU, Pool};
use super::report::Report;
use super::trace::{Prices, STEPS_PER_HOUR, Trace};
use brimful_policy::settings::{Grip, Grips, Settings, TopUpConfig};
use brimful_savings_plans::ledger::UsageClass;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::utilization::GroupHour;
use brimful_types::Result;
use brimful_types::hour::Hour;
use chrono::{DateTime, Utc};
use serde_json::json;

mod brimful;

pub use brimful::Brimful;

/// What a policy sees when it acts.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The clock.
    pub now: DateTime<Utc>,
    /// The report, once there is one.
    pub report: Option<&'a mut Report>,
    /// What a node costs.
    pub prices: Prices,
}

/// A way of acting. One value acts in one run, on all of its clusters.
pub trait Policy {
    /// Called once, before the first step of the month.
    ///
    /// # Errors
    /// The model cannot carry the change out.
    fn begin(&mut self, _trace: &Trace, _clusters: &mut [Cluster]) -> Result<()> {
        Ok(())
    }

    /// Called for each cluster before each step in which the job can run.
    ///
    /// # Errors
    /// The model cannot carry a change out.
    fn act(&mut self, _scene: Scene<'_>, _index: usize, _cluster: &mut Cluster) -> Result<()> {
        Ok(())
    }

    /// True if it acts on reports, and not on anything else.
    fn reads_reports(&self) -> bool {
        true
    }
}

/// What a user consents to beside weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consents {
    /// That protection from consolidation is switched.
    pub disruption: bool,
    /// That limits are set.
    pub limits: bool,
    /// That Spot nodes move over.
    pub top_up: bool,
}

impl Consents {
    /// Weights only.
    pub const NONE: Self = Self {
        disruption: false,
        limits: false,
        top_up: false,
    };
    /// Everything.
    pub const ALL: Self = Self {
        disruption: true,
        limits: true,
        top_up: true,
    };

    /// Each with one consent more, and with all.
    #[must_use]
    pub fn further(self) -> Vec<Self> {
        let each = [
            Self {
                disruption: true,
                ..self
            },
            Self { limits: true, ..self },
            Self { top_up: true, ..self },
            Self::ALL,
        ];
        let mut further: Vec<Self> = each.into_iter().filter(|one| *one != self).collect();
        further.dedup();
        further
    }

    /// Those of a configuration.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let grips = settings.chosen_grips();
        Self {
            disruption: grips.allow(Grip::Disruption),
            limits: grips.allow(Grip::Limits),
            top_up: settings.top_up.is_on(),
        }
    }

    /// As the configuration calls them: `weight, disruption, topUp`.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let named = [
            (true, "weight"),
            (self.disruption, "disruption"),
            (self.limits, "limits"),
            (self.top_up, "topUp"),
        ];
        named
            .into_iter()
            .filter_map(|(is_given, name)| is_given.then_some(name))
            .collect()
    }

    /// The configuration that gives them.
    fn configure(self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        let mut names = self.names();
        names.retain(|name| *name != "topUp");
        settings.grips = Grips::parse(&names.join(",")).unwrap_or_default();
        settings.limits.manage = false;
        let configured = settings.top_up.nodes_per_hour;
        settings.top_up = TopUpConfig {
            nodes_per_hour: match (self.top_up, configured) {
                (false, _) => 0,
                (true, 0) => NODES_PER_HOUR,
                (true, configured) => configured,
            },
            from: Vec::new(),
        };
        settings
    }
}

/// Spot nodes that move over in an hour where the configuration does not say.
const NODES_PER_HOUR: u32 = 6;

/// The policies to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing is changed: Karpenter takes Spot.
    LeaveAlone,
    /// The report's newest complete hour: weight above Spot below 100 % utilization, else below.
    Naive,
    /// The same with live nodes and others' use in that hour, and 95 %.
    Live,
    /// Weight above Spot, and limits of what was free on average before the month.
    Static,
    /// Brimful, with what its user consents to. The user of one that may neither switch protection nor set limits has
    /// protected the pool from consolidation.
    Brimful(Consents),
}

impl Kind {
    /// Brimful that may change weights only.
    pub const WEIGHTS: Self = Self::Brimful(Consents::NONE);

    /// Those to compare: simple rules, and Brimful with weights only, as configured, and with each further consent.
    #[must_use]
    pub fn compared(settings: &Settings) -> Vec<Self> {
        let configured = Consents::of(settings);
        let mut kinds = vec![
            Self::LeaveAlone,
            Self::Naive,
            Self::Live,
            Self::Static,
            Self::WEIGHTS,
        ];
        for consents in [configured].into_iter().chain(configured.further()) {
            let kind = Self::Brimful(consents);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::LeaveAlone => "leave-alone".to_owned(),
            Self::Naive => "naive".to_owned(),
            Self::Live => "live".to_owned(),
            Self::Static => "static".to_owned(),
            Self::Brimful(consents) => format!("brimful-{}", consents.names().join("-")),
        }
    }

    /// True if the committed pool is protected from consolidation by its user.
    #[must_use]
    pub fn protects(self) -> bool {
        matches!(self, Self::Brimful(given) if !given.disruption && !given.limits)
    }

    /// A policy that has not acted yet, for so many clusters; Brimful's own go by `config`.
    #[must_use]
    pub fn policy(self, clusters: usize, config: &Settings) -> Box<dyn Policy> {
        match self {
            Self::LeaveAlone => Box::new(LeaveAlone),
            Self::Naive => Box::new(Naive),
            Self::Live => Box::new(Live),
            Self::Static => Box::new(Static),
            Self::Brimful(consents) => Box::new(Brimful::new(clusters, &consents.configure(config))),
        }
    }
}

struct LeaveAlone;

impl Policy for LeaveAlone {
    fn reads_reports(&self) -> bool {
        false
    }
}

/// The newest mature hour of the Compute plans.
fn newest(report: &Report) -> Option<(Hour, GroupHour)> {
    let groups = &report.utilization.groups;
    let group = groups.iter().find(|group| group.id == GroupId::Compute)?;
    let mature = group.hours.iter().rev().find(|(_, hour)| hour.mature);
    mature.map(|(hour, use_)| (*hour, *use_))
}

fn set_weight(cluster: &mut Cluster, weight: i32) -> Result<()> {
    if cluster.pool(Pool::Committed).terms.weight == weight {
        return Ok(());
    }
    cluster.patch(Pool::Committed.name(), &json!({ "spec": { "weight": weight } }))
}

struct Naive;

impl Policy for Naive {
    fn act(&mut self, scene: Scene<'_>, _: usize, cluster: &mut Cluster) -> Result<()> {
        let Some((_, hour)) = scene.report.and_then(|report| newest(report)) else {
            return Ok(());
        };
        let full = hour.used.dollars() >= hour.commitment.dollars() * 0.9999;
        set_weight(cluster, if full { LOW } else { HIGH })
    }
}

/// The part of the commitment from which on the live policy calls a plan full.
const FULL: f64 = 0.95;

struct Live;

impl Policy for Live {
    fn act(&mut self, scene: Scene<'_>, _: usize, cluster: &mut Cluster) -> Result<()> {
        let Some(report) = scene.report else { return Ok(()) };
        let Some((hour, use_)) = newest(report) else {
            return Ok(());
        };
        let own: f64 = report
            .ledger
            .usage_at(hour)
            .filter(|(series, _)| {
                let series = &report.ledger.series[*series];
                *series.cluster == *cluster.name && series.class != UsageClass::Spot
            })
            .map(|(_, cell)| cell.amount.units() * scene.prices.savings_plan)
            .sum();
        let now = cluster.on_demand() as f64 * scene.prices.savings_plan;
        let demand = use_.demand().dollars() - own + now;
        let full = demand >= use_.commitment.dollars() * FULL;
        set_weight(cluster, if full { LOW } else { HIGH })
    }
}

struct Static;

impl Policy for Static {
    fn begin(&mut self, trace: &Trace, clusters: &mut [Cluster]) -> Result<()> {
        let hours = trace.warm_up / STEPS_PER_HOUR;
        let free = (0..hours).map(|hour| (trace.commitment(hour) - trace.others[hour]).max(0.0));
        let mean = free.sum::<f64>() / hours as f64 / trace.prices.savings_plan;
        let whole: usize = clusters.iter().map(|cluster| cluster.nodes().len()).sum();
        for cluster in clusters {
            let part = cluster.nodes().len() as f64 / whole.max(1) as f64;
            let most = (mean * part).round() as u32 * NODE_VCPU;
            let patch = json!({ "spec": { "weight": HIGH, "limits": { "cpu": most.to_string() } } });
            cluster.patch(Pool::Committed.name(), &patch)?;
        }
        Ok(())
    }

    fn reads_reports(&self) -> bool {
        false
    }
}
