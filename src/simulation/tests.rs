//! Laws of the model, on short runs.

use super::closed_loop::{Yardstick, on_demand_at_first, run};
use super::policies::Kind;
use super::scenario::Scenario;

const DAYS: usize = 4;

#[test]
fn no_policy_beats_the_oracle_and_the_oracle_never_beats_free_migration() {
    for scenario in Scenario::ALL {
        let trace = scenario.trace(1);
        let yardstick = Yardstick::new(&trace, DAYS).unwrap();
        assert!(yardstick.oracle.cost >= yardstick.free.cost - 1e-9, "{scenario:?}");
        for kind in Kind::ALL {
            let found = run(&trace, kind, DAYS).unwrap();
            assert!(
                found.bill.cost >= yardstick.oracle.cost - 1e-9,
                "{scenario:?} {kind:?} {} {}",
                found.bill.cost,
                yardstick.oracle.cost
            );
        }
    }
}

#[test]
fn equal_seeds_give_equal_figures() {
    let once = run(&Scenario::Steady.trace(3), Kind::Limits, DAYS).unwrap();
    let again = run(&Scenario::Steady.trace(3), Kind::Limits, DAYS).unwrap();
    assert_eq!(once, again);
    assert_eq!(on_demand_at_first(&Scenario::Steady.trace(3)).unwrap(), 0);
}
