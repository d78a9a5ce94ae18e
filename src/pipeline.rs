//! From a report to a plan: reads, judges and proposes. Everything that touches the outside is handed in.

use std::sync::atomic::AtomicBool;

use chrono::{DateTime, Datelike, Duration, Utc};

use crate::config::Config;
use crate::report::json::{PlanDocument, Source, UtilizationReport, age_hours};
use crate::source::AwsAccess;
use crate::source::read;
use brimful_cur::columns::{Detail, Format};
use brimful_cur::ledger_cache::LedgerCache;
use brimful_cur::location::Location;
use brimful_cur::period::BillingPeriod;
use brimful_cur::reader::{ReportData, Request};
use brimful_cur::scan::Progress;
use brimful_cur::snapshot::Periods;
use brimful_karpenter::{Node, NodeClaim, NodePool};
use brimful_policy::groups::commitment_now;
use brimful_policy::peers::Peers;
use brimful_policy::plan::{Inputs, Proposal, propose};
use brimful_policy::state::State;
use brimful_savings_plans::ledger::{Granularity, Ledger};
use brimful_savings_plans::sharing::Sharing;
use brimful_savings_plans::utilization::{Check, Terms, Utilization, stale};
use brimful_types::hour::{Hour, human_duration, rfc3339};
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, ErrorKind, Result};

/// What to read, and how.
pub struct ReadOptions<'a> {
    /// Where the report lies.
    pub location: &'a Location,
    /// How to reach AWS.
    pub access: &'a AwsAccess,
    /// What was counted of the report before, if it is kept anywhere.
    pub cache: Option<&'a LedgerCache>,
    /// How much is wanted; decisions need it all.
    pub detail: Detail,
    /// Worker threads.
    pub threads: usize,
    /// Told about progress.
    pub progress: &'a Progress<'a>,
    /// Set from outside to stop reading.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for ReadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadOptions")
            .field("location", self.location)
            .finish_non_exhaustive()
    }
}

/// Which hours `utilization` shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// From this time on; the newest billing period when neither end is given.
    pub from: Option<DateTime<Utc>>,
    /// Up to this time, which is not included.
    pub to: Option<DateTime<Utc>>,
}

/// A report, read and judged.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The report's folder; empty for a single file, and for a place that is the folder.
    pub report: String,
    /// When AWS delivered its newest period, where that can be told.
    pub delivered: Option<DateTime<Utc>>,
    /// Its ledger; empty when the report could not be read consistently.
    pub ledger: Ledger,
    /// Its use, hour by hour.
    pub utilization: Utilization,
    /// Where the figures come from.
    pub source: Source,
    /// What should be known.
    pub warnings: Vec<Warning>,
    /// Why nothing may be decided on it, if so.
    pub doubt: Option<String>,
}

/// Reads the report for `utilization`.
///
/// # Errors
/// What is wrong with the report; MONTHLY reports are refused.
pub async fn judge_window(
    options: &ReadOptions<'_>,
    config: &Config,
    window: Window,
    now: DateTime<Utc>,
) -> Result<Judged> {
    let chosen = window.from.is_some() || window.to.is_some();
    let (from, to) = (
        window.from.unwrap_or(DateTime::UNIX_EPOCH),
        window.to.unwrap_or(now),
    );
    if from >= to {
        return Err(Error::usage(format!(
            "the window is empty: it would begin at {} and end at {}",
            rfc3339(from),
            rfc3339(to)
        )));
    }
    let request = Request {
        location: options.location,
        periods: if chosen {
            Periods::Between(
                BillingPeriod::of(from),
                BillingPeriod::of(to - Duration::seconds(1)),
            )
        } else {
            Periods::Newest(now)
        },
        window: chosen.then(|| hour_from(from)..hour_from(to)),
        ends_early: window.to.is_some(),
        cache: options.cache,
        detail: options.detail,
        threads: options.threads,
        progress: options.progress,
        stop: options.stop,
    };
    // Whoever only looks gets an error where a decision would freeze.
    let data = read(options.access, &request)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::Frozen if matches!(options.location, Location::Athena(_)) => {
                Error::report(error.to_string()).hint("put it right, or look again in some minutes")
            }
            ErrorKind::Frozen => Error::report(error.to_string()).hint("look again in some minutes"),
            _ => error,
        })?;
    refuse_monthly(&data.ledger, options.location)?;
    let mut judged = judged(data, options.location, config, now);
    if !chosen && judged.source.billing_periods.len() > 1 && !is_single_file(options.location) {
        keep_newest_period(&mut judged);
    }
    Ok(judged)
}

/// Reads the report for a plan: the history that decisions look at.
///
/// # Errors
/// What is wrong with the report; DAILY and MONTHLY reports are refused. A report that keeps changing is no error:
/// it freezes everything.
pub async fn judge_history(options: &ReadOptions<'_>, config: &Config, now: DateTime<Utc>) -> Result<Judged> {
    let judged = inspect(options, config, now).await?;
    refuse_monthly(&judged.ledger, options.location)?;
    if judged.ledger.granularity == Some(Granularity::Daily) {
        return Err(Error::report(format!(
            "{}: the report is DAILY; decisions need an HOURLY one",
            options.location
        ))
        .hint(
            "create a report or export with hourly granularity; `brimful utilization` can read a daily one",
        ));
    }
    Ok(judged)
}

/// The same of a report of whatever granularity, for a look at it.
///
/// # Errors
/// What is wrong with the report.
pub async fn inspect(options: &ReadOptions<'_>, config: &Config, now: DateTime<Utc>) -> Result<Judged> {
    let from = now - config.cur.lookback.0;
    let request = Request {
        location: options.location,
        periods: Periods::History(BillingPeriod::of(from), BillingPeriod::of(now)),
        // The row of the current hour, written ahead, tells the commitment.
        window: Some(Hour::of(from)..Hour::of(now).plus(1)),
        ends_early: false,
        cache: options.cache,
        detail: options.detail,
        threads: options.threads,
        progress: options.progress,
        stop: options.stop,
    };
    let mut data = match read(options.access, &request).await {
        Ok(data) => data,
        Err(error) if error.kind() == ErrorKind::Frozen => return Ok(unread(options.location, &error)),
        Err(error) => return Err(error),
    };
    if data.ledger.granularity.is_none() && data.rows > 0 {
        // No row begins in the wanted time: those of a MONTHLY report all begin on the first, and those of one that is
        // delivered no more tell at least how old it is.
        let whole = read(
            options.access,
            &Request {
                window: None,
                ..request
            },
        )
        .await?;
        if whole.ledger.granularity == Some(Granularity::Monthly) || whole.horizon(now).is_some() {
            data = whole;
        }
    }
    if let Some(accounts) = &config.sharing.accounts {
        for entry in &mut data.ledger.plans {
            entry.plan.shared = entry
                .plan
                .owner
                .as_ref()
                .is_some_and(|owner| accounts.contains(owner));
        }
    }
    let mut judged = judged(data, options.location, config, now);
    judged.doubt = doubt(&judged, config, now);
    Ok(judged)
}

fn hour_from(time: DateTime<Utc>) -> Hour {
    // The first whole hour that begins at or after the time.
    Hour::of(time + Duration::hours(1) - Duration::milliseconds(1))
}

fn is_single_file(location: &Location) -> bool {
    matches!(location, Location::Path(path) if path.is_file())
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

fn judged(mut data: ReportData, location: &Location, config: &Config, now: DateTime<Utc>) -> Judged {
    let horizon = data.horizon(now);
    let stopped = horizon.map(|horizon| data.ledger.mark_stopped(horizon, config.cur.maturity.0));
    for plan in stopped
        .into_iter()
        .flatten()
        .map(|index| &data.ledger.plans[index].plan)
    {
        let since = plan.stopped.map(rfc3339).unwrap_or_default();
        let message = format!(
            "the report has no rows of this plan since {since}, although it goes on: it counts as ended then"
        );
        data.warnings
            .push(Warning::of_plan(WarningCode::PlanStopped, &plan.arn, message));
    }
    let effective_cost = "savings_plan_savings_plan_effective_cost";
    let lacks_costs = data.missing.iter().any(|column| column == effective_cost);
    let sharing = sharing(&data.ledger, config);
    let terms = Terms {
        sharing: &sharing,
        horizon,
        maturity: config.cur.maturity.0,
        check: match data.format {
            Some(Format::Focus) => Check::Age,
            _ if lacks_costs => Check::Missing,
            _ => Check::Reconciling,
        },
    };
    let utilization = Utilization::of(&data.ledger, &terms);
    let mut warnings = data.warnings;
    warnings.extend(utilization.warnings.clone());
    warnings.extend(general_warnings(&data.ledger, horizon, location));
    if data.format == Some(Format::Focus) && !data.ledger.plans.is_empty() {
        let message = format!(
            "{location}: a FOCUS export tells neither when plans begin and end nor how they are paid, and states their use only once, so \
             hours are complete by their age alone: prefer a CUR 2.0 export"
        );
        warnings.push(Warning::new(WarningCode::FocusReport, message));
    }
    warnings.sort();
    let periods = if data.periods.is_empty() {
        periods_of(&data.ledger, horizon)
    } else {
        data.periods.iter().map(ToString::to_string).collect()
    };
    Judged {
        report: data.name,
        delivered: data.delivered,
        source: Source {
            uri: location.to_string(),
            format: data.format.map(brimful_cur::columns::Format::as_str),
            billing_periods: periods,
            horizon: horizon.map(rfc3339),
            files: data.files,
            rows: data.rows,
            bytes_read: data.bytes,
            scan_cost: data.scan_cost,
            age_hours: None,
        },
        ledger: data.ledger,
        utilization,
        warnings,
        doubt: None,
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

fn keep_newest_period(judged: &mut Judged) {
    let newest = judged
        .utilization
        .plans
        .iter()
        .filter_map(|plan| plan.hours.last())
        .map(|h| h.hour.start())
        .max();
    let Some(newest) = newest else { return };
    let same = |hour: Hour| (hour.start().year(), hour.start().month()) == (newest.year(), newest.month());
    for plan in &mut judged.utilization.plans {
        plan.hours.retain(|hour| same(hour.hour));
    }
    judged.source.billing_periods = vec![BillingPeriod::of(newest).to_string()];
}

fn general_warnings(ledger: &Ledger, horizon: Option<DateTime<Utc>>, location: &Location) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if ledger.plans.is_empty() {
        warnings.push(Warning::new(
            WarningCode::NoPlans,
            format!("{location}: the report holds no Savings Plan: there is nothing to fill"),
        ));
    } else if horizon.is_none() {
        let message = format!(
            "{location}: the report holds only fees, such as those written ahead for future hours, and no usage yet"
        );
        warnings.push(Warning::new(WarningCode::NoUsage, message));
    } else if ledger.has_no_instances() {
        let message = format!(
            "{location}: no EC2 instance usage in the report: how far it reaches is taken from Fargate and Lambda usage"
        );
        warnings.push(Warning::new(WarningCode::NoInstanceUsage, message));
    }
    if ledger.granularity == Some(Granularity::Daily) {
        let message = format!(
            "{location}: the report is DAILY: every entry is a whole day, and hours of full and of empty use hide in it"
        );
        warnings.push(Warning::new(WarningCode::DailyReport, message));
    }
    if ledger.currencies.len() > 1 {
        let all: Vec<&str> = ledger.currencies.iter().map(String::as_str).collect();
        let message = format!(
            "{location}: plans are in several currencies ({}): never add them up",
            all.join(", ")
        );
        warnings.push(Warning::new(WarningCode::MixedCurrencies, message));
    }
    warnings
}

/// Why nothing at all may be decided on a report, if so.
fn doubt(judged: &Judged, config: &Config, now: DateTime<Utc>) -> Option<String> {
    let nothing_to_fill = judged.ledger.plans.is_empty();
    let missing = judged
        .warnings
        .iter()
        .find(|warning| warning.code == WarningCode::MissingColumns && !nothing_to_fill);
    if let Some(missing) = missing {
        return Some(missing.message.clone()); // it may be why there is no usage
    }
    let Some(horizon) = judged.utilization.horizon else {
        let only_fees = "the report holds only fees and no usage yet, so nothing says how far it reaches";
        return Some(match (nothing_to_fill, judged.source.rows) {
            (false, _) => only_fees.to_owned(),
            (true, 0) => "the report holds no rows".to_owned(),
            (true, _) => format!(
                "the report holds nothing of the last {} (cur.lookback): is it still delivered?",
                human_duration(config.cur.lookback.0)
            ),
        });
    };
    stale(horizon, now, config.policy.max_data_age.0)
}

/// What is left when the report could not be read in one piece: nothing, and the reason.
pub(crate) fn unread(location: &Location, error: &Error) -> Judged {
    Judged {
        report: String::new(),
        delivered: None,
        ledger: Ledger::default(),
        utilization: Utilization {
            horizon: None,
            plans: Vec::new(),
            groups: Vec::new(),
            warnings: Vec::new(),
        },
        source: Source {
            uri: location.to_string(),
            format: None,
            billing_periods: Vec::new(),
            horizon: None,
            files: 0,
            rows: 0,
            bytes_read: 0,
            scan_cost: None,
            age_hours: None,
        },
        warnings: vec![Warning::new(WarningCode::ReportChanging, error.to_string())],
        doubt: Some(error.to_string()),
    }
}

/// The cluster as it stands.
#[derive(Debug, Clone, Default)]
pub struct ClusterView {
    /// All `NodePools`.
    pub node_pools: Vec<NodePool>,
    /// Nodes, where at hand.
    pub nodes: Option<Vec<Node>>,
    /// `NodeClaims`, where at hand.
    pub node_claims: Option<Vec<NodeClaim>>,
    /// What other clusters on the same plans tell of themselves.
    pub peers: Peers,
}

/// Proposes weights for a cluster.
#[must_use]
pub fn plan(
    judged: &Judged,
    config: &Config,
    cluster: &ClusterView,
    state: &State,
    now: DateTime<Utc>,
) -> Proposal {
    propose(&Inputs {
        now,
        sharing: &sharing(&judged.ledger, config),
        config: &config.settings(),
        ledger: &judged.ledger,
        utilization: &judged.utilization,
        node_pools: &cluster.node_pools,
        nodes: cluster.nodes.as_deref(),
        node_claims: cluster.node_claims.as_deref(),
        peers: &cluster.peers,
        state,
        doubt: judged.doubt.as_deref(),
    })
}

/// The document of a plan.
#[must_use]
pub fn document(judged: &Judged, proposal: &Proposal, more: &[Warning]) -> PlanDocument {
    let source = Source {
        age_hours: Some(age_hours(judged.utilization.horizon, proposal.now)),
        ..judged.source.clone()
    };
    let plans = 0..judged.ledger.plans.len();
    let commitments: Vec<Option<Money>> = plans
        .map(|plan| commitment_now(&judged.ledger, plan, proposal.now))
        .collect();
    let mut warnings = [judged.warnings.as_slice(), &proposal.warnings, more].concat();
    warnings.sort();
    warnings.dedup();
    PlanDocument::new(source, &judged.utilization, &commitments, proposal, warnings)
}

/// The document of a utilization.
#[must_use]
pub fn utilization_document(judged: &Judged) -> UtilizationReport {
    let daily = judged.ledger.granularity == Some(Granularity::Daily);
    UtilizationReport::new(
        judged.source.clone(),
        &judged.utilization,
        if daily { 24 } else { 1 },
        judged.warnings.clone(),
    )
}
