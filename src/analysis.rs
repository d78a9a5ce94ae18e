//! A report, read and analysed: how far it reaches, each plan's use hour by hour, what should be known of it, and
//! whether anything may be decided on it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::config::Config;
use crate::source::{AwsAccess, read};
use brimful_cur::athena::size;
use brimful_cur::columns::Format;
use brimful_cur::location::Location;
use brimful_cur::period::BillingPeriod;
use brimful_cur::reader::{ReadOptions, ReportData, Request};
use brimful_cur::snapshot::Periods;
use brimful_policy::identity::Identity;
use brimful_savings_plans::ledger::{Granularity, Ledger, Series};
use brimful_savings_plans::reach::out_of_reach;
use brimful_savings_plans::savings_plan::Plan;
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::{Check, Terms, Utilization};
use brimful_types::hour::{Hour, rfc3339};
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, ErrorKind, Result};

mod findings;
mod window;

pub use window::{Window, read_window};

/// Where the figures come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// `--cur`.
    pub uri: String,
    /// `legacy`, `cur2` or `focus`; null when nothing could be read.
    pub format: Option<&'static str>,
    /// `YYYY-MM`, ascending.
    pub billing_periods: Vec<String>,
    /// How far the report reaches.
    pub horizon: Option<String>,
    /// Files read.
    pub files: usize,
    /// Their rows, skipped or not.
    pub rows: u64,
    /// Bytes read of them.
    pub bytes_read: u64,
    /// What AWS asks for scanning them, by an estimate; with `cur.engine: athena` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_cost: Option<Money>,
    /// Age of the horizon, hours; in plans only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_hours: Option<Option<f64>>,
}

impl Source {
    /// A place of which nothing could be read.
    fn unread(location: &Location) -> Self {
        Self {
            uri: location.to_string(),
            format: None,
            billing_periods: Vec::new(),
            horizon: None,
            files: 0,
            rows: 0,
            bytes_read: 0,
            scan_cost: None,
            age_hours: None,
        }
    }

    /// What was scanned, and what that costs; empty where it costs nothing.
    #[must_use]
    pub fn scanned(&self) -> String {
        match self.scan_cost {
            Some(cost) => format!("; {} scanned, about {cost}", size(self.bytes_read)),
            None => String::new(),
        }
    }
}

/// A report, read and analysed.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The report's folder; empty for a single file, and for a place that is the folder.
    pub report: String,
    /// When AWS delivered its newest period, where that is known.
    pub delivered: Option<DateTime<Utc>>,
    /// Its ledger; empty when the report could not be read consistently.
    pub ledger: Ledger,
    /// Its use, hour by hour.
    pub utilization: Utilization,
    /// Where the figures come from.
    pub source: Source,
    /// Columns that decisions need and the report lacks.
    pub missing: Vec<String>,
    /// By what an hour's figures can be checked.
    pub check: Check,
    /// What should be known.
    pub warnings: Vec<Warning>,
    /// Why nothing may be decided on it, if so.
    pub doubt: Option<String>,
}

/// Reads the report for a plan: the history that decisions look at.
///
/// # Errors
/// What is wrong with the report; DAILY and MONTHLY reports are refused. A report that keeps changing is no error:
/// it freezes everything.
pub async fn read_history(
    access: &AwsAccess,
    options: &ReadOptions<'_>,
    config: &Config,
    now: DateTime<Utc>,
) -> Result<Analysis> {
    let analysis = read_any(access, options, config, now).await?;
    refuse_monthly(&analysis.ledger, options.location)?;
    if analysis.ledger.granularity == Some(Granularity::Daily) {
        return Err(Error::report(format!(
            "{}: the report is DAILY; decisions need an HOURLY one",
            options.location
        ))
        .hint(
            "create a report or export with hourly granularity; `brimful utilization` can read a daily one",
        ));
    }
    Ok(analysis)
}

/// The same of a report of whatever granularity, for a look at it.
///
/// # Errors
/// What is wrong with the report.
pub async fn read_any(
    access: &AwsAccess,
    options: &ReadOptions<'_>,
    config: &Config,
    now: DateTime<Utc>,
) -> Result<Analysis> {
    let from = now - config.cur.lookback.0;
    let periods = Periods::History(BillingPeriod::of(from), BillingPeriod::of(now));
    // The row of the current hour, written ahead, shows the commitment.
    let window = Hour::of(from)..Hour::of(now).plus(1);
    let request = Request {
        options: *options,
        periods,
        window: Some(window),
        ends_early: false,
    };
    let mut data = match read(access, &request).await {
        Ok(data) => data,
        Err(error) if error.kind() == ErrorKind::Frozen => return Ok(unread(options.location, &error)),
        Err(error) => return Err(error),
    };
    if data.ledger.granularity.is_none() && data.rows > 0 {
        // No row begins in the wanted time: those of a MONTHLY report all begin on the first, and those of one that is
        // delivered no more show at least how old it is.
        let whole = Request {
            window: None,
            ..request
        };
        let whole = read(access, &whole).await?;
        if whole.ledger.granularity == Some(Granularity::Monthly) || whole.horizon(now).is_some() {
            data = whole;
        }
    }
    mark_shared(&mut data.ledger, config);
    let mut analysis = analyse(data, options.location, config, now, None);
    analysis.doubt = findings::doubt(&analysis, options.location, config, now);
    Ok(analysis)
}

fn refuse_monthly(ledger: &Ledger, location: &Location) -> Result<()> {
    if ledger.granularity == Some(Granularity::Monthly) {
        return Err(Error::report(format!(
            "{location}: the report is MONTHLY: a plan's use is measured by the hour"
        ))
        .hint("create a report or export with hourly granularity"));
    }
    Ok(())
}

/// `end`: up to where rows were asked for, where that is not all.
fn analyse(
    mut data: ReportData,
    location: &Location,
    config: &Config,
    now: DateTime<Utc>,
    end: Option<DateTime<Utc>>,
) -> Analysis {
    let horizon = data.horizon(now);
    let asked = horizon.map(|horizon| end.map_or(horizon, |end| horizon.min(end)));
    mark_stopped(&mut data, asked, config);
    let check = check_of(&data);
    let utilization = utilization(&data.ledger, horizon, check, config);
    let mut warnings = data.warnings;
    warnings.extend(utilization.warnings.clone());
    warnings.extend(findings::lacks(location, &data.missing));
    warnings.extend(findings::warnings(&data.ledger, horizon, data.format, location));
    warnings.sort();
    let billing_periods = if data.periods.is_empty() {
        periods_of(&data.ledger, horizon)
    } else {
        data.periods.iter().map(ToString::to_string).collect()
    };
    Analysis {
        report: data.name,
        delivered: data.delivered,
        source: Source {
            uri: location.to_string(),
            format: data.format.map(Format::as_str),
            billing_periods,
            horizon: horizon.map(rfc3339),
            files: data.files,
            rows: data.rows,
            bytes_read: data.bytes,
            scan_cost: data.scan_cost,
            age_hours: None,
        },
        ledger: data.ledger,
        utilization,
        missing: data.missing,
        check,
        warnings,
        doubt: None,
    }
}

impl Analysis {
    /// Brings the plans that AWS lists together with those of the report.
    pub fn take_inventory(&mut self, listed: Vec<Plan>, config: &Config, now: DateTime<Utc>) {
        self.ledger.take_inventory(listed, now);
        mark_shared(&mut self.ledger, config);
        self.utilization = utilization(&self.ledger, self.utilization.horizon, self.check, config);
    }

    /// Leaves out plans that the report shows not to reach this cluster's account. `sharing.accounts` says it outright.
    pub fn leave_out_of_reach(&mut self, identity: &Identity, config: &Config) {
        let Some(account) = identity
            .account
            .as_deref()
            .filter(|_| config.sharing.accounts.is_none())
        else {
            return;
        };
        let owns = |series: &Series| identity.owns(series) || *series.account == *account;
        let found = out_of_reach(&self.ledger, &self.utilization, account, owns);
        for index in &found {
            let plan = &mut self.ledger.plans[*index].plan;
            plan.shared = false;
            let owner = plan.owner.as_deref().unwrap_or_default();
            let message = format!(
                "it had room while instances of this cluster's account ({account}) stood uncovered, hour after hour: account {owner} does not share it \
                 with this one, so it counts for nothing here; sharing.accounts says outright whose plans do"
            );
            self.warnings
                .push(Warning::of_plan(WarningCode::PlanOutOfReach, &plan.arn, message));
        }
        if !found.is_empty() {
            self.utilization = utilization(&self.ledger, self.utilization.horizon, self.check, config);
        }
    }
}

fn utilization(
    ledger: &Ledger,
    horizon: Option<DateTime<Utc>>,
    check: Check,
    config: &Config,
) -> Utilization {
    let terms = Terms {
        sharing: &sharing(ledger, config),
        horizon,
        maturity: config.cur.maturity.0,
        check,
    };
    Utilization::of(ledger, &terms)
}

/// Plans of accounts that do not share belong to no group.
fn mark_shared(ledger: &mut Ledger, config: &Config) {
    let Some(accounts) = &config.sharing.accounts else {
        return;
    };
    for entry in &mut ledger.plans {
        let owner = entry.plan.owner.as_ref();
        entry.plan.shared = owner.is_some_and(|owner| accounts.contains(owner));
    }
}

/// Plans that go on, but of which the report has no rows any more, count as ended.
fn mark_stopped(data: &mut ReportData, horizon: Option<DateTime<Utc>>, config: &Config) {
    let stopped = horizon.map(|horizon| data.ledger.mark_stopped(horizon, config.cur.maturity.0));
    for index in stopped.into_iter().flatten() {
        let plan = &data.ledger.plans[index].plan;
        let since = plan.stopped.map(rfc3339).unwrap_or_default();
        let message = format!(
            "the report has no rows of this plan since {since}, although it goes on: it counts as ended then"
        );
        let warning = Warning::of_plan(WarningCode::PlanStopped, &plan.arn, message);
        data.warnings.push(warning);
    }
}

/// By what an hour's figures can be checked, which is a matter of the columns.
fn check_of(data: &ReportData) -> Check {
    const EFFECTIVE_COST: &str = "savings_plan_savings_plan_effective_cost";
    match data.format {
        Some(Format::Focus) => Check::Age,
        _ if data.missing.iter().any(|column| column == EFFECTIVE_COST) => Check::Missing,
        _ => Check::Reconciling,
    }
}

/// Open, AWS's default, unless the configuration says which accounts share.
pub(crate) fn sharing(ledger: &Ledger, config: &Config) -> Sharing {
    let name = config.cluster.name.as_deref();
    let tagged = ledger.series.iter().find(|series| name == Some(&*series.cluster));
    let own = config
        .cluster
        .account
        .as_deref()
        .or_else(|| tagged.map(|series| &*series.account));
    Sharing::of(config.sharing.accounts.as_deref(), own)
}

/// The months in which plans have past hours, for files that lie in no period's folder.
fn periods_of(ledger: &Ledger, horizon: Option<DateTime<Utc>>) -> Vec<String> {
    let hours = ledger.plans.iter().flat_map(|plan| plan.hours.keys());
    let past = hours.filter(|hour| horizon.is_some_and(|horizon| hour.end() <= horizon));
    let mut periods: Vec<String> = past
        .map(|hour| BillingPeriod::of(hour.start()).to_string())
        .collect();
    periods.sort();
    periods.dedup();
    periods
}

/// What is left when the report could not be read in one piece: nothing, and the reason.
pub(crate) fn unread(location: &Location, error: &Error) -> Analysis {
    Analysis {
        report: String::new(),
        delivered: None,
        ledger: Ledger::default(),
        utilization: Utilization {
            horizon: None,
            plans: Vec::new(),
            groups: Vec::new(),
            warnings: Vec::new(),
        },
        source: Source::unread(location),
        missing: Vec::new(),
        check: Check::Missing,
        warnings: vec![Warning::new(WarningCode::ReportChanging, error.to_string())],
        doubt: Some(error.to_string()),
    }
}
