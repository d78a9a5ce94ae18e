//! What a plan rests on that only the report tells: by whom old hours would have been paid for, what this and other
//! clusters used in them, and what nodes cost.
//!
//! AWS delivers a report three times a day, and a plan is made of it every ten minutes. Whoever makes several of one report
//! keeps its groundwork beside it, and drops it with the report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::attribution::{UseByCluster, Valuation, by_cluster, own_reserved, own_then};
use super::coverage::{Commitments, Repaid, repaid};
use super::critical_ratio::CriticalRatio;
use super::groups::{InForce, in_force};
use super::identity::Identity;
use super::plan::Inputs;
use super::prices::Prices;
use brimful_karpenter::InstanceTypes;
use brimful_savings_plans::nowcast::{ByScope, Nowcast, OwnUse, nowcast};
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::utilization::Utilization;
use brimful_types::hour::Hour;
use brimful_types::money::Money;

/// The groundwork of the plans that are made of one report, with the same sharing and maturity. Nothing at first; the
/// first plan works it out, and so does each with other plans in force, or of another cluster.
#[derive(Debug, Clone, Default)]
pub struct Groundwork {
    known: Option<Known>,
    estimates: Option<Estimates>,
}

/// What was worked out.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// For these plans,
    pub(super) held: InForce,
    /// this cluster,
    pub(super) identity: Identity,
    /// and these types where Nodes add some to the table, since what has no price goes by its vCPU.
    types: Option<InstanceTypes>,
    /// Groups with a plan that may be in force.
    pub(super) active: BTreeSet<GroupId>,
    /// Old hours, paid for by the plans that may be in force.
    pub(super) possibly: Repaid,
    /// The same by those that surely are, where that makes a difference.
    pub(super) surely: Option<Repaid>,
    pub(super) prices: Prices,
    /// This cluster's use by its tags; `None` without Nodes to compare it with.
    pub(super) own: Option<Arc<ByScope>>,
    /// What of it Reserved Instances paid for in the newest mature hour, $/h at SP rates.
    pub(super) reserved: BTreeMap<GroupId, Money>,
    /// Every cluster's use of the plans.
    pub(super) by_cluster: UseByCluster,
    pub(super) ratio: CriticalRatio,
}

/// Demand in an hour. It changes with the hour and with this cluster's use, which a few runs in a row often find as it was.
#[derive(Debug, Clone)]
pub(super) struct Estimates {
    hour: Hour,
    own: Option<OwnUse>,
    /// By group, with all plans that may be in force.
    pub(super) nowcasts: BTreeMap<GroupId, Nowcast>,
    /// The same with those that surely are, where that makes a difference.
    pub(super) to_fill: Option<BTreeMap<GroupId, Nowcast>>,
}

impl Groundwork {
    /// What holds for these inputs, worked out anew where it does not yet; and the newest estimates that rest on it.
    pub(super) fn of(
        &mut self,
        inputs: &Inputs<'_>,
        types: &InstanceTypes,
    ) -> (&Known, &mut Option<Estimates>) {
        let held = in_force(inputs);
        let (config, pools) = (&inputs.config.cluster, inputs.node_pools);
        let identity = Identity::detect(config, pools, inputs.nodes, inputs.ledger);
        let holds = |known: &Known| {
            let is_told = known.own.is_some() || inputs.nodes.is_none();
            is_told
                && known.held == held
                && known.identity == identity
                && known.types.as_ref() == more_than_bundled(types)
        };
        let known = self.known.take().filter(holds);
        let known = known.unwrap_or_else(|| {
            self.estimates = None;
            Known::new(inputs, held, identity, types)
        });
        (self.known.insert(known), &mut self.estimates)
    }
}

impl Known {
    fn new(inputs: &Inputs<'_>, held: InForce, identity: Identity, types: &InstanceTypes) -> Self {
        let (ledger, stated) = (inputs.ledger, inputs.utilization);
        let maturity = inputs.config.maturity.0;
        let by = |plans: &Commitments| repaid(stated, ledger, inputs.sharing, plans, maturity);
        let possibly = by(&held.possibly);
        let active: BTreeSet<GroupId> = held.possibly.keys().cloned().collect();
        let prices = Prices::new(ledger, active.iter().chain([&GroupId::Compute]));
        let scale = Valuation {
            groups: &active,
            identity: &identity,
            types,
            prices: &prices,
        };
        Self {
            own: inputs.nodes.map(|_| Arc::new(own_then(&scale, ledger))),
            reserved: own_reserved(&scale, ledger, stated),
            by_cluster: by_cluster(ledger, possibly.utilization(stated)),
            ratio: CriticalRatio::learn(ledger),
            // What may be filled rests on plans that are surely in force, what is given back on those that may be.
            surely: (held.surely != held.possibly).then(|| by(&held.surely)),
            types: more_than_bundled(types).cloned(),
            possibly,
            active,
            prices,
            held,
            identity,
        }
    }

    /// Demand in the hour of `now`, with this cluster's use taken as it is in `own`; `stated` is the use in the report.
    pub(super) fn estimates<'e>(
        &self,
        newest: &'e mut Option<Estimates>,
        stated: &Utilization,
        now: DateTime<Utc>,
        own: Option<&OwnUse>,
    ) -> &'e Estimates {
        let hour = Hour::of(now);
        let by = |plans: &Repaid| nowcast(plans.utilization(stated), &self.active, now, own, &plans.overflow);
        let holds = |newest: &Estimates| newest.hour == hour && newest.own.as_ref() == own;
        let known = newest.take().filter(holds);
        newest.insert(known.unwrap_or_else(|| Estimates {
            hour,
            own: own.cloned(),
            nowcasts: by(&self.possibly),
            to_fill: self.surely.as_ref().map(by),
        }))
    }

    /// What use is measured with.
    pub(super) fn valuation<'a>(&'a self, types: &'a InstanceTypes) -> Valuation<'a> {
        Valuation {
            groups: &self.active,
            identity: &self.identity,
            types,
            prices: &self.prices,
        }
    }
}

/// `None` for the table that comes with the program, as it is unless Nodes add to it.
fn more_than_bundled(types: &InstanceTypes) -> Option<&InstanceTypes> {
    (!std::ptr::eq(types, InstanceTypes::bundled())).then_some(types)
}
