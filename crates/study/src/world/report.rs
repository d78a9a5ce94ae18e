//! The report as AWS would have delivered it by now: late, and incomplete in its newest hours.

use std::collections::BTreeMap;
use std::sync::Arc;

use brimful_policy::settings::Settings;
use brimful_savings_plans::ledger::{Ledger, PlanHour, PlanLedger, Series, UsageClass};
use brimful_savings_plans::savings_plan::PlanKind;
use brimful_simulation::cluster::REGION;
use brimful_simulation::report::{
    ACCOUNT, FEES_AHEAD, OTHER_ACCOUNT, Report, Row, add_up, dollars, hour_of, key, plan,
};
use brimful_simulation::trace::{Delivery, STEPS_PER_HOUR, time_of};
use chrono::{DateTime, Utc};

use super::bill::Paid;
use super::cluster::Cluster;
use super::scenario::Trace;
use super::{COMPUTE, INSTANCE, ON_DEMAND, SIZES};

/// The cluster, as tags show it.
pub const CLUSTER: &str = "cluster-0";
/// What others run beside the family.
const OTHERS_TYPE: &str = "c5.xlarge";
const OTHERS_VCPU: f64 = 4.0;

/// Node-hours by pool and size, hour by hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History(pub Vec<BTreeMap<(usize, usize), f64>>);

impl History {
    /// Notes a step.
    pub fn note(&mut self, step: usize, cluster: &Cluster) {
        if step.is_multiple_of(STEPS_PER_HOUR) {
            self.0.push(BTreeMap::new());
        }
        if let Some(hour) = self.0.last_mut() {
            for machine in &cluster.machines {
                *hour.entry((machine.pool, machine.size)).or_default() += 1.0 / STEPS_PER_HOUR as f64;
            }
        }
    }
}

/// What a delivery holds: the hours that decisions look back on.
#[must_use]
pub fn delivered(
    trace: &Trace,
    pools: &Cluster,
    history: &History,
    delivery: Delivery,
    config: &Settings,
) -> Report {
    let lookback = config.lookback.0.num_hours() as usize;
    let arrival = delivery.step / STEPS_PER_HOUR;
    let mut writer = Writer::new(trace, pools);
    for hour in arrival.saturating_sub(lookback)..delivery.reaches {
        writer.hour(history, delivery, hour);
    }
    // Nobody knows of a plan that is not bought yet.
    writer.bought_by = arrival as i32;
    for hour in delivery.reaches..arrival + FEES_AHEAD {
        writer.fees(hour, (0.0, 0.0), Paid::default());
    }
    let ledger = writer.finish(hour_of(delivery.reaches).start());
    Report::of(ledger, time_of(delivery.step), config)
}

/// Usage of one pool and size, or of others on a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Own(usize, usize),
    OthersFamily,
    Others,
}

struct Writer<'a> {
    trace: &'a Trace,
    cluster: &'a Cluster,
    plans: Vec<PlanLedger>,
    bought_by: i32,
    usage: BTreeMap<(Who, UsageClass), Vec<Row>>,
}

impl<'a> Writer<'a> {
    fn new(trace: &'a Trace, cluster: &'a Cluster) -> Self {
        let terms = trace.plans.iter().enumerate();
        let plans = terms.map(|(index, term)| plan(index, term.instance.then_some("m5"), term.from, term.to));
        Self {
            trace,
            cluster,
            plans: plans.collect(),
            bought_by: i32::MAX,
            usage: BTreeMap::new(),
        }
    }

    /// The rows of an hour, as far as they have come in.
    fn hour(&mut self, history: &History, delivery: Delivery, hour: usize) {
        let age = delivery.step as f64 / STEPS_PER_HOUR as f64 - (hour + 1) as f64;
        let late = self.trace.lateness[hour];
        let here = 1.0 - late.lacking * (1.0 - age / late.hours).max(0.0);
        let run = &history.0[hour];
        let is_spot = |pool: usize| self.cluster.pools[pool].spec.spot;
        let own = run.iter().filter(|((pool, _), _)| !is_spot(*pool));
        let own: f64 = own
            .map(|((_, size), nodes)| f64::from(SIZES[*size].1) * nodes)
            .sum();
        let tariff = self.trace.tariff(hour * STEPS_PER_HOUR);
        let paid = tariff.paid(own);
        // AWS states the use before all of the rows that make it up are there.
        self.fees(hour, (1.0 - (1.0 - here) / 2.0, here), paid);
        let own = run
            .iter()
            .map(|((pool, size), nodes)| (Who::Own(*pool, *size), *nodes));
        let usage: Vec<(Who, f64)> = own
            .chain([
                (Who::OthersFamily, self.trace.others_family[hour] / 4.0),
                (Who::Others, self.trace.others[hour] / COMPUTE / OTHERS_VCPU),
            ])
            .collect();
        for (who, nodes) in usage {
            let nodes = nodes * here;
            let vcpu = match who {
                Who::Own(_, size) => f64::from(SIZES[size].1),
                Who::OthersFamily | Who::Others => OTHERS_VCPU,
            };
            if let Who::Own(pool, _) = who
                && is_spot(pool)
            {
                self.row(who, UsageClass::Spot, hour, nodes, nodes * vcpu * tariff.spot);
                continue;
            }
            let reached = self.trace.shared || matches!(who, Who::Own(..));
            let by_instance = match who {
                Who::Others => 0.0,
                _ if reached => paid.by_instance,
                _ => 0.0,
            };
            let by_compute = if reached {
                (1.0 - by_instance) * paid.by_compute
            } else {
                0.0
            };
            for index in 0..self.trace.plans.len() {
                let term = self.trace.plans[index];
                let (part, all, rate) = if term.instance {
                    (by_instance, tariff.instance, INSTANCE)
                } else {
                    (by_compute, tariff.compute, COMPUTE)
                };
                if term.covers(hour) {
                    let nodes = nodes * part * term.commitment / all;
                    self.row(who, UsageClass::Covered(index), hour, nodes, nodes * vcpu * rate);
                }
            }
            let rest = nodes * (1.0 - by_instance - by_compute);
            self.row(who, UsageClass::OnDemand, hour, rest, rest * vcpu * ON_DEMAND);
        }
    }

    fn row(&mut self, who: Who, class: UsageClass, hour: usize, amount: f64, cost: f64) {
        if amount > 1e-6 {
            let hour = hour_of(hour);
            let rows = self.usage.entry((who, class)).or_default();
            rows.push(Row { hour, amount, cost });
        }
    }

    /// Fee rows of the plans in force, with those parts of what they were used for: as the row states it, and by the rows
    /// that they cover.
    fn fees(&mut self, hour: usize, parts: (f64, f64), paid: Paid) {
        let tariff = self.trace.tariff(hour * STEPS_PER_HOUR);
        for (plan, term) in self.plans.iter_mut().zip(&self.trace.plans) {
            if term.covers(hour) && term.from <= self.bought_by {
                let (used, all) = if term.instance {
                    (paid.instance_used, tariff.instance)
                } else {
                    (paid.compute_used, tariff.compute)
                };
                let own = used * term.commitment / all;
                let amounts = PlanHour {
                    commitment: Some(dollars(term.commitment)),
                    used: dollars(own * parts.0),
                    covered: dollars(own * parts.1),
                    suspect: false,
                    fee_rows: 1,
                };
                plan.hours.insert(hour_of(hour), amounts);
            }
        }
    }

    fn finish(mut self, reached: DateTime<Utc>) -> Ledger {
        let (plans, usage) = (std::mem::take(&mut self.plans), std::mem::take(&mut self.usage));
        let ledger = add_up(plans, usage, |who, class| self.series(who, class), reached);
        let types: Vec<(&str, f64)> = SIZES
            .iter()
            .map(|(name, vcpu)| (*name, f64::from(*vcpu)))
            .chain([(OTHERS_TYPE, OTHERS_VCPU)])
            .collect();
        let mut rates = BTreeMap::new();
        for (plan, entry) in ledger.plans.iter().enumerate() {
            let is_instance = entry.plan.kind == PlanKind::Ec2Instance;
            for (name, vcpu) in types
                .iter()
                .filter(|(name, _)| !is_instance || *name != OTHERS_TYPE)
            {
                let rate = if is_instance { INSTANCE } else { COMPUTE };
                rates.insert((plan, key(name, false)), dollars(rate * vcpu));
            }
        }
        let prices = types
            .iter()
            .map(|(name, vcpu)| (key(name, false), dollars(ON_DEMAND * vcpu)));
        let regions = types
            .iter()
            .map(|(name, _)| (key(name, false).usage_type, Arc::from(REGION)));
        Ledger {
            rates: rates.into_iter().collect(),
            on_demand_prices: prices.collect(),
            regions: regions.collect(),
            ..ledger
        }
    }

    fn series(&self, who: Who, class: UsageClass) -> Series {
        let (instance_type, account, cluster, node_pool) = match who {
            Who::Own(pool, size) => {
                let name = self.cluster.pools[pool].spec.name.as_str();
                (SIZES[size].0, ACCOUNT, CLUSTER, name)
            }
            Who::OthersFamily => (SIZES[1].0, OTHER_ACCOUNT, "", ""),
            Who::Others => (OTHERS_TYPE, OTHER_ACCOUNT, "", ""),
        };
        let key = key(instance_type, class == UsageClass::Spot);
        Series {
            class,
            is_instance: true,
            usage_type: key.usage_type,
            operation: key.operation,
            region: REGION.into(),
            account: account.into(),
            cluster: cluster.into(),
            node_pool: node_pool.into(),
        }
    }
}
