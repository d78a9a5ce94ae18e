//! SP rates that AWS gives beside the report: `savingsplans:DescribeSavingsPlanRates`, of the plans' own account.

use std::collections::BTreeMap;

use aws_sdk_savingsplans::Client;
use aws_sdk_savingsplans::types::{SavingsPlanRate, SavingsPlanRateFilter, SavingsPlanRateFilterName};

use crate::plans_api::{next_page, refused};
use brimful_savings_plans::ledger::UsageKey;
use brimful_savings_plans::savings_plan::plan_id;
use brimful_types::Result;
use brimful_types::money::Money;

/// Rates on a page, the most that AWS gives.
const PAGE: i32 = 1000;
/// A plan has some two thousand rates in a region; pages beyond these are not worth a run's time.
const MOST_PAGES: usize = 20;

/// The rates of a plan for instances of shared tenancy in a region, $/unit by usage.
///
/// # Errors
/// AWS refused, or does not answer.
pub async fn describe(client: &Client, arn: &str, region: &str) -> Result<BTreeMap<UsageKey, Money>> {
    let id = plan_id(arn);
    let filter = |name, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        SavingsPlanRateFilter::builder()
            .name(name)
            .set_values(Some(values))
            .build()
    };
    let filters = vec![
        filter(SavingsPlanRateFilterName::Region, &[region]),
        filter(SavingsPlanRateFilterName::ProductType, &["EC2"]),
        filter(SavingsPlanRateFilterName::Tenancy, &["shared"]),
        filter(
            SavingsPlanRateFilterName::ProductDescription,
            &["Linux/UNIX", "Windows"],
        ),
    ];
    let mut found = BTreeMap::new();
    let mut next = None;
    for _ in 0..MOST_PAGES {
        let request = client
            .describe_savings_plan_rates()
            .savings_plan_id(id)
            .max_results(PAGE);
        let page = request
            .set_filters(Some(filters.clone()))
            .set_next_token(next)
            .send()
            .await;
        let page = page.map_err(|error| {
            let doing = format!("ask for the rates of plan {id}");
            refused(&doing, "DescribeSavingsPlanRates", "cur.describeRates", &error)
        })?;
        found.extend(page.search_results().iter().filter_map(rate));
        next = next_page(page.next_token());
        if next.is_none() {
            break;
        }
    }
    Ok(found)
}

/// One rate, if it can be read: a rate is never guessed.
fn rate(rate: &SavingsPlanRate) -> Option<(UsageKey, Money)> {
    let amount = Money::from_dollars(rate.rate()?.trim().parse().ok()?).filter(|rate| *rate > Money::ZERO)?;
    let key = UsageKey {
        usage_type: rate.usage_type()?.into(),
        operation: rate.operation()?.into(),
    };
    key.usage_type.contains("BoxUsage").then_some((key, amount))
}
