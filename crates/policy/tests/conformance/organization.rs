//! A small organization whose coverage is known: accounts, usage, plans bought, ended and returned, and how far they are
//! shared. It is billed by a few lines of its own, hour by hour, and written down as a report would show it.

use std::collections::{BTreeMap, BTreeSet};

use brimful_savings_plans::ledger::{
    Cell, Granularity, Ledger, PlanHour, PlanLedger, Series, UsageClass, UsageKey,
};
use brimful_savings_plans::savings_plan::{Plan, PlanKind};
use brimful_types::hour::Hour;
use brimful_types::money::Money;
use brimful_types::quantity::Quantity;
use chrono::{DateTime, Duration, Utc};

pub(crate) const OWN: &str = "111111111111";
pub(crate) const OTHER: &str = "222222222222";
pub(crate) const REGION: &str = "us-east-2";
pub(crate) const POOL: &str = "committed";
/// How long the report's history is.
const HISTORY: i32 = 28 * 24;
/// What rates are of on-demand prices, and what Spot is.
const INSTANCE: f64 = 0.6;
const COMPUTE: f64 = 0.72;
pub(crate) const SPOT: f64 = 0.35;

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Stands for Fargate among the families: covered by Compute plans alone.
pub(crate) const FARGATE: &str = "fargate";

/// The hour in which plans are made: 18:20 on a Saturday.
pub(crate) fn now() -> DateTime<Utc> {
    at("2026-11-21T18:20:00Z")
}

/// The report reaches 9:00 of that day.
fn horizon() -> Hour {
    Hour::of(at("2026-11-21T09:00:00Z"))
}

pub(crate) fn vcpu(kind: &str) -> f64 {
    match kind.split_once('.').unwrap().1 {
        "large" => 2.0,
        "xlarge" => 4.0,
        "2xlarge" => 8.0,
        _ => 16.0,
    }
}

fn family(kind: &str) -> &str {
    kind.split_once('.').unwrap().0
}

/// $/h on demand.
pub(crate) fn list_price(kind: &str) -> f64 {
    let per_vcpu = match family(kind) {
        FARGATE => 0.0202,
        "c5" => 0.0425,
        "m5" => 0.048,
        _ => 0.063,
    };
    per_vcpu * vcpu(kind)
}

/// Instances of one type in one account.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub(crate) account: &'static str,
    pub(crate) kind: String,
    /// How many run by day (8:00 to 24:00), and what part of them by night.
    pub(crate) count: f64,
    pub(crate) by_night: f64,
    /// True for the cluster's own nodes.
    pub(crate) own: bool,
    /// How many run now: as many as the report shows, but for the cluster's own.
    pub(crate) live: f64,
}

impl Usage {
    fn at(&self, hour: Hour) -> f64 {
        let part = if hour.of_day() < 8 { self.by_night } else { 1.0 };
        self.count * part
    }
}

/// A plan, in hours from now.
#[derive(Debug, Clone)]
pub(crate) struct Bought {
    /// `None` for a Compute plan.
    pub(crate) family: Option<String>,
    pub(crate) owner: &'static str,
    pub(crate) commitment: f64,
    pub(crate) from: i32,
    pub(crate) to: i32,
    /// True when its fee rows are gone since it was given back, 12 hours ago.
    pub(crate) returned: bool,
}

impl Bought {
    pub(crate) fn compute(commitment: f64) -> Self {
        Self {
            family: None,
            owner: OWN,
            commitment,
            from: -9000,
            to: 9000,
            returned: false,
        }
    }

    fn holds(&self, hour: Hour) -> bool {
        let from_now = hour.index() - Hour::of(now()).index();
        let end = if self.returned { -12 } else { self.to };
        (self.from..end).contains(&from_now)
    }

    fn rate(&self, kind: &str) -> Option<f64> {
        match &self.family {
            None => Some(list_price(kind) * COMPUTE),
            Some(of) => (of == family(kind)).then(|| list_price(kind) * INSTANCE),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Organization {
    pub(crate) usage: Vec<Usage>,
    pub(crate) plans: Vec<Bought>,
    /// Whether plans pay for other accounts than their owner's.
    pub(crate) shared: bool,
    /// Whether the configuration says with whom (`sharing.accounts`), so that the ledger keeps accounts.
    pub(crate) told: bool,
    /// Whether the cluster's nodes carry its tags.
    pub(crate) tagged: bool,
}

/// An hour, paid: who paid how many instance-hours of which usage, and what nobody did.
struct Paid {
    covered: Vec<(usize, usize, f64)>,
    left: Vec<f64>,
}

impl Organization {
    /// EC2 Instance plans first, then Compute; the owner's usage first, then others'.
    fn pay(&self, loads: &[f64], hour: Hour) -> Paid {
        let mut paid = Paid {
            covered: Vec::new(),
            left: loads.to_vec(),
        };
        let mut order: Vec<usize> = (0..self.plans.len()).collect();
        order.sort_by_key(|plan| self.plans[*plan].family.is_none());
        for plan in order {
            let bought = &self.plans[plan];
            if !bought.holds(hour) {
                continue;
            }
            let mut purse = bought.commitment;
            for owners in [true, false] {
                for (line, usage) in self.usage.iter().enumerate() {
                    let is_owner = usage.account == bought.owner;
                    let Some(rate) = bought.rate(&usage.kind) else {
                        continue;
                    };
                    if is_owner != owners || (!owners && !self.shared) {
                        continue;
                    }
                    let amount = paid.left[line].min(purse / rate);
                    if amount > 1e-9 {
                        purse -= amount * rate;
                        paid.left[line] -= amount;
                        paid.covered.push((plan, line, amount));
                    }
                }
            }
        }
        paid
    }

    /// What nobody pays for, at on-demand prices, with so many of the cluster's nodes: in each of the next hours.
    pub(crate) fn uncovered(&self, own: f64) -> Vec<f64> {
        let hours = (0..24).map(|ahead| Hour::of(now()).plus(ahead));
        hours
            .map(|hour| {
                let load = |usage: &Usage| if usage.own { own } else { usage.at(hour) };
                let loads: Vec<f64> = self.usage.iter().map(load).collect();
                let left = self.pay(&loads, hour).left;
                let costs = self.usage.iter().zip(left);
                costs.map(|(usage, left)| left * list_price(&usage.kind)).sum()
            })
            .collect()
    }

    /// True where the report cannot tell that plans are not shared: nobody says so, and others' usage has hardly stood
    /// uncovered beside plans with room. Then AWS's default holds, and what is right is a guess.
    pub(crate) fn is_a_guess(&self) -> bool {
        let mature = (24..HISTORY).map(|back| horizon().plus(-back));
        let has_room = |hour: &Hour| {
            let loads: Vec<f64> = self.usage.iter().map(|usage| usage.at(*hour)).collect();
            let paid = self.pay(&loads, *hour);
            self.plans.iter().enumerate().any(|(index, plan)| {
                let used = paid.covered.iter().filter(|(of, ..)| *of == index);
                let rate = |line: usize| plan.rate(&self.usage[line].kind).unwrap_or_default();
                let used: f64 = used.map(|(_, line, amount)| amount * rate(*line)).sum();
                plan.holds(*hour) && used < 0.98 * plan.commitment
            })
        };
        let roomy: Vec<Hour> = mature.filter(has_room).collect();
        let mut foreign = self.usage.iter().filter(|usage| usage.account != OWN);
        let shows = |usage: &Usage| roomy.iter().filter(|hour| usage.at(**hour) > 0.0).count() > 48;
        !self.shared && !self.told && !foreign.all(shows)
    }

    pub(crate) fn own(&self) -> &Usage {
        self.usage.iter().find(|usage| usage.own).unwrap()
    }

    /// What the report shows.
    pub(crate) fn ledger(&self) -> Ledger {
        let first = horizon().plus(-HISTORY);
        let mut cells: BTreeMap<Series, Vec<(Hour, f64, f64)>> = BTreeMap::new();
        let mut plans: Vec<PlanLedger> = (0..self.plans.len()).map(|plan| self.plan(plan, first)).collect();
        let mut rates = BTreeMap::new();
        for hour in (0..HISTORY).map(|hour| first.plus(hour)) {
            let loads: Vec<f64> = self.usage.iter().map(|usage| usage.at(hour)).collect();
            let paid = self.pay(&loads, hour);
            for (plan, line, amount) in paid.covered {
                let kind = &self.usage[line].kind;
                let rate = self.plans[plan].rate(kind).unwrap();
                let entry = plans[plan].hours.get_mut(&hour).unwrap();
                entry.used += dollars(amount * rate);
                entry.covered += dollars(amount * rate);
                rates.insert((plan, key(kind)), dollars(rate));
                let series = self.series(line, UsageClass::Covered(plan));
                cells
                    .entry(series)
                    .or_default()
                    .push((hour, amount, amount * rate));
            }
            for (line, left) in paid.left.into_iter().enumerate().filter(|(_, left)| *left > 1e-9) {
                let cost = left * list_price(&self.usage[line].kind);
                let series = self.series(line, UsageClass::OnDemand);
                cells.entry(series).or_default().push((hour, left, cost));
            }
            let kind = &self.own().kind;
            let cost = 4.0 * list_price(kind) * SPOT;
            cells.entry(self.spot(kind)).or_default().push((hour, 4.0, cost));
        }
        write(cells, plans, rates, &self.usage)
    }

    fn series(&self, line: usize, class: UsageClass) -> Series {
        let usage = &self.usage[line];
        let tagged = usage.own && self.tagged;
        let key = key(&usage.kind);
        Series {
            class,
            is_instance: family(&usage.kind) != FARGATE,
            usage_type: key.usage_type,
            operation: key.operation,
            region: REGION.into(),
            account: if tagged || self.told { usage.account } else { "" }.into(),
            cluster: if tagged { "prod" } else { "" }.into(),
            node_pool: if tagged { POOL } else { "" }.into(),
        }
    }

    fn spot(&self, kind: &str) -> Series {
        Series {
            usage_type: format!("USE2-SpotUsage:{kind}").into(),
            operation: "RunInstances:SV001".into(),
            class: UsageClass::Spot,
            is_instance: true,
            ..self.series(0, UsageClass::Spot)
        }
    }

    fn plan(&self, index: usize, first: Hour) -> PlanLedger {
        let bought = &self.plans[index];
        let months_end = Hour::of(at("2026-12-01T00:00:00Z"));
        let hours = (0..)
            .map(|hour| first.plus(hour))
            .take_while(|hour| *hour < months_end);
        let fees = hours.filter(|hour| bought.holds(*hour)).map(|hour| {
            let amounts = PlanHour {
                commitment: Some(dollars(bought.commitment)),
                fee_rows: 1,
                ..PlanHour::default()
            };
            (hour, amounts)
        });
        let time = |from_now: i32| Hour::of(now()).plus(from_now).start();
        PlanLedger {
            plan: Plan {
                arn: format!("arn:aws:savingsplans::{}:savingsplan/{index}", bought.owner),
                kind: if bought.family.is_some() {
                    PlanKind::Ec2Instance
                } else {
                    PlanKind::Compute
                },
                region: bought.family.as_ref().map(|_| REGION.to_owned()),
                family: bought.family.clone(),
                owner: Some(bought.owner.to_owned()),
                payment_option: None,
                start: Some(time(bought.from)),
                end: Some(time(bought.to)),
                currency: Some("USD".to_owned()),
                stopped: None,
                returned: None,
                unclear: Vec::new(),
                listed: None,
                shared: true,
            },
            hours: fees.collect(),
        }
    }
}

fn write(
    found: BTreeMap<Series, Vec<(Hour, f64, f64)>>,
    plans: Vec<PlanLedger>,
    rates: BTreeMap<(usize, UsageKey), Money>,
    usage: &[Usage],
) -> Ledger {
    let cell = |(hour, amount, cost): &(Hour, f64, f64)| Cell {
        hour: *hour,
        amount: Quantity::from_units(*amount).unwrap(),
        #[allow(clippy::cast_possible_truncation)]
        picos: (cost * 1e12) as i64,
    };
    let cells = found.values().map(|rows| {
        let mut cells: Vec<Cell> = rows.iter().map(cell).collect();
        cells.sort_unstable();
        cells
    });
    let kinds = usage.iter().map(|usage| usage.kind.as_str());
    let covered = found.keys().filter_map(|series| match series.class {
        UsageClass::Covered(plan) => Some((plan, REGION.to_owned())),
        _ => None,
    });
    Ledger {
        rates,
        on_demand_prices: kinds
            .clone()
            .map(|kind| (key(kind), dollars(list_price(kind))))
            .collect(),
        cells: cells.collect(),
        covered_regions: covered.collect(),
        newest_by_region: BTreeMap::from([(REGION.to_owned(), horizon().start())]),
        newest_usage: Some(horizon().start()),
        granularity: Some(Granularity::Hourly),
        regions: kinds
            .filter(|kind| family(kind) != FARGATE)
            .map(|kind| (key(kind).usage_type, REGION.into()))
            .collect(),
        currencies: BTreeSet::from(["USD".to_owned()]),
        series: found.into_keys().collect(),
        plans,
        ..Ledger::default()
    }
}

pub(crate) fn dollars(amount: f64) -> Money {
    Money::from_dollars(amount).unwrap()
}

fn key(kind: &str) -> UsageKey {
    if family(kind) == FARGATE {
        return UsageKey {
            usage_type: "USE2-Fargate-vCPU-Hours:perCPU".into(),
            operation: "FargateTask".into(),
        };
    }
    UsageKey {
        usage_type: format!("USE2-BoxUsage:{kind}").into(),
        operation: "RunInstances".into(),
    }
}

pub(crate) fn long_ago() -> DateTime<Utc> {
    now() - Duration::days(20)
}
