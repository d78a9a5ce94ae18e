//! The published scenarios, and laws that hold for any hour.

use proptest::prelude::*;

use super::*;
use crate::commitment::savings_plan::{PlanKind, PlanTexts};
use crate::commitment::usage::family;

const OWNER: &str = "111122223333";

fn money(dollars: f64) -> Money {
    Money::from_dollars(dollars).unwrap()
}

fn units(amount: f64) -> Quantity {
    Quantity::from_units(amount).unwrap()
}

fn cents(amount: Money) -> i128 {
    (amount.picos() + 5_000_000_000) / 10_000_000_000
}

fn plan(name: &str, kind: PlanKind, owner: &str) -> Plan {
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

fn line(usage_type: &str, account: &str, on_demand: f64, rates: Vec<Option<Rate>>) -> UsageLine {
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
        rates,
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

/// An hour of any sort.
#[derive(Debug, Clone)]
struct AnyHour {
    plans: Vec<Plan>,
    commitments: Vec<Money>,
    lines: Vec<UsageLine>,
    loads: Vec<Load>,
    sharing: Sharing,
}

impl AnyHour {
    fn paid(&self) -> Application {
        let plans: Vec<&Plan> = self.plans.iter().collect();
        Order::new(&plans, &self.lines, &self.sharing).apply(&self.commitments, &self.loads)
    }

    /// The same with plans and lines in another order.
    fn turned(&self, by: usize) -> Self {
        let mut turned = self.clone();
        let (plans, lines) = (by % self.plans.len(), by % self.lines.len());
        turned.plans.rotate_left(plans);
        turned.commitments.rotate_left(plans);
        turned.lines.rotate_left(lines);
        turned.loads.rotate_left(lines);
        turned
            .lines
            .iter_mut()
            .for_each(|line| line.rates.rotate_left(plans));
        turned
    }
}

const ACCOUNTS: [&str; 4] = ["a", "b", "c", "d"];
const TYPES: [&str; 4] = [
    "BoxUsage:r5.large",
    "BoxUsage:r5.xlarge",
    "BoxUsage:m5.large",
    "Fargate-GB-Hours",
];

fn any_sharing() -> impl Strategy<Value = Sharing> {
    let groups = || {
        let pairs = [("a", "blue"), ("b", "blue"), ("c", "red")];
        pairs
            .map(|(account, group)| (account.to_owned(), group.to_owned()))
            .into()
    };
    prop_oneof![
        Just(Sharing::Off),
        Just(Sharing::Open),
        Just(Sharing::Prioritized(groups())),
        Just(Sharing::Restricted(groups())),
    ]
}

fn any_hour() -> impl Strategy<Value = AnyHour> {
    let plan = (any::<bool>(), 0..4usize, 0..3_000u32);
    let rate = prop::option::weighted(0.8, (1..90u32, prop::bool::weighted(0.9)));
    let load = (0..4_000u32, 0..500u32);
    (1..6usize, 1..12usize, any_sharing()).prop_flat_map(move |(plans, lines, sharing)| {
        let rates = prop::collection::vec(prop::collection::vec(rate.clone(), plans), lines);
        let loads = prop::collection::vec(load.clone(), lines);
        (prop::collection::vec(plan.clone(), plans), rates, loads)
            .prop_map(move |(plans, rates, loads)| hour_of(&plans, &rates, &loads, &sharing))
    })
}

fn hour_of(
    plans: &[(bool, usize, u32)],
    rates: &[Vec<Option<(u32, bool)>>],
    loads: &[(u32, u32)],
    sharing: &Sharing,
) -> AnyHour {
    let thousandths = |amount: u32| f64::from(amount) / 1000.0;
    let kind = |is_ec2| {
        if is_ec2 {
            PlanKind::Ec2Instance
        } else {
            PlanKind::Compute
        }
    };
    let named = plans.iter().enumerate();
    let lines = rates.iter().enumerate().map(|(index, rates)| {
        // Percents of a dollar, so that equal savings are common.
        let rates = rates.iter().map(|rate| {
            rate.map(|(percent, learned)| Rate {
                rate: money(f64::from(percent / 10 * 10 + 5) / 100.0),
                learned,
            })
        });
        line(TYPES[index / 4 % 4], ACCOUNTS[index % 4], 1.0, rates.collect())
    });
    AnyHour {
        plans: named
            .map(|(index, (is_ec2, owner, _))| plan(&index.to_string(), kind(*is_ec2), ACCOUNTS[*owner]))
            .collect(),
        commitments: plans
            .iter()
            .map(|(.., dollars)| money(thousandths(*dollars)))
            .collect(),
        lines: lines.collect(),
        loads: loads
            .iter()
            .map(|(quantity, reserved)| Load {
                quantity: units(thousandths(*quantity)),
                reserved: units(thousandths(*reserved)),
            })
            .collect(),
        sharing: sharing.clone(),
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_is_paid_twice(hour in any_hour()) {
        let paid = hour.paid();
        for (share, commitment) in paid.plans.iter().zip(&hour.commitments) {
            prop_assert_eq!(share.used + share.unused, *commitment);
            prop_assert!(share.used >= Money::ZERO && share.unused >= Money::ZERO);
        }
        for (line, load) in paid.lines.iter().zip(&hour.loads) {
            prop_assert_eq!(line.covered + line.reserved + line.on_demand, load.quantity);
            prop_assert!(line.on_demand >= Quantity::ZERO && line.reserved <= load.reserved);
        }
        for (index, share) in paid.plans.iter().enumerate() {
            let parts = paid.covered.iter().filter(|part| part.plan == index);
            prop_assert_eq!(parts.map(|part| part.cost).sum::<Money>(), share.used);
        }
        for (index, line) in paid.lines.iter().enumerate() {
            let parts = paid.covered.iter().filter(|part| part.line == index);
            prop_assert_eq!(parts.map(|part| part.quantity).sum::<Quantity>(), line.covered);
        }
    }

    #[test]
    fn the_order_of_plans_and_lines_changes_nothing(hour in any_hour(), by in 0..60usize) {
        let turned = hour.turned(by);
        let (mut expected, found) = (hour.paid(), turned.paid());
        expected.plans.rotate_left(by % hour.plans.len());
        expected.lines.rotate_left(by % hour.lines.len());
        prop_assert_eq!(expected.plans, found.plans);
        prop_assert_eq!(expected.lines, found.lines);
    }

    #[test]
    fn a_larger_commitment_is_never_used_less(hour in any_hour(), which in 0..6usize, more in 1..2_000u32) {
        let which = which % hour.plans.len();
        let mut larger = hour.clone();
        larger.commitments[which] += money(f64::from(more) / 1000.0);
        prop_assert!(larger.paid().plans[which].used >= hour.paid().plans[which].used);
    }

    #[test]
    fn a_plan_has_money_left_only_when_nothing_it_may_pay_for_is(hour in any_hour()) {
        let paid = hour.paid();
        for (index, line) in hour.lines.iter().enumerate() {
            if paid.lines[index].on_demand <= Quantity::ZERO {
                continue;
            }
            for (p, plan) in hour.plans.iter().enumerate() {
                let may = line.rates[p].is_some()
                    && plan.scope().is_some_and(|scope| reaches(&scope, line))
                    && hour.sharing.step(plan.owner.as_deref(), &line.account).is_some();
                prop_assert!(!may || paid.plans[p].unused == Money::ZERO);
            }
        }
    }
}
