//! The report as AWS would have delivered it by now: late, and incomplete in its newest hours.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brimful_policy::settings::Settings;
use brimful_savings_plans::ledger::{
    Cell, Granularity, Ledger, PlanHour, PlanLedger, Series, UsageClass, UsageKey,
};
use brimful_savings_plans::savings_plan::{Plan, PlanKind};
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::{Check, Terms, Utilization};
use brimful_simulation::cluster::REGION;
use brimful_simulation::trace::{Delivery, STEPS_PER_HOUR, time_of};
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;

use super::cluster::Cluster;
use super::scenario::Trace;
use super::{COMPUTE, INSTANCE, ON_DEMAND, SIZES};

/// The account of the cluster, and that of everybody else.
const ACCOUNT: &str = "111122223333";
const OTHER_ACCOUNT: &str = "444455556666";
/// The cluster, as tags show it.
pub const CLUSTER: &str = "cluster-0";
/// `RecurringFee` rows are written so many hours ahead.
const FEES_AHEAD: usize = 96;
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

/// A report and what it says.
#[derive(Debug, Clone)]
pub struct Report {
    /// The report, added up.
    pub ledger: Ledger,
    /// Its use, hour by hour.
    pub utilization: Utilization,
}

impl Report {
    /// What a delivery holds: the hours that decisions look back on.
    #[must_use]
    pub fn new(
        trace: &Trace,
        pools: &Cluster,
        history: &History,
        delivery: Delivery,
        config: &Settings,
    ) -> Self {
        let now = time_of(delivery.step);
        let lookback = config.lookback.0.num_hours() as usize;
        let arrival = delivery.step / STEPS_PER_HOUR;
        let mut writer = Writer::new(trace, pools);
        for hour in arrival.saturating_sub(lookback)..delivery.reaches {
            writer.hour(history, delivery, hour);
        }
        // Nobody knows of a plan that is not bought yet.
        writer.bought_by = arrival as i32;
        for hour in delivery.reaches..arrival + FEES_AHEAD {
            writer.fees(hour, 0.0, (0.0, 0.0));
        }
        let mut ledger = writer.finish(Hour::of(time_of(delivery.reaches * STEPS_PER_HOUR)));
        let horizon = ledger.horizon(now);
        if let Some(horizon) = horizon {
            ledger.mark_stopped(horizon, config.maturity.0);
        }
        let terms = Terms {
            sharing: &Sharing::Open,
            horizon,
            maturity: config.maturity.0,
            check: Check::Reconciling,
        };
        Self {
            utilization: Utilization::of(&ledger, &terms),
            ledger,
        }
    }
}

fn key(instance_type: &str, spot: bool) -> UsageKey {
    let kind = if spot { "SpotUsage" } else { "BoxUsage" };
    let operation = if spot {
        "RunInstances:SV001"
    } else {
        "RunInstances"
    };
    UsageKey {
        usage_type: format!("USE2-{kind}:{instance_type}").into(),
        operation: operation.into(),
    }
}

/// Usage of one pool and size, or of others on a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Own(usize, usize),
    OthersFamily,
    Others,
}

/// An hour's node-hours and dollars.
type Row = (Hour, f64, f64);

struct Writer<'a> {
    trace: &'a Trace,
    cluster: &'a Cluster,
    plans: Vec<PlanLedger>,
    bought_by: i32,
    usage: BTreeMap<(Who, UsageClass), Vec<Row>>,
}

fn hour_of(index: usize) -> Hour {
    Hour::of(time_of(index * STEPS_PER_HOUR))
}

fn dollars(amount: f64) -> Money {
    Money::from_dollars(amount).unwrap_or_default()
}

impl<'a> Writer<'a> {
    fn new(trace: &'a Trace, cluster: &'a Cluster) -> Self {
        let begin = hour_of(0);
        let time = |hour: i32| Some(begin.plus(hour).start());
        let plans = trace.plans.iter().enumerate().map(|(index, term)| PlanLedger {
            plan: Plan {
                arn: format!("arn:aws:savingsplans::{ACCOUNT}:savingsplan/plan-{index}"),
                kind: if term.instance {
                    PlanKind::Ec2Instance
                } else {
                    PlanKind::Compute
                },
                region: term.instance.then(|| REGION.to_owned()),
                family: term.instance.then(|| "m5".to_owned()),
                owner: Some(ACCOUNT.to_owned()),
                payment_option: Some("No Upfront".to_owned()),
                start: time(term.from),
                end: time(term.to),
                currency: Some("USD".to_owned()),
                stopped: None,
                returned: None,
                unclear: Vec::new(),
                shared: true,
            },
            hours: BTreeMap::new(),
        });
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
        let used = 1.0 - (1.0 - here) / 2.0;
        self.fees(hour, used, (paid.compute_used, paid.instance_used));
        for plan in &mut self.plans {
            if let Some(amounts) = plan.hours.get_mut(&hour_of(hour)) {
                amounts.covered = amounts.covered.scale(here / used);
            }
        }
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
            self.usage
                .entry((who, class))
                .or_default()
                .push((hour_of(hour), amount, cost));
        }
    }

    /// Fee rows of the plans in force, with that part of what they were used for ($/h, Compute and EC2 Instance).
    fn fees(&mut self, hour: usize, part: f64, used: (f64, f64)) {
        let tariff = self.trace.tariff(hour * STEPS_PER_HOUR);
        for (plan, term) in self.plans.iter_mut().zip(&self.trace.plans) {
            if term.covers(hour) && term.from <= self.bought_by {
                let (used, all) = if term.instance {
                    (used.1, tariff.instance)
                } else {
                    (used.0, tariff.compute)
                };
                let used = dollars(used * part * term.commitment / all);
                let amounts = PlanHour {
                    commitment: Some(dollars(term.commitment)),
                    used,
                    covered: used,
                    suspect: false,
                    fee_rows: 1,
                };
                plan.hours.insert(hour_of(hour), amounts);
            }
        }
    }

    fn finish(mut self, reached: Hour) -> Ledger {
        // A plan of which the report knows nothing yet, or nothing any more, has no number.
        let known: Vec<usize> = (0..self.plans.len())
            .filter(|index| !self.plans[*index].hours.is_empty())
            .collect();
        let number = |class| match class {
            UsageClass::Covered(index) => UsageClass::Covered(known.partition_point(|plan| *plan < index)),
            other => other,
        };
        self.plans.retain(|plan| !plan.hours.is_empty());
        let usage = std::mem::take(&mut self.usage);
        let mut listed: Vec<(Series, Vec<Row>)> = usage
            .into_iter()
            .map(|((who, class), rows)| (self.series(who, number(class)), rows))
            .collect();
        listed.sort_by(|a, b| a.0.cmp(&b.0));
        let mut cells: Vec<Cell> = Vec::new();
        for (index, (_, rows)) in listed.iter().enumerate() {
            cells.extend(rows.iter().map(|(hour, amount, cost)| Cell {
                hour: *hour,
                series: index as u32,
                amount: Quantity::from_units(*amount).unwrap_or_default(),
                picos: (cost * 1e12) as i64,
            }));
        }
        cells.sort_unstable();
        let types: Vec<(&str, f64)> = SIZES
            .iter()
            .map(|(name, vcpu)| (*name, f64::from(*vcpu)))
            .chain([(OTHERS_TYPE, OTHERS_VCPU)])
            .collect();
        let mut rates = BTreeMap::new();
        for (plan, entry) in self.plans.iter().enumerate() {
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
        let reached = reached.start();
        Ledger {
            rates: rates.into_iter().collect(),
            on_demand_prices: prices.collect(),
            series: listed.into_iter().map(|(series, _)| series).collect(),
            cells,
            newest_by_region: BTreeMap::from([(REGION.to_owned(), reached)]),
            covered_regions: (0..self.plans.len())
                .map(|plan| (plan, REGION.to_owned()))
                .collect(),
            newest_usage: Some(reached),
            granularity: Some(Granularity::Hourly),
            regions: regions.collect(),
            currencies: BTreeSet::from(["USD".to_owned()]),
            plans: self.plans,
            ..Ledger::default()
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
