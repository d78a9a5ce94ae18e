//! What should be known of a report as a whole, and whether anything may be decided on it.

use chrono::{DateTime, Utc};

use super::Analysis;
use crate::config::Config;
use brimful_cur::columns::Format;
use brimful_cur::location::Location;
use brimful_savings_plans::ledger::{Granularity, Ledger};
use brimful_savings_plans::utilization::stale;
use brimful_types::hour::human_duration;
use brimful_types::warning::{Warning, WarningCode};

/// Warnings of the report as a whole.
pub(super) fn warnings(
    ledger: &Ledger,
    horizon: Option<DateTime<Utc>>,
    format: Option<Format>,
    location: &Location,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, message: String| {
        warnings.push(Warning::new(code, format!("{location}: {message}")));
    };
    if ledger.plans.is_empty() {
        warn(
            WarningCode::NoPlans,
            "the report holds no Savings Plan: there is nothing to fill".to_owned(),
        );
    } else if horizon.is_none() {
        warn(
            WarningCode::NoUsage,
            "the report holds only fees, such as those written ahead for future hours, and no usage yet"
                .to_owned(),
        );
    } else if ledger.has_no_instances() {
        warn(
            WarningCode::NoInstanceUsage,
            "no EC2 instance usage in the report: how far it reaches is taken from Fargate and Lambda usage"
                .to_owned(),
        );
    }
    if format == Some(Format::Focus) && !ledger.plans.is_empty() {
        warn(
            WarningCode::FocusReport,
            "a FOCUS export tells neither when plans begin and end nor how they are paid, and states their use only once, so \
             hours are complete by their age alone: prefer a CUR 2.0 export"
                .to_owned(),
        );
    }
    if ledger.granularity == Some(Granularity::Daily) {
        warn(
            WarningCode::DailyReport,
            "the report is DAILY: every entry is a whole day, and hours of full and of empty use hide in it"
                .to_owned(),
        );
    }
    if ledger.currencies.len() > 1 {
        let all: Vec<&str> = ledger.currencies.iter().map(String::as_str).collect();
        warn(
            WarningCode::MixedCurrencies,
            format!(
                "plans are in several currencies ({}): never add them up",
                all.join(", ")
            ),
        );
    }
    warnings
}

/// That the report lacks columns, if so.
pub(super) fn lacks(location: &Location, missing: &[String]) -> Option<Warning> {
    let message = format!(
        "{location}: the report lacks {}: use is shown, but cannot be checked or acted upon; add them to the export",
        missing.join(", ")
    );
    (!missing.is_empty()).then(|| Warning::new(WarningCode::MissingColumns, message))
}

/// Why nothing at all may be decided on a report, if so.
pub(super) fn doubt(
    analysis: &Analysis,
    location: &Location,
    config: &Config,
    now: DateTime<Utc>,
) -> Option<String> {
    let nothing_to_fill = analysis.ledger.plans.is_empty();
    if let Some(lacks) = lacks(location, &analysis.missing).filter(|_| !nothing_to_fill) {
        return Some(lacks.message); // it may be why there is no usage
    }
    let Some(horizon) = analysis.utilization.horizon else {
        let only_fees = "the report holds only fees and no usage yet, so nothing says how far it reaches";
        return Some(match (nothing_to_fill, analysis.source.rows) {
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
