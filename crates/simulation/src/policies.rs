//! Ways of acting, behind one trait.

use super::cluster::Cluster;
use super::node_pools::{HIGH, LOW, NODE_VCPU, Pool};
use super::report::Report;
use super::trace::{Prices, STEPS_PER_HOUR, Trace};
use brimful_policy::settings::{Settings, Share};
use brimful_savings_plans::ledger::UsageClass;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::utilization::GroupHour;
use brimful_types::Result;
use brimful_types::hour::Hour;
use brimful_types::span::Span;
use chrono::{DateTime, Duration, Utc};
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

    /// What it reads.
    fn reads(&self) -> Reads {
        Reads::Reports
    }
}

/// What a policy knows of the plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Nothing.
    Nothing,
    /// The reports.
    Reports,
    /// Reports in which others' use is always what it is now: no forecast can err.
    Truth,
}

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
    /// Brimful on a pool that is protected from consolidation.
    WeightOnly,
    /// Brimful with `limits.manage` on an unprotected pool.
    Limits,
    /// Diagnosis: weight-only, told what others use now.
    WeightsTold,
    /// Diagnosis: limits, told what others use now.
    LimitsTold,
    /// Diagnosis: limits, told, and no dwell time.
    LimitsToldNimble,
    /// Diagnosis: limits, told, no dwell time, and a band of one node.
    LimitsToldNarrow,
    /// Diagnosis: limits without a dwell time.
    LimitsNimble,
    /// Diagnosis: limits and a band of one node.
    LimitsNarrow,
    /// Diagnosis: limits, and an equal `share` for each cluster.
    LimitsEqualShare,
}

impl Kind {
    /// Those that tell where Brimful's regret comes from.
    pub const DIAGNOSES: [Self; 7] = [
        Self::WeightsTold,
        Self::LimitsTold,
        Self::LimitsToldNimble,
        Self::LimitsToldNarrow,
        Self::LimitsNimble,
        Self::LimitsNarrow,
        Self::LimitsEqualShare,
    ];

    /// Those to compare.
    pub const ALL: [Self; 6] = [
        Self::LeaveAlone,
        Self::Naive,
        Self::Live,
        Self::Static,
        Self::WeightOnly,
        Self::Limits,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LeaveAlone => "leave-alone",
            Self::Naive => "naive",
            Self::Live => "live",
            Self::Static => "static",
            Self::WeightOnly => "brimful-weights",
            Self::Limits => "brimful-limits",
            Self::WeightsTold => "weights-told",
            Self::LimitsTold => "limits-told",
            Self::LimitsToldNimble => "limits-told-no-dwell",
            Self::LimitsToldNarrow => "limits-told-no-dwell-narrow",
            Self::LimitsNimble => "limits-no-dwell",
            Self::LimitsNarrow => "limits-narrow",
            Self::LimitsEqualShare => "limits-equal-share",
        }
    }

    /// True if the committed pool is protected from consolidation.
    #[must_use]
    pub fn protects(self) -> bool {
        matches!(self, Self::WeightOnly | Self::WeightsTold)
    }

    /// True for the real policy code.
    #[must_use]
    pub fn is_brimful(self) -> bool {
        !matches!(self, Self::LeaveAlone | Self::Naive | Self::Live | Self::Static)
    }

    /// A policy that has not acted yet, for so many clusters; Brimful's own go by `config`.
    #[must_use]
    pub fn policy(self, clusters: usize, config: &Settings) -> Box<dyn Policy> {
        match self {
            Self::LeaveAlone => Box::new(LeaveAlone),
            Self::Naive => Box::new(Naive),
            Self::Live => Box::new(Live),
            Self::Static => Box::new(Static),
            _ => Box::new(self.brimful(clusters, config.clone())),
        }
    }
}

impl Kind {
    fn brimful(self, clusters: usize, mut config: Settings) -> Brimful {
        let told = matches!(
            self,
            Self::WeightsTold | Self::LimitsTold | Self::LimitsToldNimble | Self::LimitsToldNarrow
        );
        let is_nimble = matches!(
            self,
            Self::LimitsNimble | Self::LimitsToldNimble | Self::LimitsToldNarrow
        );
        config.limits.manage = !self.protects();
        if is_nimble {
            config.policy.dwell = Span(Duration::zero());
        }
        if matches!(self, Self::LimitsNarrow | Self::LimitsToldNarrow) {
            config.policy.thresholds.drain = 0.001; // less than a node, which then counts
        }
        if self == Self::LimitsEqualShare {
            config.share = Some(Share(1.0 / clusters as f64));
        }
        Brimful::new(clusters, &config, told)
    }
}

struct LeaveAlone;

impl Policy for LeaveAlone {
    fn reads(&self) -> Reads {
        Reads::Nothing
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
        let cells = report.ledger.cells_at(hour).iter();
        let own: f64 = cells
            .filter(|cell| {
                let series = report.ledger.series_of(cell);
                *series.cluster == *cluster.name && series.class != UsageClass::Spot
            })
            .map(|cell| cell.amount.units() * scene.prices.savings_plan)
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

    fn reads(&self) -> Reads {
        Reads::Nothing
    }
}
