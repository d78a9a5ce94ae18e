//! Laws that hold for any hour.

use proptest::prelude::*;

use super::tests::{line, money, plan, units};
use super::*;
use crate::savings_plan::PlanKind;

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
            .for_each(|line| Arc::make_mut(&mut line.rates).rotate_left(plans));
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
