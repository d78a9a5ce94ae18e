//! The report as AWS would have delivered it by now: late, incomplete in its newest hours, and restated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::billing::Tariff;
use super::cluster::{Cluster, REGION};
use super::node_pools::{INSTANCE_TYPE, Pool};
use super::trace::{Delivery, STEPS_PER_HOUR, Trace, cluster_name, time_of};
use brimful_policy::groundwork::Groundwork;
use brimful_policy::settings::Settings;
use brimful_savings_plans::ledger::{
    Cell, Granularity, Ledger, PlanHour, PlanLedger, Series, UsageClass, UsageKey,
};
use brimful_savings_plans::savings_plan::{Plan, PlanKind};
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::{Check, Terms, Utilization};
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;

/// The account of the clusters.
pub const ACCOUNT: &str = "111122223333";
/// That of everybody else.
pub const OTHER_ACCOUNT: &str = "444455556666";
/// `RecurringFee` rows are written so many hours ahead.
pub const FEES_AHEAD: usize = 96;

/// What ran in an hour, in node-hours by cluster and pool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HourRun(pub Vec<[f64; 3]>);

/// Node-hours of every hour so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History(pub Vec<HourRun>);

impl History {
    /// Notes a step.
    pub fn note(&mut self, step: usize, clusters: &[Cluster]) {
        if step.is_multiple_of(STEPS_PER_HOUR) {
            self.0.push(HourRun(vec![[0.0; 3]; clusters.len()]));
        }
        if let Some(hour) = self.0.last_mut() {
            for (run, cluster) in hour.0.iter_mut().zip(clusters) {
                for pool in Pool::ALL {
                    run[pool as usize] += cluster.count(pool) as f64 / STEPS_PER_HOUR as f64;
                }
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
    /// What plans rest on that only this report tells, by cluster: it goes when the next report comes.
    pub groundwork: BTreeMap<usize, Groundwork>,
}

impl Report {
    /// What a delivery holds: the hours that decisions look back on.
    #[must_use]
    pub fn new(trace: &Trace, history: &History, delivery: Delivery, config: &Settings) -> Self {
        let now = time_of(delivery.step);
        let lookback = config.lookback.0.num_hours() as usize;
        let arrival = delivery.step / STEPS_PER_HOUR;
        let mut writer = Writer::new(trace);
        for hour in arrival.saturating_sub(lookback)..delivery.reaches {
            writer.hour(history, delivery, hour);
        }
        // Nobody knows of a plan that is not bought yet.
        writer.bought_by = arrival as i32;
        for hour in delivery.reaches..arrival + FEES_AHEAD {
            writer.fees(hour, 0.0, 0.0);
        }
        Self::of(writer.finish(hour_of(delivery.reaches).start()), now, config)
    }

    /// A report that was added up, and what it says at that time.
    #[must_use]
    pub fn of(mut ledger: Ledger, now: DateTime<Utc>, config: &Settings) -> Self {
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
            groundwork: BTreeMap::new(),
        }
    }
}

/// Usage type and operation of a node of that type.
#[must_use]
pub fn key(instance_type: &str, spot: bool) -> UsageKey {
    let (kind, operation) = if spot {
        ("SpotUsage", "RunInstances:SV001")
    } else {
        ("BoxUsage", "RunInstances")
    };
    UsageKey {
        usage_type: format!("USE2-{kind}:{instance_type}").into(),
        operation: operation.into(),
    }
}

/// A plan of this account, without an hour yet. `family` makes it an EC2 Instance plan; it begins and ends in those hours,
/// counted from the beginning.
#[must_use]
pub fn plan(index: usize, family: Option<&str>, from: i32, to: i32) -> PlanLedger {
    let time = |hour: i32| Some(hour_of(0).plus(hour).start());
    PlanLedger {
        plan: Plan {
            arn: format!("arn:aws:savingsplans::{ACCOUNT}:savingsplan/plan-{index}"),
            kind: family.map_or(PlanKind::Compute, |_| PlanKind::Ec2Instance),
            region: family.map(|_| REGION.to_owned()),
            family: family.map(str::to_owned),
            owner: Some(ACCOUNT.to_owned()),
            payment_option: Some("No Upfront".to_owned()),
            start: time(from),
            end: time(to),
            currency: Some("USD".to_owned()),
            stopped: None,
            returned: None,
            unclear: Vec::new(),
            listed: None,
            shared: true,
        },
        hours: BTreeMap::new(),
    }
}

/// Adds usage up: without rates and prices, which who calls adds. A plan of which the report knows no hour (nothing yet,
/// or nothing any more) has no number, so the others are numbered anew.
#[must_use]
pub fn add_up<W>(
    mut plans: Vec<PlanLedger>,
    usage: BTreeMap<(W, UsageClass), Vec<Row>>,
    series: impl Fn(W, UsageClass) -> Series,
    reached: DateTime<Utc>,
) -> Ledger {
    let known: Vec<usize> = (0..plans.len())
        .filter(|index| !plans[*index].hours.is_empty())
        .collect();
    let renumbered = |class| match class {
        UsageClass::Covered(index) => UsageClass::Covered(known.partition_point(|plan| *plan < index)),
        other => other,
    };
    plans.retain(|plan| !plan.hours.is_empty());
    let mut listed: Vec<(Series, Vec<Row>)> = usage
        .into_iter()
        .map(|((who, class), rows)| (series(who, renumbered(class)), rows))
        .collect();
    listed.sort_by(|a, b| a.0.cmp(&b.0));
    let cell = |row: &Row| Cell {
        hour: row.hour,
        amount: Quantity::from_units(row.amount).unwrap_or_default(),
        picos: (row.cost * 1e12) as i64,
    };
    let cells = listed.iter().map(|(_, rows)| {
        let mut cells: Vec<Cell> = rows.iter().map(cell).collect();
        cells.sort_unstable();
        cells
    });
    Ledger {
        cells: cells.collect(),
        series: listed.into_iter().map(|(series, _)| series).collect(),
        newest_by_region: BTreeMap::from([(REGION.to_owned(), reached)]),
        covered_regions: (0..plans.len()).map(|plan| (plan, REGION.to_owned())).collect(),
        newest_usage: Some(reached),
        granularity: Some(Granularity::Hourly),
        currencies: BTreeSet::from(["USD".to_owned()]),
        plans,
        ..Ledger::default()
    }
}

/// The series of usage: who, on what, paid how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Own(usize, Pool),
    Others,
}

/// Usage in an hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The hour.
    pub hour: Hour,
    /// Node-hours.
    pub amount: f64,
    /// $.
    pub cost: f64,
}

struct Writer<'a> {
    trace: &'a Trace,
    plans: Vec<PlanLedger>,
    bought_by: i32,
    usage: BTreeMap<(Who, UsageClass), Vec<Row>>,
}

/// The hour of that number, counted from the beginning.
#[must_use]
pub fn hour_of(index: usize) -> Hour {
    Hour::of(time_of(index * STEPS_PER_HOUR))
}

/// An amount as money.
#[must_use]
pub fn dollars(amount: f64) -> Money {
    Money::from_dollars(amount).unwrap_or_default()
}

impl<'a> Writer<'a> {
    fn new(trace: &'a Trace) -> Self {
        let terms = trace.plans.iter().enumerate();
        let plans = terms.map(|(index, term)| plan(index, None, term.from, term.to));
        Self {
            trace,
            plans: plans.collect(),
            bought_by: i32::MAX,
            usage: BTreeMap::new(),
        }
    }

    /// The rows of an hour, as far as they have come in.
    fn hour(&mut self, history: &History, delivery: Delivery, hour: usize) {
        let age = (delivery.step as f64) / STEPS_PER_HOUR as f64 - (hour + 1) as f64;
        let late = self.trace.lateness[hour];
        let here = 1.0 - late.lacking * (1.0 - age / late.hours).max(0.0);
        let restated = late.restated.filter(|(_, until)| age < *until);
        let late_part = restated.map_or(0.0, |(part, _)| part);
        let others = self.trace.others[hour] * (1.0 - late_part);
        let prices = self.trace.prices;
        let rate = prices.savings_plan;
        let run = &history.0[hour];
        let demand: f64 = others + rate * run.0.iter().map(|pools| pools[0] + pools[1]).sum::<f64>();
        let commitment = self.trace.commitment(hour);
        let used = demand.min(commitment);
        // Both sides of a row that AWS splits, as parts of the usage.
        let covered = if demand > 0.0 { used / demand } else { 0.0 };
        // AWS states the use before all of the rows that make it up are there.
        self.fees(hour, used * (1.0 - (1.0 - here) / 2.0), used * here);
        let nodes = run.0.iter().enumerate().flat_map(|(cluster, pools)| {
            Pool::ALL
                .into_iter()
                .map(move |pool| (Who::Own(cluster, pool), pools[pool as usize]))
        });
        let usage: Vec<(Who, f64)> = nodes.chain([(Who::Others, others / rate)]).collect();
        for (who, amount) in usage {
            let amount = amount * here;
            if matches!(who, Who::Own(_, Pool::Spot)) {
                let cost = amount * self.trace.spot_price[hour];
                self.row(who, UsageClass::Spot, hour, amount, cost);
                continue;
            }
            for (index, term) in self.trace.plans.iter().enumerate() {
                if term.covers(hour) {
                    let part = amount * covered * term.commitment / commitment;
                    self.row(who, UsageClass::Covered(index), hour, part, part * rate);
                }
            }
            let rest = amount * (1.0 - covered);
            self.row(who, UsageClass::OnDemand, hour, rest, rest * prices.on_demand);
        }
    }

    fn row(&mut self, who: Who, class: UsageClass, hour: usize, amount: f64, cost: f64) {
        if amount > 1e-9 {
            let rows = self.usage.entry((who, class)).or_default();
            rows.push(Row {
                hour: hour_of(hour),
                amount,
                cost,
            });
        }
    }

    /// Fee rows, with what the plans in force were used for.
    fn fees(&mut self, hour: usize, used: f64, covered: f64) {
        let commitment = self.trace.commitment(hour);
        for (plan, term) in self.plans.iter_mut().zip(&self.trace.plans) {
            if term.covers(hour) && term.from <= self.bought_by {
                let part = term.commitment / commitment;
                let amounts = PlanHour {
                    commitment: Some(dollars(term.commitment)),
                    used: dollars(used * part),
                    covered: dollars(covered * part),
                    suspect: false,
                    fee_rows: 1,
                };
                plan.hours.insert(hour_of(hour), amounts);
            }
        }
    }

    fn finish(self, reached: DateTime<Utc>) -> Ledger {
        let ledger = add_up(self.plans, self.usage, series, reached);
        let key = key(INSTANCE_TYPE, false);
        let rate = dollars(self.trace.prices.savings_plan);
        let plans = 0..ledger.plans.len();
        Ledger {
            rates: plans.map(|plan| ((plan, key.clone()), rate)).collect(),
            on_demand_prices: BTreeMap::from([(key.clone(), dollars(self.trace.prices.on_demand))]),
            regions: BTreeMap::from([(key.usage_type, Arc::from(REGION))]),
            ..ledger
        }
    }
}

fn series(who: Who, class: UsageClass) -> Series {
    let key = key(INSTANCE_TYPE, class == UsageClass::Spot);
    let (account, cluster, node_pool) = match who {
        Who::Own(cluster, pool) => (ACCOUNT, cluster_name(cluster), pool.name()),
        Who::Others => (OTHER_ACCOUNT, String::new(), ""),
    };
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

/// One step's terms in a trace.
#[must_use]
pub fn tariff(trace: &Trace, step: usize) -> Tariff {
    let hour = step / STEPS_PER_HOUR;
    Tariff {
        prices: trace.prices,
        commitment: trace.commitment(hour),
        others: trace.others[hour],
        spot: trace.spot_price[hour],
    }
}
