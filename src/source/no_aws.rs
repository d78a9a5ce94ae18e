//! Without AWS: whatever needs it is refused.

#![allow(clippy::unused_async, reason = "in the words of `brimful_aws`")]

use std::collections::BTreeMap;
use std::sync::Arc;

use brimful_cur::athena::AthenaTable;
use brimful_cur::choice::{Choice, Wanted};
use brimful_cur::reader::{ReportData, Request};
use brimful_cur::store::{ObjectStore, Purpose};
use brimful_savings_plans::ledger::UsageKey;
use brimful_savings_plans::savings_plan::Plan;
use brimful_types::money::Money;
use brimful_types::{Error, Result};

/// How AWS would be reached.
#[derive(Debug, Clone, Default)]
pub struct AwsAccess {
    /// A role to assume first.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
}

/// Whose credentials these are.
#[derive(Debug)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// The user or role.
    pub arn: String,
}

/// Why nobody says whose credentials these are.
#[derive(Debug)]
pub enum NoCaller {
    /// The credentials are not accepted.
    Refused(Error),
    /// No answer.
    Unreachable(String),
    /// No answer to this question.
    Unsaid(String),
    /// Another server is asked.
    NotAws,
}

impl AwsAccess {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub async fn caller(&self) -> Result<Caller, NoCaller> {
        Err(NoCaller::Refused(absent()))
    }
}

pub(crate) async fn discover(_: &AwsAccess, _: &Wanted) -> Result<Choice> {
    Err(absent())
}

pub(crate) async fn plans_api(_: &AwsAccess) -> NoPlansApi {
    NoPlansApi
}

/// No client of the Savings Plans API.
pub(crate) struct NoPlansApi;

pub(crate) async fn describe(_: &NoPlansApi, _: &str, _: &str) -> Result<BTreeMap<UsageKey, Money>> {
    Err(absent())
}

pub(crate) async fn listed_plans(_: &NoPlansApi) -> Result<Vec<Plan>> {
    Err(absent())
}

pub(super) async fn bucket(_: Purpose, _: &str, _: &str, _: &AwsAccess) -> Result<Arc<dyn ObjectStore>> {
    Err(absent())
}

pub(super) async fn query(
    _: &AthenaTable,
    _: &AwsAccess,
    _: Option<Arc<dyn ObjectStore>>,
    _: &Request<'_>,
) -> Result<ReportData> {
    Err(absent())
}

fn absent() -> Error {
    Error::usage("this build has no AWS support: it reads reports from directories and files only")
        .hint("give --cur a directory, or build with the feature `aws`, which is a default one")
}
