use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn own(schedule: &str) -> Value {
    with_own(None, schedule).pop().unwrap()
}

/// Karpenter's own reckoning (`Budget.IsActive`), minute by minute: was the schedule due less than its duration ago?
fn is_active(schedule: &str, now: DateTime<Utc>) -> bool {
    let fields: Vec<&str> = schedule.split(' ').collect();
    let is_due = |time: DateTime<Utc>| {
        let values = [time.minute(), time.hour(), time.day(), time.month()];
        let fits = |(field, value): (&&str, u32)| **field == *"*" || field.parse() == Ok(value);
        fields.iter().zip(values).all(fits)
    };
    let first = now.duration_trunc(Duration::minutes(1)).unwrap();
    let mut back = (0..).map(|minutes| first - Duration::minutes(minutes));
    back.by_ref()
        .take_while(|time| now - *time < Duration::hours(HOURS))
        .any(is_due)
}

#[test]
fn what_is_open_until_a_time_is_closed_from_then_on() {
    for time in [
        "2026-11-21T18:20:00Z",
        "2026-12-31T23:59:00Z",
        "2027-01-01T00:00:00Z",
        "2027-03-01T00:05:00Z",
        "2028-02-29T12:00:00Z",
        "2028-03-01T00:00:00Z",
    ] {
        let until = at(time);
        let entry = own(&from(until));
        let schedule = from(until);
        for (minutes, open) in [
            (-20, true),
            (-1, true),
            (0, false),
            (1, false),
            (60 * 24 * 200, false),
        ] {
            let now = until + Duration::minutes(minutes);
            assert_eq!(open_until(&entry, now).is_some(), open, "{time} {minutes:+}");
            assert_eq!(!is_active(&schedule, now), open, "{time} {minutes:+}");
        }
        assert_eq!(open_until(&entry, until - Duration::seconds(1)), Some(until));
    }
}

#[test]
fn the_entry_that_always_holds_does_so_on_every_day() {
    let entry = own(&always());
    for time in [
        "2026-11-21T00:00:00Z",
        "2026-12-31T23:59:59Z",
        "2028-02-29T12:00:00Z",
    ] {
        assert_eq!(open_until(&entry, at(time)), None);
        assert!(is_active(&always(), at(time)));
    }
}

#[test]
fn the_users_entries_are_kept_and_karpenters_default_is_written_out() {
    let nights =
        json!({"nodes": "5", "reasons": ["Empty", "Drifted"], "schedule": "0 22 * * *", "duration": "8h"});
    let all = with_own(Some(std::slice::from_ref(&nights)), &always());
    assert_eq!(all[0], nights);
    assert_eq!(without_own(&all), [nights]);
    assert_eq!(with_own(None, &always())[0], json!({"nodes": "10%"}));
    assert_eq!(with_own(Some(&[]), &always()).len(), 1);
    // As Go writes durations.
    let mut entry = own(&always());
    entry["duration"] = json!("8736h0m0s");
    assert!(is_own(&entry));
    assert!(!is_own(&json!({"nodes": "0", "reasons": ["Underutilized"]})));
}

#[test]
fn the_order_of_entries_is_nobodys_edit() {
    let (one, other) = (json!({"nodes": "1"}), json!({"nodes": "2"}));
    let same = |a: &[&Value], b: &[&Value]| {
        let list = |of: &[&Value]| of.iter().map(|entry| (*entry).clone()).collect::<Vec<_>>();
        same_entries(Some(&list(a)), Some(&list(b)))
    };
    assert!(same(&[&one, &other], &[&other, &one]));
    assert!(!same(&[&one, &one], &[&one, &other]));
    assert!(!same_entries(None, Some(&[])));
}

#[test]
fn a_pool_is_open_no_longer_than_its_excess_needs_and_renewed_before_it_ends() {
    let now = at("2026-11-21T18:00:30Z");
    let open = |pool: &NodePool, excess| {
        let budgets = opened(pool, None, 100, excess, now);
        let until = open_until(&budgets[1], now).unwrap();
        ((until - at("2026-11-21T18:00:00Z")).num_minutes(), budgets)
    };
    let mut pool = NodePool::test("a");
    // Ten nodes at once: one wave takes more than three, two waves take twenty.
    assert_eq!(open(&pool, 3).0, 2);
    assert_eq!(open(&pool, 25).0, 4);
    assert_eq!(open(&pool, 90).0, 18);
    let (most, budgets) = open(&pool, 5000);
    assert_eq!(most, 20);
    pool.budgets = Some(budgets.clone());
    assert_eq!(open(&pool, 5000).1, budgets);
    let later = at("2026-11-21T18:10:05Z");
    let renewed = opened(&pool, None, 100, 5000, later);
    assert_eq!(open_until(&renewed[1], later), Some(at("2026-11-21T18:30:00Z")));
}

#[test]
fn the_pace_is_that_of_the_tightest_budget_for_underutilized_nodes() {
    let users = [
        json!({"nodes": "20%"}),
        json!({"nodes": "3", "reasons": ["Underutilized"]}),
        json!({"nodes": "0", "reasons": ["Drifted"]}),
        json!({"nodes": "0", "schedule": "0 9 * * 1-5", "duration": "8h"}),
    ];
    assert_eq!(pace(Some(&users), 100, is_always_active), 3);
    assert_eq!(pace(Some(&users[..1]), 11, is_always_active), 3);
    assert_eq!(pace(None, 100, is_always_active), 10);
    assert_eq!(pace(Some(&[]), 40, is_always_active), 40);
}
