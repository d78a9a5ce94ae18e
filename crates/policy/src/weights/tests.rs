use brimful_types::warning::WarningCode;
use proptest::prelude::*;

use super::*;
use brimful_karpenter::{InstanceTypes, labels};

fn pools(list: Vec<NodePool>) -> BTreeMap<String, NodePool> {
    list.into_iter().map(|pool| (pool.name.clone(), pool)).collect()
}

fn weigh(
    pools: &BTreeMap<String, NodePool>,
    stands: &BTreeMap<String, PoolPosition>,
    config: WeightsConfig,
) -> Weights {
    weights(
        &Pools::new(pools.values(), InstanceTypes::bundled()),
        stands,
        config,
    )
}

fn wanting(want: WeightGoal) -> PoolPosition {
    PoolPosition {
        want,
        managed: true,
        movable: true,
        committed: want == WeightGoal::Fill,
        baseline: None,
    }
}

fn run(list: Vec<NodePool>, wants: &[(&str, WeightGoal)]) -> Weights {
    let stands = wants
        .iter()
        .map(|(name, want)| ((*name).to_owned(), wanting(*want)))
        .collect();
    weigh(&pools(list), &stands, WeightsConfig::default())
}

fn codes(weights: &Weights) -> Vec<&'static str> {
    weights.warnings.iter().map(|w| w.code.as_str()).collect()
}

fn committed(weight: Option<i32>) -> NodePool {
    let mut pool = NodePool::test("committed").committed();
    pool.weight = weight;
    pool
}

fn spot(weight: Option<i32>) -> NodePool {
    let mut pool = NodePool::test("spot").spot();
    pool.weight = weight;
    pool
}

#[test]
fn filling_goes_above_spot_with_room_to_spare() {
    let found = run(
        vec![committed(Some(10)), spot(Some(50))],
        &[("committed", WeightGoal::Fill)],
    );
    assert_eq!(found.proposed["committed"], Some(60));
}

#[test]
fn a_pool_that_already_stands_right_stays() {
    let found = run(
        vec![committed(Some(60)), spot(Some(50))],
        &[("committed", WeightGoal::Fill)],
    );
    assert_eq!(found, Weights::default());
    let found = run(
        vec![committed(Some(5)), spot(Some(50))],
        &[("committed", WeightGoal::Yield)],
    );
    assert_eq!(found, Weights::default());
    let found = run(
        vec![committed(None), spot(Some(50))],
        &[("committed", WeightGoal::Yield)],
    );
    assert_eq!(found, Weights::default());
}

#[test]
fn a_pool_without_weight_fills_above_another_without_weight() {
    let found = run(
        vec![committed(None), spot(None)],
        &[("committed", WeightGoal::Fill)],
    );
    assert_eq!(found.proposed["committed"], Some(10));
}

#[test]
fn equal_weights_are_never_left_to_the_alphabet() {
    let found = run(
        vec![committed(Some(50)), spot(Some(50))],
        &[("committed", WeightGoal::Fill)],
    );
    assert_eq!(found.proposed["committed"], Some(60));
    let found = run(
        vec![committed(Some(50)), spot(Some(50))],
        &[("committed", WeightGoal::Yield)],
    );
    assert_eq!(found.proposed["committed"], Some(40));
    let found = run(
        vec![committed(Some(50)), spot(Some(50))],
        &[("committed", WeightGoal::Keep)],
    );
    assert_eq!(codes(&found), ["tie"]);
}

#[test]
fn yielding_below_weight_one_removes_the_weight() {
    let found = run(
        vec![committed(Some(60)), spot(Some(1))],
        &[("committed", WeightGoal::Yield)],
    );
    assert_eq!(found.proposed["committed"], None);
    assert!(found.proposed.contains_key("committed"));
}

#[test]
fn yielding_returns_to_the_baseline_where_that_is_low_enough() {
    let stand = PoolPosition {
        baseline: Some(7),
        ..wanting(WeightGoal::Yield)
    };
    let stands = BTreeMap::from([("committed".to_owned(), stand)]);
    let found = weigh(
        &pools(vec![committed(Some(60)), spot(Some(50))]),
        &stands,
        WeightsConfig::default(),
    );
    assert_eq!(found.proposed["committed"], Some(7));
}

fn overflow(name: &str, weight: Option<i32>) -> NodePool {
    let mut pool = NodePool::test(name).committed();
    pool.weight = weight;
    pool
}

#[test]
fn yielding_goes_below_the_overflow_pool_too() {
    let yielding = |own: Option<i32>, name: &str, weight: Option<i32>| {
        let list = vec![committed(own), overflow(name, weight), spot(Some(50))];
        run(list, &[("committed", WeightGoal::Yield)])
    };
    assert_eq!(
        yielding(Some(60), "spare", Some(20)).proposed["committed"],
        Some(10)
    );
    // Below Spot is not enough.
    assert_eq!(
        yielding(Some(40), "spare", Some(20)).proposed["committed"],
        Some(10)
    );
    assert_eq!(yielding(Some(60), "spare", Some(1)).proposed["committed"], None);
    // Of equal weights the later name comes first: an absent weight is below one that is absent, too.
    let found = yielding(Some(40), "committed-overflow", None);
    assert_eq!((found.proposed["committed"], codes(&found)), (None, vec![]));
    assert_eq!(yielding(None, "committed-overflow", None), Weights::default());
    let found = yielding(Some(60), "basic", None);
    assert_eq!(
        (found.proposed["committed"], codes(&found)),
        (Some(40), vec!["above-overflow"])
    );
    assert!(
        found.warnings[0]
            .message
            .contains("name: basic}\n  spec: {weight: 10}"),
        "{}",
        found.warnings[0].message
    );
}

#[test]
fn yielding_is_not_drawn_below_what_takes_other_pods_or_cannot_shrink() {
    let away = |other: NodePool| {
        let list = vec![committed(Some(60)), other.weight(20), spot(Some(50))];
        run(list, &[("committed", WeightGoal::Yield)]).proposed["committed"]
    };
    let spare = || NodePool::test("spare").committed();
    assert_eq!(away(spare()), Some(10));
    for other in [
        spare().taint("team", "a"),
        spare().families(&["p5"]),
        spare().protected(),
        spare().limit("cpu", "0"),
        NodePool::test("spare").requirement(labels::CAPACITY_TYPE, "In", &["reserved", "on-demand"]),
    ] {
        assert_eq!(away(other), Some(40));
    }
}

#[test]
fn no_room_above_an_unmanaged_pool_is_a_warning_with_the_cure() {
    let found = run(
        vec![committed(Some(10)), spot(Some(100))],
        &[("committed", WeightGoal::Fill)],
    );
    assert_eq!((found.proposed.len(), codes(&found)), (0, vec!["no-room"]));
    assert!(
        found.warnings[0].message.contains("spec: {weight: 90}"),
        "{}",
        found.warnings[0].message
    );
}

#[test]
fn a_managed_pool_at_the_top_makes_room() {
    let found = run(
        vec![committed(Some(10)), spot(Some(100))],
        &[("committed", WeightGoal::Fill), ("spot", WeightGoal::Keep)],
    );
    assert_eq!(
        found.proposed,
        BTreeMap::from([("committed".into(), Some(100)), ("spot".into(), Some(90))])
    );
    assert_eq!(found.made_room["spot"], "committed");
}

#[test]
fn no_room_below_a_pool_without_weight() {
    let found = run(
        vec![committed(Some(10)), spot(None)],
        &[("committed", WeightGoal::Yield)],
    );
    assert_eq!((found.proposed.len(), codes(&found)), (0, vec!["no-room"]));
    let found = run(
        vec![committed(Some(10)), spot(None)],
        &[("committed", WeightGoal::Yield), ("spot", WeightGoal::Keep)],
    );
    assert_eq!(
        found.proposed,
        BTreeMap::from([("committed".into(), None), ("spot".into(), Some(10))])
    );
}

#[test]
fn a_third_pool_in_between_is_jumped_and_named() {
    let third = NodePool::test("default").mixed().weight(30);
    let found = run(
        vec![committed(Some(10)), spot(Some(50)), third],
        &[("committed", WeightGoal::Fill)],
    );
    assert_eq!(found.proposed["committed"], Some(60));
    assert_eq!(codes(&found), ["in-between"]);
    assert!(found.warnings[0].message.contains("default (30)"));
}

#[test]
fn on_demand_that_nobody_steers_before_spot_is_told_whatever_is_wanted() {
    let default = || NodePool::test("default-od").committed();
    for want in [WeightGoal::Fill, WeightGoal::Keep] {
        let found = run(
            vec![committed(Some(80)), default().weight(50), spot(Some(10))],
            &[("committed", want)],
        );
        assert_eq!(codes(&found), ["in-between"]);
        let message = &found.warnings[0].message;
        assert!(
            message.contains("goes to default-od (50) at list price, before spot (10)")
                && message.contains("name: default-od}\n  spec: {weight: null}"),
            "{message}"
        );
    }
    // Yielding below Spot does not help where it comes before Spot by its name alone.
    let late = NodePool::test("web").committed();
    let found = run(
        vec![committed(Some(80)), late, spot(None)],
        &[("committed", WeightGoal::Keep)],
    );
    assert_eq!(codes(&found), ["in-between"]);
    assert!(
        found.warnings[0]
            .message
            .contains("name: spot}\n  spec: {weight: 10}"),
        "{}",
        found.warnings[0].message
    );
    // One that is steered, too, is another matter; and one behind Spot takes what Spot does not.
    let steered = [("committed", WeightGoal::Keep), ("default-od", WeightGoal::Keep)];
    assert_eq!(
        codes(&run(
            vec![committed(Some(80)), default().weight(50), spot(Some(10))],
            &steered
        )),
        Vec::<&str>::new()
    );
    assert_eq!(
        codes(&run(
            vec![committed(Some(80)), default().weight(5), spot(Some(10))],
            &steered[..1]
        )),
        Vec::<&str>::new()
    );
}

#[test]
fn a_pool_with_reserved_capacity_is_not_jumped() {
    let odcr = NodePool::test("odcr")
        .requirement(labels::CAPACITY_TYPE, "In", &["reserved", "on-demand"])
        .weight(55);
    let found = run(
        vec![committed(Some(10)), spot(Some(50)), odcr.clone()],
        &[("committed", WeightGoal::Fill)],
    );
    assert_eq!(found.proposed["committed"], Some(54));
    let found = run(
        vec![committed(Some(10)), spot(Some(60)), odcr],
        &[("committed", WeightGoal::Fill)],
    );
    assert_eq!((found.proposed.len(), codes(&found)), (0, vec!["no-room"]));
}

#[test]
fn two_filling_pools_do_not_compete_and_may_share_a_weight() {
    // One legal weight is left for two pools: among pools that fill a tie is harmless.
    let other = NodePool::test("other").committed();
    let found = run(
        vec![committed(Some(10)), other, spot(Some(99))],
        &[("committed", WeightGoal::Fill), ("other", WeightGoal::Fill)],
    );
    let both = ["committed", "other"].map(|name| (name.to_owned(), Some(100)));
    assert_eq!((found.proposed, found.warnings), (both.into(), vec![]));
}

#[test]
fn a_configured_weight_is_used_only_where_it_does_its_work() {
    let config = |fill| WeightsConfig {
        fill: Some(fill),
        r#yield: None,
    };
    let stands = BTreeMap::from([("committed".to_owned(), wanting(WeightGoal::Fill))]);
    let all = pools(vec![committed(Some(10)), spot(Some(50))]);
    assert_eq!(weigh(&all, &stands, config(77)).proposed["committed"], Some(77));
    assert_eq!(weigh(&all, &stands, config(40)).proposed["committed"], Some(60));
}

#[test]
fn where_no_weight_is_above_all_rivals_the_pool_goes_above_the_others() {
    let spots = || {
        let low = NodePool::test("low").spot().weight(40);
        vec![committed(Some(10)), spot(Some(100)), low]
    };
    let found = run(spots(), &[("committed", WeightGoal::Fill)]);
    assert_eq!(
        (found.proposed["committed"], codes(&found)),
        (Some(41), vec!["no-room"])
    );
    assert!(
        found.warnings[0]
            .message
            .contains("above spot (100): the pool goes to 41, above low."),
        "{}",
        found.warnings[0].message
    );
    let mut list = spots();
    list[1].weight = None;
    list[0].weight = Some(60);
    let found = run(list, &[("committed", WeightGoal::Yield)]);
    assert_eq!(
        (found.proposed["committed"], codes(&found)),
        (Some(30), vec!["no-room"])
    );
}

#[test]
fn what_launches_nothing_is_no_rival() {
    let off = spot(Some(100)).limit("cpu", "0");
    let on = NodePool::test("b").spot().weight(50);
    let found = run(
        vec![committed(Some(10)), off, on],
        &[("committed", WeightGoal::Fill)],
    );
    assert_eq!((found.proposed["committed"], found.warnings.len()), (Some(60), 0));
}

#[test]
fn taints_keep_pools_from_competing() {
    let gpu = NodePool::test("gpu").spot().weight(90).taint("gpu", "true");
    let tainted = committed(Some(10)).taint("team", "a");
    let found = run(vec![tainted, gpu], &[("committed", WeightGoal::Fill)]);
    assert_eq!((found.proposed.len(), codes(&found)), (0, vec!["no-rival"]));
}

proptest! {
    #[test]
    fn proposed_weights_are_legal_and_do_what_was_wanted(
        weights_now in prop::collection::vec((0..=100i32, 0..5usize), 1..6),
        want_fill in prop::collection::vec(any::<bool>(), 6),
    ) {
        let mut list = Vec::new();
        let mut stands = BTreeMap::new();
        for (index, (weight, role)) in weights_now.iter().enumerate() {
            let name = format!("pool-{index}");
            let pool = NodePool::test(&name);
            let mut pool = match role { 0 | 1 | 4 => pool.committed(), 2 => pool.spot(), _ => pool.mixed() };
            pool.weight = (*weight > 0).then_some(*weight);
            if *role < 2 {
                stands.insert(name, wanting(if want_fill[index] { WeightGoal::Fill } else { WeightGoal::Yield }));
            }
            list.push(pool);
        }
        let all = pools(list);
        let found = weigh(&all, &stands, WeightsConfig::default());
        let coded = |code: WarningCode| found.warnings.iter().filter(move |w| w.code == code).filter_map(|w| w.node_pool.clone());
        let stuck: Vec<_> = coded(WarningCode::NoRoom).collect();
        let above: Vec<_> = coded(WarningCode::AboveOverflow).collect();
        let after = |pool: &NodePool| found.proposed.get(&pool.name).map_or(pool.effective_weight(), |w| w.unwrap_or(0));
        for (name, weight) in &found.proposed {
            prop_assert!(weight.is_none_or(|w| (1..=100).contains(&w)), "{name}: {weight:?}");
            prop_assert_ne!(*weight, all[name].weight);
        }
        for (name, stand) in &stands {
            if stuck.contains(name) {
                continue;
            }
            for rival in all.values().filter(|p| matches!(p.role(), Role::Spot | Role::Mixed)) {
                match stand.want {
                    WeightGoal::Fill => prop_assert!(after(&all[name]) > after(rival), "{name} is not above {}", rival.name),
                    _ => prop_assert!(after(&all[name]) < after(rival)),
                }
            }
            let has_spot = all.values().any(|p| matches!(p.role(), Role::Spot | Role::Mixed));
            let overflows = all.values().filter(|p| p.role() == Role::Committed && !stands.contains_key(&p.name));
            for overflow in overflows.filter(|_| stand.want == WeightGoal::Yield && has_spot && !above.contains(name)) {
                // Karpenter's order: by weight, and of equal ones the later name first.
                prop_assert!((after(&all[name]), name) < (after(overflow), &overflow.name), "{name} is not below {}", overflow.name);
            }
        }
    }
}
