//! Checks of the report: found, fresh, whole, and what it shows of plans and of this cluster.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};

use super::{Check, Group, Status, application, engine};
use crate::analysis::Analysis;
use crate::config::Config;
use crate::render::text::{grouped, rate};
use brimful_cur::choice::Choice;
use brimful_policy::identity::Identity;
use brimful_policy::names::no_such_cluster;
use brimful_policy::plan::Proposal;
use brimful_savings_plans::ledger::Granularity;
use brimful_savings_plans::savings_plan::GroupId;
use brimful_savings_plans::utilization::{GroupUse, stale};
use brimful_types::error::Error;
use brimful_types::hour::{human_duration, rfc3339};
use brimful_types::money::Money;
use brimful_types::warning::{Warning, WarningCode};

/// Checks that need a report that could be read.
const OF_CONTENT: [&str; 11] = [
    "report-hourly",
    "report-columns",
    "report-fresh",
    "report-delivered",
    engine::ID,
    "report-plans",
    "report-account",
    "report-reconciles",
    application::ID,
    "report-tags",
    "report-share",
];

/// Warnings that a check here, or one of the coordination, already shows.
const TOLD: [WarningCode; 13] = [
    WarningCode::MissingColumns,
    WarningCode::NoPlans,
    WarningCode::NoUsage,
    WarningCode::DailyReport,
    WarningCode::FocusReport,
    WarningCode::CommitmentUnknown,
    WarningCode::NotReconciling,
    WarningCode::Untagged,
    WarningCode::SharedPlan,
    WarningCode::CoordinationConflict,
    WarningCode::CoordinationStale,
    WarningCode::CoordinationUnnamed,
    WarningCode::CoordinationUnreachable,
];

/// AWS delivers at least once a day.
const OVERDUE: i64 = 36;

/// How the report was found by `cur.discover`, and why it was not another.
#[must_use]
pub(crate) fn choice(choice: &Choice) -> Vec<Check> {
    const ID: &str = "report-choice";
    let found = format!(
        "{} at {}: {}",
        choice.chosen,
        choice.chosen.location(),
        choice.why
    );
    let found = match choice.chosen.doubts.first() {
        None => Check::ok(Group::Report, ID, found),
        Some(doubt) => Check::warn(Group::Report, ID, format!("{found}, although {doubt}"))
            .cure("name another one in cur.discover, or make an hourly export of COST_AND_USAGE_REPORT without a WHERE clause"),
    };
    let others = choice.others.iter();
    let others = others.map(|(other, why)| Check::skipped(Group::Report, ID, format!("not {other}: {why}")));
    let unseen = choice.unseen.iter().map(|what| {
        Check::warn(Group::Report, ID, format!("could not look at {what}"))
            .cure("allow it in the payer account, if the report may be there; else this is no harm")
    });
    std::iter::once(found).chain(others).chain(unseen).collect()
}

/// What there is to say of a report that could not be read.
#[must_use]
pub(crate) fn unread(error: Option<&Error>, why: &str) -> Vec<Check> {
    let found = match error {
        Some(error) => Check::error(Group::Report, "report-found", error),
        None => Check::skipped(Group::Report, "report-found", why),
    };
    let skipped = OF_CONTENT.map(|id| Check::skipped(Group::Report, id, why));
    std::iter::once(found).chain(skipped).collect()
}

/// Every check of a report. The proposal was made from it.
#[must_use]
pub(crate) fn checks(
    analysis: &Analysis,
    proposal: &Proposal,
    identity: &Identity,
    config: &Config,
    now: DateTime<Utc>,
) -> Vec<Check> {
    let look = Look {
        analysis,
        proposal,
        identity,
        config,
        now,
    };
    let mut checks = vec![
        look.found(),
        look.hourly(),
        look.columns(),
        look.fresh(),
        look.delivered(),
        engine::check(analysis, config),
        look.plans(),
        look.account(),
    ];
    checks.extend(look.reconciles());
    checks.push(application::check(analysis, config));
    checks.push(look.tags());
    checks.push(look.share());
    checks.extend(look.groups());
    let others = look
        .warnings()
        .filter(|warning| warning.node_pool.is_none() && !TOLD.contains(&warning.code));
    checks.extend(others.map(|warning| Check::warning(Group::Report, warning)));
    checks
}

struct Look<'a> {
    analysis: &'a Analysis,
    proposal: &'a Proposal,
    identity: &'a Identity,
    config: &'a Config,
    now: DateTime<Utc>,
}

impl<'a> Look<'a> {
    fn warnings(&self) -> impl Iterator<Item = &'a Warning> {
        self.analysis.warnings.iter().chain(&self.proposal.warnings)
    }

    fn warning(&self, code: WarningCode) -> Option<&'a Warning> {
        self.warnings().find(|warning| warning.code == code)
    }

    fn found(&self) -> Check {
        let source = &self.analysis.source;
        let name = match self.analysis.report.as_str() {
            "" => String::new(),
            name => format!("{name} at "),
        };
        if source.rows == 0 {
            let message = format!("{name}{}: the report holds no rows", source.uri);
            return Check::fail(Group::Report, "report-found", message)
                .cure("wait for the first delivery (up to 24 h after the export was made)");
        }
        let files = match source.scan_cost {
            None => format!("{} files, ", source.files),
            Some(_) => String::new(),
        };
        let message = format!(
            "{name}{}: {}, {}; {files}{} rows",
            source.uri,
            source.format.unwrap_or("format unknown"),
            source.billing_periods.join(" and "),
            grouped(&source.rows.to_string())
        );
        Check::ok(Group::Report, "report-found", message)
    }

    fn hourly(&self) -> Check {
        const ID: &str = "report-hourly";
        let cure = "make an export with time granularity HOURLY: a plan's use is measured by the hour";
        match self.analysis.ledger.granularity {
            Some(Granularity::Hourly) => Check::ok(Group::Report, ID, "HOURLY"),
            Some(Granularity::Daily) => {
                let message = "the report is DAILY: `utilization` can show it, `plan` and `apply` refuse it";
                Check::fail(Group::Report, ID, message).cure(cure)
            }
            Some(Granularity::Monthly) => Check::fail(
                Group::Report,
                ID,
                "the report is MONTHLY: it tells nothing that Brimful could use",
            )
            .cure(cure),
            None => Check::skipped(Group::Report, ID, "the report holds nothing of the wanted time"),
        }
    }

    fn columns(&self) -> Check {
        const ID: &str = "report-columns";
        match self.warning(WarningCode::MissingColumns) {
            None => Check::ok(Group::Report, ID, "all that decisions need"),
            Some(warning) if self.analysis.ledger.plans.is_empty() => Check {
                id: ID,
                ..Check::warning(Group::Report, warning)
            },
            Some(warning) => Check::fail(Group::Report, ID, &warning.message)
                .cure("add the columns to the export's query; a legacy report has them all"),
        }
    }

    fn fresh(&self) -> Check {
        const ID: &str = "report-fresh";
        let most = self.config.policy.max_data_age.0;
        let Some(horizon) = self.analysis.utilization.horizon else {
            let message = match self.warning(WarningCode::NoUsage) {
                Some(warning) => warning.message.clone(),
                None => self
                    .analysis
                    .doubt
                    .clone()
                    .unwrap_or_else(|| "the report holds no usage".to_owned()),
            };
            return Check::fail(Group::Report, ID, message).cure("wait for the next delivery, a day at most");
        };
        let reach = format!(
            "reaches to {}, {} ago",
            rfc3339(horizon),
            human_duration(self.now - horizon)
        );
        match stale(horizon, self.now, most) {
            None => Check::ok(
                Group::Report,
                ID,
                format!("{reach} (policy.maxDataAge {})", human_duration(most)),
            ),
            Some(why) => Check::fail(Group::Report, ID, format!("{why}: everything freezes"))
                .cure("check the export's status in the billing console, and the bucket's policy"),
        }
    }

    fn delivered(&self) -> Check {
        const ID: &str = "report-delivered";
        let Some(delivered) = self.analysis.delivered else {
            return Check::skipped(Group::Report, ID, "only a bucket tells when AWS delivered");
        };
        let age = (self.now - delivered).max(Duration::zero());
        let message = format!("{}, {} ago", rfc3339(delivered), human_duration(age));
        if age <= Duration::hours(OVERDUE) {
            return Check::ok(Group::Report, ID, message);
        }
        Check::warn(
            Group::Report,
            ID,
            format!("{message}; AWS delivers at least once a day"),
        )
        .cure("check the export's status in the billing console, and the bucket's policy")
    }

    fn plans(&self) -> Check {
        const ID: &str = "report-plans";
        let groups = &self.proposal.groups;
        if !groups.is_empty() {
            let plans: usize = groups.iter().map(|group| group.plans.len()).sum();
            let sum: Money = groups.iter().map(|group| group.in_force).sum();
            let s = if plans == 1 { "" } else { "s" };
            return Check::ok(
                Group::Report,
                ID,
                format!(
                    "{plans} plan{s} in force that nodes can use, {} in all",
                    rate(Some(sum))
                ),
            );
        }
        let message = match self.analysis.ledger.plans.len() {
            0 => "the report holds no Savings Plan: there is nothing to fill".to_owned(),
            all => format!(
                "none of the report's {all} plans is in force and of a kind that nodes can use: there is nothing to fill"
            ),
        };
        Check::warn(Group::Report, ID, message)
            .cure("is it the payer's report, and does sharing.accounts (if set) name the accounts that own the plans?")
    }

    fn account(&self) -> Check {
        const ID: &str = "report-account";
        let unknown: Vec<&Warning> = self
            .warnings()
            .filter(|warning| warning.code == WarningCode::CommitmentUnknown)
            .collect();
        if self.analysis.ledger.plans.is_empty() {
            return Check::skipped(Group::Report, ID, "no plan tells whose report it is");
        }
        let Some(first) = unknown.first() else {
            return Check::ok(
                Group::Report,
                ID,
                "the fees of every plan are in it, as in a payer's report",
            );
        };
        let all = unknown.len() == self.analysis.ledger.plans.len();
        let status = if all { Status::Fail } else { Status::Warn };
        Check {
            status,
            id: ID,
            ..Check::warning(Group::Report, first)
        }
        .cure("read the report of the payer (management) account; cur.roleArn reaches its bucket")
    }

    fn reconciles(&self) -> Vec<Check> {
        const ID: &str = "report-reconciles";
        if self.analysis.ledger.plans.is_empty() {
            return vec![Check::skipped(Group::Report, ID, "no plans")];
        }
        let hours = || {
            self.analysis
                .utilization
                .plans
                .iter()
                .flat_map(|plan| &plan.hours)
        };
        let mature: BTreeSet<_> = hours().filter(|hour| hour.mature).map(|hour| hour.hour).collect();
        let broken: Vec<&Warning> = self
            .warnings()
            .filter(|warning| warning.code == WarningCode::NotReconciling)
            .collect();
        if !broken.is_empty() {
            let check = |warning: &&Warning| Check {
                id: ID,
                ..Check::warning(Group::Report, warning)
            };
            let cure = "if it lasts longer than two days, the export filters rows out: make one without a WHERE clause";
            return broken.iter().map(check).map(|check| check.cure(cure)).collect();
        }
        if mature.is_empty() {
            let least = human_duration(self.config.cur.maturity.0);
            let message =
                format!("no hour is {least} older than the report's end yet, or none can be checked");
            return vec![
                Check::warn(Group::Report, ID, message).cure("wait a day; until then everything freezes"),
            ];
        }
        if let Some(focus) = self.warning(WarningCode::FocusReport) {
            let check = Check {
                id: ID,
                ..Check::warning(Group::Report, focus)
            };
            return vec![check.cure("make a CUR 2.0 export: Data Exports, table COST_AND_USAGE_REPORT")];
        }
        let message = format!(
            "{} mature hours: the use that AWS states is the covered usage's",
            mature.len()
        );
        vec![Check::ok(Group::Report, ID, message)]
    }

    fn tags(&self) -> Check {
        const ID: &str = "report-tags";
        let cure = "activate the cost allocation tags aws:eks:cluster-name and karpenter.sh/nodepool in the payer account, and set\ncluster:\n  name: NAME";
        if let Some(message) = no_such_cluster(self.identity, &self.analysis.ledger) {
            let cure =
                "cluster:\n  name: … # this cluster's name there; a new cluster is not in the report yet";
            return Check::warn(Group::Report, ID, message).cure(cure);
        }
        if let Some(untagged) = self.warning(WarningCode::Untagged) {
            return Check {
                id: ID,
                ..Check::warning(Group::Report, untagged)
            }
            .cure(cure);
        }
        let series = &self.analysis.ledger.series;
        let clusters: BTreeSet<&str> = series
            .iter()
            .map(|series| &*series.cluster)
            .filter(|name| !name.is_empty())
            .collect();
        let pools: BTreeSet<&str> = series
            .iter()
            .map(|series| &*series.node_pool)
            .filter(|name| !name.is_empty())
            .collect();
        if clusters.is_empty() && pools.is_empty() {
            let message = "no usage carries a cluster's or a NodePool's tag: live Nodes cannot correct the report's figures";
            return Check::warn(Group::Report, ID, message).cure(cure);
        }
        let clusters: Vec<&str> = clusters.into_iter().collect();
        let message = match clusters.as_slice() {
            [] => format!(
                "usage is tagged with its NodePool ({} of them), not with its cluster",
                pools.len()
            ),
            some => format!("usage is tagged with its cluster: {}", some.join(", ")),
        };
        Check::ok(Group::Report, ID, message)
    }

    fn share(&self) -> Check {
        const ID: &str = "report-share";
        if let Some(share) = self.config.share {
            return Check::ok(
                Group::Report,
                ID,
                format!("{:.0} % of the headroom, as configured", share.0 * 100.0),
            );
        }
        match self.warning(WarningCode::SharedPlan) {
            Some(shared) => Check {
                id: ID,
                ..Check::warning(Group::Report, shared)
            }
            .cure("# of the headroom; the shares of all clusters should add up to 1:\nshare: 0.5"),
            None if !self.proposal.peers.is_empty() => {
                let peers = self.proposal.peers.join(", ");
                Check::ok(
                    Group::Report,
                    ID,
                    format!("split with {peers}, by what they tell (coordination.uri)"),
                )
            }
            None => Check::ok(Group::Report, ID, "no other cluster is seen to use the plans"),
        }
    }

    /// True for a group that is too old because the whole report is.
    fn is_as_old_as_the_report(&self, id: &GroupId) -> bool {
        let utilization = &self.analysis.utilization;
        let known = |group: &&GroupUse| group.id == *id && !group.hours.is_empty();
        let own = utilization.groups.iter().find(known).map(|group| group.horizon);
        let most = self.config.policy.max_data_age.0;
        own == utilization.horizon && own.is_some_and(|horizon| stale(horizon, self.now, most).is_some())
    }

    /// Groups of plans on which nothing can be decided; a failure if there is no other.
    fn groups(&self) -> Vec<Check> {
        if self.analysis.ledger.granularity != Some(Granularity::Hourly) {
            return Vec::new();
        }
        let groups = &self.proposal.groups;
        let none = groups.iter().all(|group| group.doubt.is_some());
        let check = |group: &brimful_policy::groups::GroupNow| {
            let (id, subject) = ("plans-undecidable", group.id.to_string());
            // What holds for the whole report is said by its own check.
            let doubt = group
                .doubt
                .as_ref()
                .filter(|_| !self.is_as_old_as_the_report(&group.id))?;
            let check = if none {
                Check::fail(Group::Report, id, doubt)
            } else {
                Check::warn(Group::Report, id, doubt)
            };
            Some(check.about(subject))
        };
        groups.iter().filter_map(check).collect()
    }
}
