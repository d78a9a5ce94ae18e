use std::collections::BTreeMap;

use super::*;
use crate::limits::Limits;
use brimful_karpenter::NodePool;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::utilization::{GroupHour, GroupUse};

fn dollars(amount: f64) -> Money {
    Money::from_dollars(amount).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-10T{text}:00Z").parse().unwrap()
}

/// The tests' day, by the hour.
fn hour(of_day: i32) -> Hour {
    Hour::of(at("00:00")).plus(of_day)
}

/// m5.large: $0.06 at the SP rate, $0.096 on demand, $0.036 Spot.
struct Report {
    ledger: Ledger,
    utilization: Utilization,
}

impl Report {
    /// Complete up to an hour of the day.
    fn until(end: i32) -> Self {
        let hours = (0..24).map(|of_day| {
            let found = GroupHour {
                mature: of_day < end,
                ..GroupHour::default()
            };
            (hour(of_day), found)
        });
        let compute = GroupUse {
            id: GroupId::Compute,
            plans: Vec::new(),
            horizon: at("23:00"),
            hours: hours.collect(),
        };
        Self {
            ledger: Ledger::default(),
            utilization: Utilization {
                horizon: Some(at("23:00")),
                plans: Vec::new(),
                groups: vec![compute],
                warnings: Vec::new(),
            },
        }
    }

    fn with(mut self, series: Series, of_day: i32, count: f64, price: f64) -> Self {
        let known = self.ledger.series.iter().position(|known| *known == series);
        let index = known.unwrap_or_else(|| {
            self.ledger.series.push(series);
            self.ledger.cells.push(Vec::new());
            self.ledger.series.len() - 1
        });
        self.ledger.cells[index].push(Cell {
            hour: hour(of_day),
            amount: Quantity::from_units(count).unwrap(),
            picos: i64::try_from(dollars(count * price).picos()).unwrap(),
        });
        self
    }

    fn covered(self, of_day: i32, count: f64) -> Self {
        self.with(series(UsageClass::Covered(0), "a", "prod"), of_day, count, 0.06)
    }

    fn on_demand(self, of_day: i32, count: f64) -> Self {
        self.with(series(UsageClass::OnDemand, "a", "prod"), of_day, count, 0.096)
    }

    /// Spot of another pool, in an hour before all changes.
    fn spot(self) -> Self {
        let spot = Series {
            usage_type: "USE2-SpotUsage:m5.large".into(),
            operation: "RunInstances:SV003".into(),
            ..series(UsageClass::Spot, "spot", "prod")
        };
        self.with(spot, 3, 4.0, 0.036)
    }

    fn effects(&self, history: &History) -> Vec<Option<Effect>> {
        self.of_cluster(history, &ClusterConfig::default())
    }

    fn of_cluster(&self, history: &History, cluster: &ClusterConfig) -> Vec<Option<Effect>> {
        Told::new(&self.ledger, &self.utilization, cluster).effects(history)
    }
}

fn series(class: UsageClass, pool: &str, cluster: &str) -> Series {
    Series {
        class,
        is_instance: true,
        usage_type: "USE2-BoxUsage:m5.large".into(),
        operation: "RunInstances".into(),
        region: "us-east-2".into(),
        account: "111122223333".into(),
        cluster: cluster.into(),
        node_pool: pool.into(),
    }
}

/// Changes of pool `a` at these times of day.
fn changes(times: &[&str]) -> History {
    let mut history = History::default();
    for (index, time) in times.iter().enumerate() {
        let weight = i32::try_from(index).unwrap() + 11;
        let pool = NodePool::test("a").weight(weight);
        let entry = Entry::of_reset(
            &pool,
            Some(weight + 1),
            &Limits::new(),
            at(time),
            Fate::Patched,
            "",
        );
        history.note(entry);
    }
    history
}

fn only(effects: Vec<Option<Effect>>) -> Effect {
    effects.into_iter().next().flatten().unwrap()
}

#[test]
fn covered_use_gained_saves_its_spot_price_and_uncovered_use_costs_the_difference() {
    let report = Report::until(20)
        .spot()
        .covered(9, 2.0)
        .covered(10, 4.0)
        .covered(11, 5.0)
        .covered(12, 5.0)
        .on_demand(12, 1.0)
        .covered(13, 9.0);
    let effect = only(report.effects(&changes(&["10:10", "13:30"])));
    // In 11:00 and 12:00 three instances more than at 09:00 were covered: 6 × $0.06 × (0.036 ÷ 0.06).
    assert_eq!(effect.saved, Some(dollars(0.216)));
    // One was not: $0.096 × (1 − 0.036 ÷ 0.096).
    assert_eq!(effect.cost, Some(dollars(0.06)));
    assert_eq!((effect.hours, effect.complete, effect.why), (2, true, None));
    assert_eq!(effect.until, Some(at("13:30")));
}

#[test]
fn use_that_is_lost_counts_negative_on_either_side() {
    let report = Report::until(13)
        .spot()
        .covered(9, 5.0)
        .on_demand(9, 2.0)
        .covered(11, 4.0)
        .covered(12, 5.0);
    let effect = only(report.effects(&changes(&["10:00"])));
    // At 10:00 nothing ran at all, at 11:00 one less: 6 instance-hours of covered use lost, and 3 × 2 of spill.
    assert_eq!(effect.saved, Some(-dollars(0.216)));
    assert_eq!(effect.cost, Some(-dollars(0.36)));
    assert_eq!((effect.hours, effect.complete), (3, false));
}

#[test]
fn the_time_ends_with_the_next_change_of_the_pool_or_with_the_complete_hours() {
    let report = |end| {
        (9..20).fold(Report::until(end).spot(), |report, of_day| {
            report.covered(of_day, if of_day < 11 { 1.0 } else { 2.0 })
        })
    };
    let effects = report(15).effects(&changes(&["10:30", "13:00", "14:20"]));
    let told: Vec<(usize, bool, Option<Money>)> = effects
        .into_iter()
        .flatten()
        .map(|effect| (effect.hours, effect.complete, effect.saved))
        .collect();
    assert_eq!(
        told,
        [
            (2, true, Some(dollars(0.072))),
            (1, true, Some(Money::ZERO)),
            (0, false, None)
        ]
    );
}

#[test]
fn what_the_report_does_not_tell_is_unknown_and_never_nothing() {
    let report = || Report::until(14).covered(9, 1.0).covered(11, 2.0);
    let unpriced = only(report().effects(&changes(&["10:30"])));
    assert_eq!(unpriced.saved, None);
    assert!(
        unpriced
            .why
            .unwrap()
            .contains("no Spot row of m5.large in us-east-2")
    );
    assert_eq!(
        unpriced.cost,
        Some(Money::ZERO),
        "there was no spill, before or after"
    );
    for (report, time, part) in [
        (report(), "13:10", "no hour since then"),
        (report(), "00:10", "the hour before"),
        (Report::until(14), "10:30", "no usage with this pool's tag"),
    ] {
        let effect = only(report.effects(&changes(&[time])));
        assert_eq!(
            (effect.saved, effect.cost, effect.hours),
            (None, None, 0),
            "{part}"
        );
        let why = effect.why.unwrap();
        assert!(why.contains(part), "{why}");
    }
    let hasty = only(report().effects(&changes(&["10:10", "10:50"])));
    assert!(hasty.complete && hasty.saved.is_none());
}

#[test]
fn an_hour_that_contradicts_itself_tells_nothing() {
    let mut report = Report::until(14)
        .spot()
        .covered(9, 1.0)
        .covered(11, 2.0)
        .covered(12, 2.0);
    let hours = &mut report.utilization.groups[0].hours;
    hours.get_mut(&hour(12)).unwrap().mature = false;
    let effect = only(report.effects(&changes(&["10:30", "13:00"])));
    assert_eq!((effect.hours, effect.complete), (1, false));
    assert_eq!(effect.saved, Some(dollars(0.036)));
}

#[test]
fn pools_of_one_name_in_two_clusters_are_told_apart_by_the_clusters_name_only() {
    let other = series(UsageClass::Covered(0), "a", "staging");
    let report = Report::until(14)
        .spot()
        .covered(9, 1.0)
        .covered(11, 2.0)
        .covered(12, 1.0)
        .covered(13, 1.0)
        .with(other, 11, 50.0, 0.06);
    let unknown = only(report.effects(&changes(&["10:30"])));
    assert_eq!(unknown.saved, None);
    assert!(unknown.why.unwrap().contains("cluster.name"));
    let prod = ClusterConfig {
        name: Some("prod".to_owned()),
        ..ClusterConfig::default()
    };
    let known = only(report.of_cluster(&changes(&["10:30"]), &prod));
    assert_eq!(known.saved, Some(dollars(0.036)));
}

#[test]
fn what_was_tried_in_vain_has_no_effect() {
    let mut history = History::default();
    let pool = NodePool::test("a").weight(1);
    let entry = Entry::of_reset(&pool, Some(2), &Limits::new(), at("10:30"), Fate::Refused, "no");
    history.note(entry);
    let effects = Report::until(14).spot().covered(9, 1.0).effects(&history);
    assert_eq!(effects, [None]);
}

#[test]
fn windows_and_linux_have_their_own_prices() {
    let sorts: BTreeMap<&str, bool> = [
        "RunInstances",
        "RunInstances:0002",
        "RunInstances:SV003",
        "RunInstances:0002:SV003",
    ]
    .into_iter()
    .map(|operation| {
        let series = Series {
            operation: operation.into(),
            ..series(UsageClass::Spot, "a", "prod")
        };
        (operation, sort(&series).2)
    })
    .collect();
    let windows: Vec<&str> = sorts
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(operation, _)| operation)
        .collect();
    assert_eq!(windows, ["RunInstances:0002", "RunInstances:0002:SV003"]);
}
