use brimful_types::warning::WarningCode;
use proptest::prelude::*;

use super::*;
use brimful_types::money::Money;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

const NOW: &str = "2026-11-21T18:00:00Z";
const COMPUTE: &str = "compute";

fn dollars(amount: f64) -> Money {
    Money::from_dollars(amount).unwrap()
}

fn demand(cluster: &str, time: &str, demand: f64, wants: bool, claim: f64) -> Demand {
    let told = GroupDemand {
        demand: dollars(demand),
        at_compute: dollars(demand),
        wants,
        claim: dollars(claim),
        launches: Money::ZERO,
    };
    Demand {
        comparable: true,
        groups: BTreeMap::from([(COMPUTE.to_owned(), told)]),
        ..Demand::new(cluster, at(time))
    }
}

fn note(demand: &Demand) -> Note {
    Note {
        name: file_name(&demand.cluster),
        content: Ok(demand.to_text()),
    }
}

fn judged(notes: &[Note]) -> Peers {
    let mut pools = [NodePool::test("a")];
    pools[0].uid = Some("ours".to_owned());
    let reader = Reader {
        cluster: "prod",
        pools: &pools,
    };
    Peers::judge(reader, notes, at(NOW), Duration::minutes(30))
}

#[test]
fn what_a_cluster_writes_another_reads() {
    let mut told = demand("staging", NOW, 1.25, true, 0.5);
    told.share = Some(0.25);
    told.node_pools = BTreeMap::from([("a".into(), Some("uid".into())), ("b".into(), None)]);
    assert_eq!(Demand::parse(&told.to_text(), "staging"), Ok(told.clone()));
    let peers = judged(&[note(&told)]);
    assert_eq!(peers.fresh["staging"], told);
    assert_eq!(peers.warnings, []);
}

#[test]
fn a_word_counts_from_a_little_ahead_until_it_is_too_old() {
    for (time, counts, says) in [
        ("2026-11-21T17:30:00Z", true, ""),
        ("2026-11-21T18:05:00Z", true, ""),
        ("2026-11-21T17:29:59Z", false, "has told nothing for 30"),
        ("2026-11-21T18:05:01Z", false, "ahead of this cluster's clock"),
    ] {
        let peers = judged(&[note(&demand("staging", time, 1.0, true, 0.0))]);
        assert_eq!(peers.fresh.contains_key("staging"), counts, "{time}");
        assert_eq!(peers.silent.contains("staging"), !counts, "{time}");
        let told: Vec<&str> = peers.warnings.iter().map(|w| w.message.as_str()).collect();
        assert!(
            counts == told.is_empty() && told.iter().all(|m| m.contains("staging") && m.contains(says)),
            "{told:?}"
        );
    }
}

#[test]
fn garbage_is_named_and_does_not_count() {
    let good = demand("staging", NOW, 1.0, true, 0.0).to_text();
    for (text, says) in [
        (String::new(), "cannot be read"),
        ("{".to_owned(), "cannot be read"),
        (good.replace("demand/v1", "demand/v2"), "demand/v2"),
        (good.replace("\"staging\"", "\"qa\""), "tells of qa"),
        (good.replace("\"demand\": 1.0", "\"demand\": -1.0"), "no amount"),
        (good.replace("\"demand\": 1.0", "\"demand\": 1e300"), "no amount"),
        (good.replace("\"share\": null", "\"share\": 7"), "share"),
    ] {
        assert_ne!(text, good);
        let name = file_name("staging");
        let peers = judged(&[Note {
            name,
            content: Ok(text),
        }]);
        assert!(
            peers.fresh.is_empty() && peers.silent.contains("staging"),
            "{says}"
        );
        let warning = &peers.warnings[0];
        assert!(
            warning.code == WarningCode::CoordinationStale && warning.message.contains(says),
            "{warning:?}"
        );
    }
    let unread = Note {
        name: file_name("staging"),
        content: Err("access denied".into()),
    };
    assert!(judged(&[unread]).warnings[0].message.contains("access denied"));
}

#[test]
fn what_no_cluster_has_written_is_nobodys() {
    let names = [
        "readme.txt",
        ".json",
        "a%2.json",
        "a%zz.json",
        "a%41.json",
        "x/y.json",
    ];
    let notes = names.map(|name| Note {
        name: name.into(),
        content: Ok("{}".into()),
    });
    assert_eq!(judged(&notes), Peers::default());
}

#[test]
fn another_cluster_of_the_same_name_ends_the_coordination() {
    let mut own = demand("prod", NOW, 1.0, true, 0.0);
    let staging = note(&demand("staging", NOW, 1.0, true, 0.0));
    own.node_pools = BTreeMap::from([
        ("a".into(), Some("ours".into())),
        ("gone".into(), Some("x".into())),
    ]);
    let peers = judged(&[note(&own), staging.clone()]);
    assert_eq!(
        (peers.told, peers.fresh.len(), peers.conflict),
        (Some(at(NOW)), 1, false)
    );
    own.node_pools = BTreeMap::from([("a".into(), Some("theirs".into()))]);
    let peers = judged(&[note(&own), staging.clone()]);
    assert!(peers.conflict && peers.fresh.is_empty(), "{peers:?}");
    assert!(
        peers.warnings[0].code == WarningCode::CoordinationConflict
            && peers.warnings[0].message.contains("cluster.name")
    );
    // Left behind by a cluster that has been rebuilt.
    own.time = at("2026-11-21T17:00:00Z");
    assert!(!judged(&[note(&own), staging]).conflict);
}

#[test]
fn only_a_cluster_that_sees_the_same_plans_replaces_the_reports_figures() {
    let peers = judged(&[note(&demand("staging", NOW, 1.0, true, 0.0))]);
    let m5 = GroupId::Ec2Instance {
        family: "m5".into(),
        region: "us-east-2".into(),
    };
    assert_eq!(peers.usable(&BTreeSet::from([GroupId::Compute])).0.len(), 1);
    let (usable, warnings) = peers.usable(&BTreeSet::from([GroupId::Compute, m5]));
    assert!(
        usable.is_empty() && warnings[0].message.contains("ec2Instance/m5"),
        "{warnings:?}"
    );
    let mut blind = demand("staging", NOW, 1.0, true, 0.0);
    blind.comparable = false;
    let peers = judged(&[note(&blind)]);
    let (usable, warnings) = peers.usable(&BTreeSet::new());
    assert!(
        usable.is_empty() && warnings[0].message.contains("tags"),
        "{warnings:?}"
    );
}

/// The share of $10/h that is left to this cluster.
fn left(peers: &[Demand], reserved: f64) -> String {
    let peers: Vec<&Demand> = peers.iter().collect();
    format!("{:.4}", split(COMPUTE, dollars(10.0), reserved, &peers))
}

#[test]
fn headroom_is_split_equally_among_those_that_want_it() {
    let idle = || demand("a", NOW, 1.0, false, 0.0);
    let eager = |name: &str| demand(name, NOW, 1.0, true, 0.0);
    assert_eq!(left(&[idle()], 0.0), "1.0000");
    assert_eq!(left(&[idle(), eager("b")], 0.0), "0.5000");
    assert_eq!(left(&[eager("b"), eager("c")], 0.0), "0.3333");
    // A silent one keeps its part, a configured share is taken at its word.
    assert_eq!(left(&[eager("b")], 0.2), "0.4000");
    let mut configured = eager("b");
    configured.share = Some(0.5);
    assert_eq!(left(&[configured, eager("c")], 0.0), "0.2500");
    assert!(split(COMPUTE, dollars(-1.0), 0.0, &[]).abs() < f64::EPSILON);
}

#[test]
fn what_another_has_claimed_is_not_taken_until_it_has_looked_again() {
    for (claim, part) in [(10.0, "0.0000"), (8.0, "0.2000"), (2.0, "0.5000")] {
        assert_eq!(left(&[demand("a", NOW, 1.0, true, claim)], 0.0), part, "{claim}");
    }
}

/// A cluster of the game below: what it runs, what it may add, and what it has told.
#[derive(Clone)]
struct Player {
    live: Money,
    allowed: Money,
    told: Demand,
}

/// One look of a cluster: it sees its own nodes and what the others have told, plans, and tells.
fn look(players: &mut [Player], who: usize, commitment: Money, wants: bool) -> Money {
    let others: Vec<Demand> = players
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != who)
        .map(|(_, p)| p.told.clone())
        .collect();
    let theirs: Money = others.iter().map(|other| other.groups[COMPUTE].demand).sum();
    let player = &mut players[who];
    let headroom = commitment - theirs - player.live;
    let share = split(COMPUTE, headroom, 0.0, &others.iter().collect::<Vec<_>>());
    player.allowed = if wants {
        headroom.or_zero().scale(share)
    } else {
        Money::ZERO
    };
    let told = player.told.groups.get_mut(COMPUTE).unwrap();
    (told.demand, told.wants, told.claim) = (player.live, wants, player.allowed);
    headroom
}

proptest! {
    /// Whatever the order in which clusters look, begin, stop and launch: what all of them together run and believe
    /// that they may add never exceeds the commitment.
    #[test]
    fn clusters_that_see_each_other_never_fill_more_than_the_headroom(
        lives in prop::collection::vec(0_u32..400, 2..6),
        moves in prop::collection::vec((0_usize..6, any::<bool>(), 0_u32..=100, 0_u32..50), 1..60),
    ) {
        // In steps of $0.01/h, so that shares of 1/10000 are whole picodollars.
        let cents = |amount: u32| Money::from_picos(i128::from(amount) * 10_000_000_000);
        let running: Money = lives.iter().map(|live| cents(*live)).sum();
        let commitment = running + cents(1000);
        let mut players: Vec<Player> = lives.iter().enumerate().map(|(i, live)| Player {
            live: cents(*live),
            allowed: Money::ZERO,
            told: demand(&format!("c{i}"), NOW, f64::from(*live) / 100.0, false, 0.0),
        }).collect();
        for (who, wants, launched, ended) in moves {
            let who = who % players.len();
            let player = &mut players[who];
            let added = player.allowed.share(Money::from_picos(i128::from(launched)), Money::from_picos(100));
            player.live = (player.live + added - cents(ended)).or_zero();
            player.allowed -= added;
            look(&mut players, who, commitment, wants);
            let most: Money = players.iter().map(|p| p.live + p.allowed).sum();
            prop_assert!(most <= commitment, "{} of {}", most.per_hour(), commitment.per_hour());
        }
    }

    /// Once all have looked at the same headroom twice, what they may take adds up to it, as far as shares are whole.
    #[test]
    fn nothing_of_the_headroom_is_left_over_among_those_that_want_it(count in 2_usize..9, first in any::<bool>()) {
        let commitment = dollars(100.0);
        let mut players: Vec<Player> = (0..count).map(|i| Player {
            live: dollars(5.0),
            allowed: Money::ZERO,
            told: demand(&format!("c{i}"), NOW, 5.0, first, 0.0),
        }).collect();
        let mut headroom = Money::ZERO;
        for round in 0..2 * count {
            headroom = look(&mut players, round % count, commitment, true);
        }
        let sum: Money = players.iter().map(|p| p.allowed).sum();
        prop_assert!(sum <= headroom && sum >= headroom.scale(0.999), "{} of {}", sum.per_hour(), headroom.per_hour());
    }

    #[test]
    fn every_name_has_one_file_and_no_file_leads_elsewhere(name in "\\PC{1,40}") {
        let file = file_name(&name);
        prop_assert_eq!(cluster_of(&file), Some(name));
        prop_assert!(!file.starts_with('.') && !file.contains(['/', '\\', '\0', ' ']));
    }
}
