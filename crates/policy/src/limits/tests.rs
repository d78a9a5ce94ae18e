use proptest::prelude::*;

use super::*;

fn dollars(amount: f64) -> Money {
    Money::from_dollars(amount).unwrap()
}

fn m5() -> GroupId {
    GroupId::Ec2Instance {
        family: "m5".into(),
        region: "us-east-2".into(),
    }
}

fn cores(cpu: i64) -> Vcpu {
    Vcpu(cpu * 1000)
}

/// A pool of `m5.large` (2 vCPU) at $0.07/h each.
fn member(pool: &str, decision: Decision, nodes: i64, room: f64) -> Member {
    Member {
        pool: pool.to_owned(),
        decision,
        rooms: BTreeMap::from([(GroupId::Compute, dollars(room))]),
        running: cores(2 * nodes),
        cost: dollars(0.07) * nodes,
        launched: Money::ZERO,
        mix: Mix {
            nodes: 1,
            cpu: cores(2),
            costs: BTreeMap::from([(GroupId::Compute, dollars(0.07)), (m5(), dollars(0.07))]),
        },
        standing: None,
        ceiling: None,
        entered: true,
        live: true,
        band: dollars(0.07),
        may_rise: true,
        may_fall: true,
        limited: true,
    }
}

/// A run later, with the limits that the first one set.
fn standing(member: Member, cpu: i64) -> Member {
    Member {
        standing: Some(cores(cpu)),
        entered: false,
        ..member
    }
}

fn cpu(members: &[Member]) -> Vec<(String, i64)> {
    let set = targets(&sums(members)).set.into_iter();
    set.map(|(pool, target)| (pool, target.0 / 1000)).collect()
}

fn one(member: Member) -> Option<i64> {
    cpu(&[member]).first().map(|(_, cpu)| *cpu)
}

#[test]
fn a_fill_may_grow_by_what_the_room_pays_for() {
    // $0.36/h pays for 5 nodes of $0.07/h and a bit, beside the 3 that run.
    assert_eq!(one(member("a", Decision::Fill, 3, 0.36)), Some(16));
}

#[test]
fn a_hold_keeps_what_runs_and_a_drain_what_is_paid_for() {
    assert_eq!(one(member("a", Decision::Hold, 4, 0.0)), Some(8));
    // $0.16/h beyond the commitment is 2.3 of 5 nodes too many; 2.7 nodes are 5 vCPU, which hold 2.
    assert_eq!(one(member("a", Decision::Drain, 5, -0.16)), Some(5));
}

#[test]
fn the_target_of_a_fill_stays_while_its_nodes_arrive() {
    // Live Nodes take from the room what they add to the pool.
    for arrived in 0..=5 {
        #[allow(clippy::cast_precision_loss)]
        let room = 0.36 - 0.07 * arrived as f64;
        assert_eq!(
            one(standing(member("a", Decision::Fill, 3 + arrived, room), 16)),
            None,
            "{arrived}"
        );
    }
}

#[test]
fn without_live_nodes_a_target_is_left_as_it_was_set() {
    let blind = |nodes, room| Member {
        live: false,
        ..standing(member("a", Decision::Fill, nodes, room), 16)
    };
    // The report does not see what has been launched: the same room again must not be granted again.
    assert_eq!(one(blind(8, 0.36)), None);
    let drain = Member {
        live: false,
        ..standing(member("a", Decision::Drain, 3, -0.16), 5)
    };
    assert_eq!(one(drain), None);
}

#[test]
fn a_hold_is_no_ratchet() {
    // Nodes that expired, were interrupted, or overlap with their replacements change nothing.
    for running in [0, 2, 4, 7] {
        assert_eq!(
            one(standing(member("a", Decision::Hold, running, 0.0), 8)),
            None,
            "{running}"
        );
    }
    // Entered while a node has just gone, for which there still is room: it may come back.
    let entered = Member {
        entered: true,
        ..standing(member("a", Decision::Hold, 3, 0.08), 8)
    };
    assert_eq!(one(entered), None);
}

#[test]
fn a_hold_that_follows_a_fill_takes_back_what_was_not_used() {
    let entered = Member {
        entered: true,
        ..standing(member("a", Decision::Hold, 4, 0.0), 16)
    };
    assert_eq!(one(entered), Some(8));
}

#[test]
fn a_target_moves_when_the_room_has_left_the_band_and_rises_only_after_the_dwell() {
    let later = |room| standing(member("a", Decision::Fill, 3, room), 16);
    assert_eq!(one(later(0.36 + 0.06)), None);
    assert_eq!(one(later(0.36 + 0.15)), Some(20));
    let early = Member {
        may_rise: false,
        ..later(0.36 + 0.15)
    };
    assert_eq!(one(early), None);
    let less = Member {
        may_rise: false,
        ..later(0.36 - 0.15)
    };
    assert_eq!(one(less), Some(12));
}

#[test]
fn a_pool_whose_last_plan_has_ended_drains_to_nothing() {
    let ended = Member {
        rooms: BTreeMap::new(),
        ..member("a", Decision::Drain, 5, 0.0)
    };
    assert_eq!(one(ended), Some(0));
}

#[test]
fn one_room_is_granted_once_and_more_to_whom_launches_more() {
    let busy = Member {
        launched: dollars(0.21),
        ..member("a", Decision::Fill, 1, 0.28)
    };
    let idle = member("b", Decision::Fill, 1, 0.28);
    // 3 : 1 of 4 nodes.
    assert_eq!(cpu(&[busy, idle]), [("a".to_owned(), 8), ("b".to_owned(), 4)]);
}

#[test]
fn room_that_one_pool_does_not_take_goes_to_the_other() {
    // Both might grow by two nodes; a has, b has not: what is left is split again.
    let a = standing(member("a", Decision::Fill, 5, 0.14), 10);
    let b = standing(member("b", Decision::Fill, 1, 0.14), 6);
    let a = Member {
        launched: dollars(0.42),
        ..a
    };
    let b = Member {
        band: dollars(0.01),
        ..b
    };
    assert_eq!(cpu(&[a, b]), [("a".to_owned(), 13), ("b".to_owned(), 2)]);
}

#[test]
fn an_instance_plans_room_is_for_its_family_and_the_compute_room_for_all() {
    let mut narrow = member("m5", Decision::Fill, 0, 0.14);
    narrow.rooms.insert(m5(), dollars(0.21));
    let wide = member("wide", Decision::Fill, 0, 0.14);
    assert_eq!(
        cpu(&[narrow, wide]),
        [("m5".to_owned(), 8), ("wide".to_owned(), 2)]
    );
}

#[test]
fn limits_are_whole_never_above_the_users_own_and_leave_the_rest_alone() {
    let own: Limits = [("cpu", "10"), ("memory", "64Gi")]
        .map(|(name, amount)| (name.to_owned(), amount.to_owned()))
        .into();
    let cpu = |limits: Limits| (limits["cpu"].clone(), limits.get("memory").cloned());
    let memory = Some("64Gi".to_owned());
    assert_eq!(cpu(Vcpu(8_900).limits(&own)), ("8".to_owned(), memory.clone()));
    assert_eq!(cpu(Vcpu(16_000).limits(&own)), ("10".to_owned(), memory.clone()));
    assert_eq!(cpu(Vcpu(0).limits(&own)), ("0".to_owned(), memory));
    assert_eq!(cpu(Vcpu(16_000).limits(&Limits::new())), ("16".to_owned(), None));
}

#[test]
fn a_pool_that_holds_or_has_reached_its_cap_leaves_its_part_to_those_that_fill() {
    let fills = Member {
        band: dollars(0.07),
        ..member("a", Decision::Fill, 1, 0.70)
    };
    let holds = Member {
        band: dollars(3.30),
        ..standing(member("b", Decision::Hold, 2, 0.70), 4)
    };
    assert_eq!(cpu(&[fills.clone(), holds]), [("a".to_owned(), 22)]);
    let capped = Member {
        launched: dollars(9.0),
        ceiling: Some(cores(4)),
        ..standing(member("b", Decision::Fill, 1, 0.70), 4)
    };
    // One node is all that it may add; nine of the ten go to the other.
    assert_eq!(cpu(&[fills, capped]), [("a".to_owned(), 20)]);
}

#[test]
fn a_full_pool_that_fills_gets_room_for_the_next_node_within_the_band() {
    let wide = |running, room| Member {
        band: dollars(5.0),
        ..standing(member("a", Decision::Fill, running, room), 16)
    };
    assert_eq!(one(wide(8, 0.15)), Some(20));
    assert_eq!(one(wide(8, 0.06)), None);
    assert_eq!(one(wide(7, 0.40)), None); // the next node still fits
}

#[test]
fn each_groups_money_buys_at_its_own_rate() {
    let mut pool = member("a", Decision::Fill, 0, 0.70);
    pool.mix.costs = BTreeMap::from([(m5(), dollars(0.05)), (GroupId::Compute, dollars(0.07))]);
    pool.rooms.insert(m5(), dollars(0.10));
    // 2 nodes at $0.05/h and 10 at $0.07/h.
    assert_eq!(one(pool), Some(24));
}

#[test]
fn what_may_not_rise_yet_waits_and_nothing_falls_without_an_overflow_pool() {
    let rises = Member {
        entered: true,
        may_rise: false,
        ..standing(member("a", Decision::Hold, 7, 0.0), 5)
    };
    assert_eq!(
        targets(&sums(&[rises])),
        Targets {
            set: BTreeMap::new(),
            waiting: BTreeSet::from(["a".to_owned()])
        }
    );
    let falls = Member {
        entered: true,
        may_fall: false,
        ..standing(member("a", Decision::Hold, 4, 0.0), 16)
    };
    assert_eq!(one(falls), None);
}

#[test]
fn a_drain_that_had_begun_goes_on_to_nothing_when_the_last_plan_ends() {
    let ended = Member {
        rooms: BTreeMap::new(),
        live: false,
        ..standing(member("a", Decision::Drain, 3, 0.0), 6)
    };
    assert_eq!(one(ended), Some(0));
}

#[test]
fn equal_amounts_are_the_same_however_they_are_written() {
    let limits = |cpu: &str| Limits::from([("cpu".to_owned(), cpu.to_owned())]);
    assert!(same(&limits("2"), &limits("2000m")));
    assert!(!same(&limits("2"), &limits("3")) && !same(&limits("2"), &Limits::new()));
}

prop_compose! {
    fn any_member(index: usize)(
        decision in prop_oneof![Just(Decision::Fill), Just(Decision::Hold), Just(Decision::Drain)],
        nodes in 0..50_i64,
        launched in 0.0..5.0_f64,
        standing in proptest::option::of(0..120_i64),
        entered: bool, live: bool, may_rise: bool,
    ) -> Member {
        Member {
            launched: dollars(launched),
            standing: standing.map(cores),
            entered, live, may_rise,
            ..member(&format!("pool-{index}"), decision, nodes, 0.0)
        }
    }
}

proptest! {
    /// What pools may grow by is never more than the room, and what they must give back never more than the excess.
    #[test]
    fn the_parts_never_exceed_the_whole(
        members in [any_member(0), any_member(1), any_member(2)],
        room in 0.0..10.0_f64,
        excess in 0.0..10.0_f64,
    ) {
        let members: Vec<Member> = members.into_iter().map(|member| {
            let room = if member.decision == Decision::Drain { -excess } else { room };
            Member { rooms: BTreeMap::from([(GroupId::Compute, dollars(room))]), ..member }
        }).collect();
        let parts = allot(&members);
        let given: Money = parts.values().copied().filter(|part| *part > Money::ZERO).sum();
        let taken: Money = parts.values().copied().filter(|part| *part < Money::ZERO).sum();
        prop_assert!(given <= dollars(room), "{given:?} of {room}");
        prop_assert!(-taken <= dollars(excess), "{taken:?} of {excess}");
    }

    /// A hold drives nothing out on entry, whatever stood before; and once set, a second look changes nothing.
    #[test]
    fn targets_are_safe_and_stand(member in any_member(0), room in 0.0..5.0_f64) {
        let sign = if member.decision == Decision::Drain { -1.0 } else { 1.0 };
        let member = Member { rooms: BTreeMap::from([(GroupId::Compute, dollars(sign * room))]), ..member };
        if let Some(target) = targets(&sums(std::slice::from_ref(&member))).set.get("pool-0").copied() {
            if member.decision == Decision::Hold {
                prop_assert!(target >= member.running);
            }
            if member.decision == Decision::Drain {
                prop_assert!(target <= member.running);
            }
            let set = Vcpu(target.0 / 1000 * 1000);
            let again = Member { standing: Some(set), entered: false, ..member };
            prop_assert_eq!(targets(&sums(&[again])).set.len(), 0);
        }
    }
}
