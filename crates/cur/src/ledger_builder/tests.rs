//! However rows are dealt out to builders, the ledger is that of one plain table of sums.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::columns::Time;
use brimful_savings_plans::ledger::{Ledger, UsageClass};

/// A line item of an instance. Numbers stand for names.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// The plan that covers it.
    plan: Option<u8>,
    kind: u8,
    account: u8,
    cluster: u8,
    pool: u8,
    hour: i32,
    nanos: i64,
    picos: i64,
}

fn row() -> impl Strategy<Value = Row> {
    // Most hours lie close together; some lie anywhere. Most rows are of few series, which get tables.
    let hour = prop_oneof![8 => 490_000..490_100, 1 => 490_000..490_744, 1 => any::<i32>()];
    let few = || prop_oneof![6 => Just(0), 1 => 0..3_u8];
    let names = (proptest::option::weighted(0.3, few()), few(), few(), few(), few());
    (names, hour, 0..1_000_000_000_000_i64, -5..1_000_000_000_000_i64).prop_map(
        |((plan, kind, account, cluster, pool), hour, nanos, picos)| Row {
            plan,
            kind,
            account,
            cluster,
            pool,
            hour,
            nanos,
            picos,
        },
    )
}

/// Nothing for the first one.
fn name(what: &str, number: u8) -> String {
    if number == 0 {
        String::new()
    } else {
        format!("{what}-{number}")
    }
}

impl Row {
    fn text(&self, fact: Text) -> String {
        match fact {
            Text::LineItemType if self.plan.is_some() => "SavingsPlanCoveredUsage".to_owned(),
            Text::LineItemType => "Usage".to_owned(),
            Text::UsageType => format!("BoxUsage:m{}.large", self.kind),
            Text::Operation => "RunInstances".to_owned(),
            Text::ProductCode => "AmazonEC2".to_owned(),
            Text::PlanArn => self.plan.map(|plan| format!("arn-{plan}")).unwrap_or_default(),
            Text::UsageAccount => format!("account-{}", self.account),
            Text::ClusterTag => name("cluster", self.cluster),
            Text::NodePoolTag => name("pool", self.pool),
            _ => String::new(),
        }
    }
}

/// Rows, with the numbers of their texts.
struct Items {
    rows: Vec<Row>,
    symbols: Arc<Symbols>,
}

impl LineItems for Items {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn lacks_services(&self) -> bool {
        false
    }

    fn text(&self, fact: Text, row: usize) -> Symbol {
        let text = self.rows[row].text(fact);
        self.symbols.intern(std::iter::once(Some(text.as_str())))[0]
    }

    fn millis(&self, fact: Time, row: usize) -> Option<i64> {
        let start = i64::from(self.rows[row].hour) * 3_600_000;
        Some(if fact == Time::Start {
            start
        } else {
            start + 3_600_000
        })
    }

    fn line_items(&self, _: usize) -> u64 {
        1
    }

    fn dollars(&self, _: Number, row: usize) -> Option<Money> {
        Some(Money::from_picos(i128::from(self.rows[row].picos)))
    }

    fn amount(&self, row: usize) -> Option<Quantity> {
        Some(Quantity::from_nanos(self.rows[row].nanos))
    }

    fn plan_rate(&self, row: usize) -> Option<Money> {
        Some(Money::from_picos(i128::from(self.rows[row].nanos)))
    }

    fn price(&self, row: usize) -> Option<Money> {
        self.plan_rate(row)
    }

    fn price_beyond_billed(&self, row: usize) -> Option<Money> {
        self.plan_rate(row)
    }
}

/// Plan, usage type, account, cluster, `NodePool` and hour.
type Key = (String, String, String, String, String, i32);

/// Every sum by a plain table, in the terms of `Detail::Usage`.
fn plainly(rows: &[Row], own: Own<'_>) -> BTreeMap<Key, (i64, i64)> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let cluster = row.text(Text::ClusterTag);
        let is_foreign = own
            .cluster
            .is_some_and(|own| !cluster.is_empty() && cluster != own);
        let is_tagged = !cluster.is_empty() || row.pool != 0;
        let [account, pool] = [Text::UsageAccount, Text::NodePoolTag].map(|fact| row.text(fact));
        let (account, pool) = if is_tagged && !is_foreign {
            (account, pool)
        } else {
            let is_own = own.account == Some(&account);
            (if is_own { account } else { String::new() }, String::new())
        };
        let key = (
            row.text(Text::PlanArn),
            row.text(Text::UsageType),
            account,
            cluster,
            pool,
            row.hour,
        );
        let (nanos, picos) = sums.entry(key).or_default();
        *nanos += row.nanos;
        *picos += row.picos;
    }
    sums
}

fn sums(ledger: &Ledger) -> BTreeMap<Key, (i64, i64)> {
    let cells = || {
        ledger
            .usage()
            .flat_map(|(series, cells)| cells.iter().map(move |cell| (series, cell)))
    };
    let named = cells().map(|(series, cell)| {
        let plan = match series.class {
            UsageClass::Covered(plan) => ledger.plans[plan].plan.arn.clone(),
            _ => String::new(),
        };
        let key = (
            plan,
            series.usage_type.to_string(),
            series.account.to_string(),
            series.cluster.to_string(),
            series.node_pool.to_string(),
            cell.hour.index(),
        );
        (key, (cell.amount.nanos(), cell.picos))
    });
    let sums: BTreeMap<Key, (i64, i64)> = named.collect();
    assert_eq!(sums.len(), cells().count(), "each is one cell");
    sums
}

/// What each plan covered, by hour, by a plain table and by the ledger.
fn covered(rows: &[Row], ledger: &Ledger) -> [BTreeMap<(String, i32), i128>; 2] {
    let mut plainly = BTreeMap::new();
    for row in rows.iter().filter(|row| row.plan.is_some()) {
        *plainly.entry((row.text(Text::PlanArn), row.hour)).or_default() += i128::from(row.picos);
    }
    let plans = ledger.plans.iter();
    let hours = plans.flat_map(|entry| entry.hours.iter().map(move |hour| (&entry.plan.arn, hour)));
    let counted = hours.map(|(arn, (hour, amounts))| ((arn.clone(), hour.index()), amounts.covered.picos()));
    [plainly, counted.collect()]
}

/// What so many builders make of the rows: dealt out by turns, and merged.
fn counted(rows: &[Row], builders: usize, own: Own<'_>) -> LedgerBuilder {
    let symbols = Arc::new(Symbols::default());
    let new = || LedgerBuilder::new(&symbols, None, Detail::Usage).for_cluster(own);
    let mut all = (0..builders).map(|turn| {
        let rows: Vec<Row> = rows.iter().skip(turn).step_by(builders).copied().collect();
        let mut builder = new();
        for batch in rows.chunks(100) {
            let items = Items {
                rows: batch.to_vec(),
                symbols: Arc::clone(&symbols),
            };
            builder.add(&items).unwrap();
        }
        builder
    });
    let mut whole = all.next().unwrap();
    for part in all {
        whole.merge(part).unwrap();
    }
    whole
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn one_builder_eight_and_a_plain_table_agree_to_the_picodollar(
        rows in proptest::collection::vec(row(), 1..1200),
        cluster in proptest::option::of(Just("cluster-1")),
        account in proptest::option::of(Just("account-1")),
    ) {
        let own = Own { cluster, account };
        let one = counted(&rows, 1, own).finish().unwrap();
        prop_assert_eq!(sums(&one), plainly(&rows, own));
        let [expected, found] = covered(&rows, &one);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(&counted(&rows, 8, own).finish().unwrap(), &one);
    }

    #[test]
    fn kept_parts_add_up_to_the_whole(
        rows in proptest::collection::vec(row(), 1..600),
        of_a_file in 1..200_usize,
    ) {
        let new = || LedgerBuilder::new(&Arc::new(Symbols::default()), None, Detail::Usage);
        let (mut sum, mut again) = (new(), new());
        for part in rows.chunks(of_a_file) {
            let part = counted(part, 2, Own::default()).into_partial().unwrap();
            prop_assert!(sum.absorb(part).unwrap());
        }
        // As a refresh does: what was kept of each file is kept of all of them.
        let sum = sum.into_partial().unwrap();
        let whole = counted(&rows, 1, Own::default());
        prop_assert_eq!(&counted(&rows, 8, Own::default()).into_partial().unwrap(), &sum);
        prop_assert!(again.absorb(sum).unwrap());
        prop_assert_eq!(again.finish().unwrap(), whole.finish().unwrap());
    }
}

#[test]
fn a_sum_beyond_what_can_be_held_is_an_error_that_names_the_hour() {
    let row = Row {
        plan: None,
        kind: 1,
        account: 1,
        cluster: 0,
        pool: 0,
        hour: 490_000,
        nanos: 1,
        picos: i64::MAX,
    };
    let symbols = Arc::new(Symbols::default());
    let mut builder = LedgerBuilder::new(&symbols, None, Detail::Usage);
    let items = Items {
        rows: vec![row, row],
        symbols: Arc::clone(&symbols),
    };
    let outcome = builder.add(&items).and_then(|()| builder.finish());
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.contains("2025-11-24T16:00:00Z: usage of BoxUsage:m1.large"),
        "{error}"
    );
}
