//! SP rates that AWS gives beside the report: `savingsplans:DescribeSavingsPlanRates`, of the plans' own account.

use std::collections::BTreeMap;

use aws_config::Region;
use aws_sdk_savingsplans::error::SdkError;
use aws_sdk_savingsplans::types::{SavingsPlanRate, SavingsPlanRateFilter, SavingsPlanRateFilterName};
use aws_sdk_savingsplans::{Client, config};

use crate::access::credentials::Trouble;
use crate::access::partition;
use crate::s3::{AwsAccess, with_causes};
use brimful_savings_plans::ledger::UsageKey;
use brimful_savings_plans::savings_plan::plan_id;
use brimful_types::money::Money;
use brimful_types::{Error, Result};

/// Rates on a page, the most that AWS gives.
const PAGE: i32 = 1000;
/// A plan has some two thousand rates in a region; pages beyond these are not worth a run's time.
const MOST_PAGES: usize = 20;

/// Connects to the API.
pub async fn connect(access: &AwsAccess) -> Client {
    let base = access.load().await;
    let home = partition::of_config(&base, access.role_arn.as_deref()).home;
    let config = config::Builder::from(&base).region(Region::from_static(home));
    Client::from_conf(config.build())
}

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
        let page = page.map_err(|e| refused(id, &e))?;
        found.extend(page.search_results().iter().filter_map(rate));
        next = page
            .next_token()
            .filter(|token| !token.is_empty())
            .map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    Ok(found)
}

fn refused(id: &str, error: &SdkError<impl std::error::Error + 'static>) -> Error {
    let doing = format!("ask for the rates of plan {id}");
    if let Some(trouble) = Trouble::within(error) {
        return trouble.error(&doing);
    }
    let what = format!("cannot {doing}: {}", with_causes(error));
    match error {
        SdkError::ServiceError(_) => Error::aws(what)
            .hint("allow savingsplans:DescribeSavingsPlanRates in the plan's account, or set cur.describeRates to false"),
        _ => Error::aws(what)
            .hint("let the network reach the Savings Plans API (HTTPS_PROXY, NO_PROXY), or set cur.describeRates to false"),
    }
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
