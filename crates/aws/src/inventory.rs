//! Plans as AWS lists them now: `savingsplans:DescribeSavingsPlans`, of the account that asks.

use aws_sdk_savingsplans::Client;
use aws_sdk_savingsplans::types::{
    CurrencyCode, SavingsPlan, SavingsPlanPaymentOption, SavingsPlanState, SavingsPlanType,
};

use crate::plans_api::{next_page, refused};
use brimful_savings_plans::inventory::{Listing, Standing};
use brimful_savings_plans::savings_plan::{Covered, Plan, PlanTexts};
use brimful_types::Result;
use brimful_types::money::Money;

/// Plans on a page, the most that AWS gives.
const PAGE: i32 = 1000;
/// An account has some dozens.
const MOST_PAGES: usize = 10;

/// All plans of the account, ended ones included; those in a state that is not known are left out.
///
/// # Errors
/// AWS refused, or does not answer.
pub async fn list(client: &Client) -> Result<Vec<Plan>> {
    let mut found = Vec::new();
    let mut next = None;
    for _ in 0..MOST_PAGES {
        let request = client.describe_savings_plans().max_results(PAGE);
        let page = request.set_next_token(next).send().await.map_err(|error| {
            refused(
                "list the Savings Plans",
                "DescribeSavingsPlans",
                "cur.inventory",
                &error,
            )
        })?;
        found.extend(page.savings_plans().iter().filter_map(plan));
        next = next_page(page.next_token());
        if next.is_none() {
            break;
        }
    }
    Ok(found)
}

/// One plan, if what decisions need of it can be read: nothing is guessed.
fn plan(listed: &SavingsPlan) -> Option<Plan> {
    let standing = match listed.state()? {
        SavingsPlanState::Active => Standing::Active,
        SavingsPlanState::PendingReturn => Standing::Leaving,
        SavingsPlanState::Queued => Standing::Queued,
        SavingsPlanState::Retired
        | SavingsPlanState::Returned
        | SavingsPlanState::PaymentFailed
        | SavingsPlanState::QueuedDeleted => Standing::Ended,
        _ => return None,
    };
    let offering = match listed.savings_plan_type()? {
        SavingsPlanType::Compute => "ComputeSavingsPlans",
        SavingsPlanType::Ec2Instance => "EC2InstanceSavingsPlans",
        SavingsPlanType::Sagemaker => "SageMakerSavingsPlans",
        SavingsPlanType::Database => "DatabaseSavingsPlans",
        _ => return None,
    };
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let texts = PlanTexts {
        offering_type: offering.to_owned(),
        region: text(listed.region()),
        family: text(listed.ec2_instance_family()),
        payment_option: text(listed.payment_option().map(SavingsPlanPaymentOption::as_str)),
        start: text(listed.start()),
        end: text(listed.end()),
        currency: text(listed.currency().map(CurrencyCode::as_str)),
        ..PlanTexts::default()
    };
    let commitment = Money::from_dollars(listed.commitment()?.trim().parse().ok()?)?;
    let mut plan = Plan::read(listed.savings_plan_arn()?, &texts, &Covered::default());
    plan.listed = Some(Listing { standing, commitment });
    Some(plan)
}
