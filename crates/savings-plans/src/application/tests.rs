//! The published scenarios (user guide, "Understanding how Savings Plans apply to your usage"), and single rules.

use super::*;
use crate::savings_plan::{Covered, PlanKind, PlanTexts};
use crate::usage::family;

const OWNER: &str = "111122223333";

pub(super) fn money(dollars: f64) -> Money {
    Money::from_dollars(dollars).unwrap()
}

pub(super) fn units(amount: f64) -> Quantity {
    Quantity::from_units(amount).unwrap()
}

fn cents(amount: Money) -> i128 {
    (amount.picos() + 5_000_000_000) / 10_000_000_000
}

pub(super) fn plan(name: &str, kind: PlanKind, owner: &str) -> Plan {
    let is_ec2 = kind == PlanKind::Ec2Instance;
    let texts = PlanTexts {
        offering_type: if is_ec2 {
            "EC2InstanceSavingsPlans"
        } else {
            "ComputeSavingsPlans"
        }
        .into(),
        family: if is_ec2 { "r5".into() } else { String::new() },
        region: if is_ec2 { "us-east-1".into() } else { String::new() },
        ..PlanTexts::default()
    };
    Plan::read(
        &format!("arn:aws:savingsplans::{owner}:savingsplan/{name}"),
        &texts,
        &Covered::default(),
    )
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "rates are optional: a plan may not cover a line"
)]
fn learned(rate: f64) -> Option<Rate> {
    Some(Rate {
        rate: money(rate),
        learned: true,
    })
}

pub(super) fn line(usage_type: &str, account: &str, on_demand: f64, rates: Vec<Option<Rate>>) -> UsageLine {
    let instance = usage_type
        .split_once(':')
        .map(|(_, name)| Arc::from(family(name)));
    UsageLine {
        account: account.into(),
        region: "us-east-1".into(),
        family: instance,
        key: UsageKey {
            usage_type: usage_type.into(),
            operation: "RunInstances".into(),
        },
        on_demand: money(on_demand),
        rates: rates.into(),
    }
}

/// The usage of the user guide's examples: name, on-demand price, Compute rate, EC2 Instance rate, units in the hour.
const PUBLISHED: [(&str, f64, f64, Option<f64>, f64); 6] = [
    ("BoxUsage:r5.4xlarge", 1.0, 0.7, Some(0.6), 4.0),
    ("DedicatedUsage:m5.24xlarge", 10.0, 8.2, Some(7.8), 1.0),
    ("Fargate-vCPU-Hours", 0.04, 0.03, None, 400.0),
    ("Fargate-GB-Hours", 0.004, 0.003, None, 1600.0),
    // One million requests of 3 s at 0.5 GB.
    ("Lambda-GB-Second", 0.000_015, 0.000_012_75, None, 1_500_000.0),
    ("Request", 0.000_000_2, 0.000_000_2, None, 1_000_000.0),
];

struct Published {
    paid: Application,
}

impl Published {
    /// Pays the published usage with an EC2 Instance plan for r5 and a Compute plan, `reserved` of r5 apart.
    fn with(ec2: f64, compute: f64, reserved: f64) -> Self {
        let plans = [
            plan("ec2", PlanKind::Ec2Instance, OWNER),
            plan("compute", PlanKind::Compute, OWNER),
        ];
        let lines = PUBLISHED.map(|(name, on_demand, compute, ec2, _)| {
            line(
                name,
                OWNER,
                on_demand,
                vec![ec2.and_then(learned), learned(compute)],
            )
        });
        let loads = PUBLISHED.map(|(name, .., amount)| Load {
            quantity: units(amount),
            reserved: units(if name.contains("r5") { reserved } else { 0.0 }),
        });
        let order = Order::new(&plans.each_ref(), &lines, &Sharing::Open);
        Self {
            paid: order.apply(&[money(ec2), money(compute)], &loads),
        }
    }

    /// At on-demand prices, whoever paid.
    fn list_price() -> Money {
        PUBLISHED
            .map(|(_, on_demand, .., amount)| units(amount).at(money(on_demand)))
            .into_iter()
            .sum()
    }

    fn on_demand(&self) -> Money {
        let left = self.paid.lines.iter().zip(PUBLISHED);
        left.map(|(line, (_, price, ..))| line.on_demand.at(money(price)))
            .sum()
    }

    fn covered(&self, line: usize) -> Quantity {
        self.paid.lines[line].covered
    }
}

#[test]
fn scenario_1_a_large_compute_plan_pays_for_everything() {
    let hour = Published::with(0.0, 50.0, 0.0);
    assert_eq!(cents(hour.paid.plans[1].used), 4713);
    assert_eq!(
        hour.paid.plans[1].unused,
        money(50.0 - 47.125),
        "$47.13 is $47.125 in full"
    );
    assert_eq!(hour.on_demand(), Money::ZERO);
    assert_eq!(cents(Published::list_price()), 5910);
}

#[test]
fn scenario_2_a_small_compute_plan_pays_for_the_highest_saving_alone() {
    let hour = Published::with(0.0, 2.0, 0.0);
    assert_eq!(hour.paid.plans[1].used, money(2.0));
    assert!((hour.covered(0).units() - 2.857).abs() < 0.0005);
    assert_eq!(cents(hour.on_demand()), 5624);
    // All of it on r5: 1.143 of them stay on demand.
    assert_eq!(hour.paid.covered.len(), 1);
    assert_eq!(cents(hour.paid.lines[0].on_demand.at(money(1.0))), 114);
}

#[test]
fn scenario_3_reserved_instances_come_before_the_plan() {
    let hour = Published::with(0.0, 18.2, 2.0);
    assert_eq!(hour.paid.lines[0].reserved, units(2.0));
    assert_eq!(hour.covered(0), units(2.0));
    assert_eq!(hour.paid.plans[1].used, money(18.2));
    // r5 1.40, then at 25 % the lower rate first (0.003 before 0.03) 4.80 and 12.00: exactly the commitment.
    assert_eq!([2, 3].map(|line| hour.covered(line)), [400.0, 1600.0].map(units));
    assert_eq!([1, 4, 5].map(|line| hour.covered(line)), [Quantity::ZERO; 3]);
    assert_eq!(cents(hour.on_demand()), 1000 + 2250 + 20);
}

#[test]
fn scenario_4_what_an_ec2_instance_plan_cannot_use_is_lost_and_compute_pays_the_rest() {
    let hour = Published::with(3.0, 16.8, 0.0);
    let [ec2, compute] = hour.paid.plans[..] else {
        panic!()
    };
    assert_eq!((cents(ec2.used), cents(ec2.unused)), (240, 60));
    assert_eq!(ec2.used, (ec2.used + ec2.unused).scale(0.8));
    assert_eq!(compute.used, money(16.8));
    assert_eq!(
        [0, 2, 3].map(|line| hour.covered(line)),
        [4.0, 400.0, 1600.0].map(units)
    );
    assert_eq!(
        hour.covered(1),
        Quantity::ZERO,
        "its 22 % is another plan's saving; at Compute rates it is 18 %"
    );
}

#[test]
fn of_equal_savings_the_lowest_rate_comes_first() {
    let plans = [plan("compute", PlanKind::Compute, OWNER)];
    let lines = [
        line("BoxUsage:m5.xlarge", OWNER, 0.2, vec![learned(0.14)]),
        line("BoxUsage:m5.large", OWNER, 0.1, vec![learned(0.07)]),
    ];
    let order = Order::new(&plans.each_ref(), &lines, &Sharing::Open);
    let one = Load {
        quantity: units(1.0),
        reserved: Quantity::ZERO,
    };
    let paid = order.apply(&[money(0.14)], &[one, one]);
    assert_eq!(paid.lines[1].covered, units(1.0));
    assert_eq!(paid.lines[0].covered, units(0.5));
}

#[test]
fn the_owner_comes_before_a_higher_saving_elsewhere() {
    let plans = [plan("compute", PlanKind::Compute, OWNER)];
    let lines = [
        line("BoxUsage:m5.large", "other", 0.1, vec![learned(0.05)]),
        line("BoxUsage:m5.large", OWNER, 0.1, vec![learned(0.09)]),
    ];
    let one = Load {
        quantity: units(1.0),
        reserved: Quantity::ZERO,
    };
    let paid = |sharing: &Sharing| {
        let order = Order::new(&plans.each_ref(), &lines, sharing);
        let lines = order.apply(&[money(0.11)], &[one, one]).lines;
        [lines[0].covered, lines[1].covered]
    };
    assert_eq!(paid(&Sharing::Open), [0.4, 1.0].map(units));
    assert_eq!(paid(&Sharing::Off), [0.0, 1.0].map(units));
}

#[test]
fn a_rate_not_seen_yet_comes_last() {
    let plans = [plan("compute", PlanKind::Compute, OWNER)];
    let unseen = Some(Rate {
        rate: money(0.05),
        learned: false,
    });
    let lines = [
        line("BoxUsage:c5.large", OWNER, 0.1, vec![unseen]),
        line("BoxUsage:m5.large", OWNER, 0.1, vec![learned(0.09)]),
    ];
    let one = Load {
        quantity: units(1.0),
        reserved: Quantity::ZERO,
    };
    let order = Order::new(&plans.each_ref(), &lines, &Sharing::Open);
    let paid = order.apply(&[money(0.1)], &[one, one]);
    assert_eq!(
        [paid.lines[0].covered, paid.lines[1].covered],
        [units(0.2), units(1.0)]
    );
}

#[test]
fn demand_is_what_a_groups_plans_would_have_been_used_for() {
    let plans = [
        plan("compute-1", PlanKind::Compute, OWNER),
        plan("compute-2", PlanKind::Compute, OWNER),
        plan("ec2", PlanKind::Ec2Instance, OWNER),
    ];
    let rates = |ec2| vec![learned(0.7), learned(0.7), ec2];
    let lines = [
        line("BoxUsage:r5.4xlarge", OWNER, 1.0, rates(learned(0.6))),
        line("BoxUsage:m5.large", OWNER, 1.0, rates(None)),
    ];
    let load = |amount| Load {
        quantity: units(amount),
        reserved: Quantity::ZERO,
    };
    let order = Order::new(&plans.each_ref(), &lines, &Sharing::Open);
    let all = |ec2, one, two| order.standing(&[money(one), money(two), money(ec2)], &[load(10.0), load(2.0)]);
    // EC2 pays one r5; Compute two m5 and two r5. The seven r5 left are the EC2 Instance plan's to want, at its rate.
    let found = all(0.6, 2.1, 0.7);
    let used = |standing: &Standing| standing.used;
    assert_eq!(
        found.iter().map(used).collect::<Vec<_>>(),
        [2.1, 0.7, 0.6].map(money)
    );
    let demand = |standing: &Standing| standing.demand;
    assert_eq!(
        found.iter().map(demand).collect::<Vec<_>>(),
        [2.1, 0.7, 4.8].map(money)
    );
    // Without it the eight r5 left are Compute's, three to one by commitment.
    let found = all(0.0, 2.1, 0.7);
    assert_eq!(
        found.iter().map(demand).collect::<Vec<_>>(),
        [6.3, 2.1, 0.0].map(money)
    );
}
