//! A small AWS: bills machines hour by hour and applies one Compute Savings Plan as AWS does, for closed loops.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Duration, Months, TimeZone as _, Utc};

use super::cur::{COMPUTE, Row, at};

/// $/h of an instance type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prices {
    pub(crate) on_demand: f64,
    pub(crate) savings_plan: f64,
    pub(crate) spot: f64,
}

/// What ran in an hour: of one instance type, paid in one way, for one `NodePool` of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Machine {
    pub(crate) instance_type: String,
    pub(crate) spot: bool,
    pub(crate) cluster: String,
    pub(crate) node_pool: String,
}

/// What the plan paid and what it did not, in one hour.
#[derive(Debug, Clone, Default, PartialEq)]
struct Hour {
    used: f64,
    /// Machines on demand, in hours that the plan paid and hours that it did not.
    on_demand: BTreeMap<Machine, (f64, f64)>,
    spot: BTreeMap<Machine, f64>,
}

/// Bills to the plan's owner.
pub(crate) struct Biller {
    commitment: f64,
    prices: BTreeMap<String, Prices>,
    /// The hour from which hours count.
    origin: DateTime<Utc>,
    hours: BTreeMap<i32, Hour>,
}

impl Biller {
    pub(crate) fn new(commitment: f64, prices: BTreeMap<String, Prices>, origin: DateTime<Utc>) -> Self {
        Self {
            commitment,
            prices,
            origin,
            hours: BTreeMap::new(),
        }
    }

    fn price(&self, machine: &Machine) -> Prices {
        *self
            .prices
            .get(&machine.instance_type)
            .unwrap_or_else(|| panic!("no price for {}", machine.instance_type))
    }

    /// Bills an hour: the plan pays for the usage that it discounts most first, until it is used up (AWS Savings Plans
    /// user guide, "How Savings Plans apply to your usage"); it never pays for Spot.
    pub(crate) fn bill(&mut self, hour: i32, machines: impl IntoIterator<Item = (Machine, f64)>) {
        let mut billed = Hour::default();
        for (machine, hours) in machines {
            if machine.spot {
                *billed.spot.entry(machine).or_default() += hours;
            } else {
                billed.on_demand.entry(machine).or_default().1 += hours;
            }
        }
        let mut order: Vec<Machine> = billed.on_demand.keys().cloned().collect();
        let kept = |machine: &Machine| {
            let price = self.price(machine);
            price.savings_plan / price.on_demand
        };
        order.sort_by(|a, b| kept(a).total_cmp(&kept(b)).then_with(|| a.cmp(b)));
        for machine in order {
            let rate = self.price(&machine).savings_plan;
            let (covered, rest) = billed.on_demand.get_mut(&machine).expect("it is listed");
            *covered = rest.min((self.commitment - billed.used) / rate);
            *rest -= *covered;
            billed.used += *covered * rate;
        }
        self.hours.insert(hour, billed);
    }

    /// $/h of the plan that an hour used.
    pub(crate) fn used(&self, hour: i32) -> f64 {
        self.hours[&hour].used
    }

    /// $ of on-demand usage of an hour that the plan did not pay, at list prices.
    pub(crate) fn spilled(&self, hour: i32) -> f64 {
        let spilled = self.hours[&hour].on_demand.iter();
        spilled
            .map(|(machine, (_, rest))| rest * self.price(machine).on_demand)
            .sum()
    }

    /// When an hour begins.
    pub(crate) fn time(&self, hour: i32) -> DateTime<Utc> {
        self.origin + Duration::hours(hour.into())
    }

    /// All rows as AWS delivers them at `now`, when hour `newest` is the last with usage; the fees of later hours are
    /// there already, unused, until the month ends.
    pub(crate) fn rows(&self, newest: i32, now: DateTime<Utc>) -> Vec<Row> {
        let first = Utc.with_ymd_and_hms(now.year(), now.month(), 1, 0, 0, 0);
        let end = first.single().expect("a month begins") + Months::new(1);
        let end = i32::try_from((end - self.origin).num_hours()).expect("hours of a few months");
        let mut rows = Vec::new();
        for (hour, billed) in self.hours.range(..=newest) {
            self.rows_of(*hour, billed, &mut rows);
        }
        rows.extend(
            (newest + 1..end).map(|hour| Row::fee(COMPUTE, hour).commitment(self.commitment).used(0.0)),
        );
        let later = (self.origin - at(0)).num_hours();
        rows.into_iter()
            .map(|row| row.later(later).term_later(later))
            .collect()
    }

    fn rows_of(&self, hour: i32, billed: &Hour, rows: &mut Vec<Row>) {
        rows.push(
            Row::fee(COMPUTE, hour)
                .commitment(self.commitment)
                .used(billed.used),
        );
        for (machine, (covered, rest)) in &billed.on_demand {
            let price = self.price(machine);
            let usage_type = format!("USE2-BoxUsage:{}", machine.instance_type);
            let list = |hours: f64| hours * price.on_demand;
            if *covered > 0.0 {
                let row = Row::covered(COMPUTE, hour, &usage_type)
                    .amount(*covered)
                    .rate(price.savings_plan)
                    .cost(covered * price.savings_plan)
                    .list(list(*covered));
                rows.push(of(machine, row));
                let row = Row::negation(COMPUTE, hour, &usage_type)
                    .amount(*covered)
                    .unblended(-list(*covered));
                rows.push(of(machine, row));
            }
            if *rest > 0.0 {
                let row = Row::on_demand(hour, &usage_type).amount(*rest).list(list(*rest));
                rows.push(of(machine, row));
            }
        }
        for (machine, hours) in &billed.spot {
            let usage_type = format!("USE2-SpotUsage:{}", machine.instance_type);
            let row = Row::spot(hour, &usage_type)
                .amount(*hours)
                .unblended(hours * self.price(machine).spot);
            rows.push(of(machine, row));
        }
    }
}

/// What every row of a machine carries.
fn of(machine: &Machine, row: Row) -> Row {
    let row = row.region("us-east-2").tag_cluster(&machine.cluster);
    if machine.node_pool.is_empty() {
        row
    } else {
        row.tag_node_pool(&machine.node_pool)
    }
}
