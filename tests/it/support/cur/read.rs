//! What the library makes of a report.

use std::path::{Path, PathBuf};

use aws_config::SdkConfig;
use brimful::analysis::{Analysis, Window, read_history, read_window};
use brimful::config::Config;
use brimful::render::json::{HourReport, PlanReport, Total, UtilizationReport, total};
use brimful::run::{ClusterView, Run, Setup};
use brimful_aws::AwsAccess;
use brimful_cur::athena::AthenaTable;
use brimful_cur::columns::{Detail, Own};
use brimful_cur::location::Location;
use brimful_cur::reader::ReadOptions;
use brimful_policy::groups::GroupNow;
use brimful_policy::state::State;
use brimful_savings_plans::ledger::{Cell, Granularity, Series, UsageClass};
use brimful_types::warning::Warning;
use brimful_types::{Error, ErrorKind, Result};
use chrono::{DateTime, Duration, Utc};

use super::{at, hour};
use crate::support::block_on;

/// How to read a report. By default as `utilization` does, at the end of 8 November 2026.
#[derive(Debug, Clone)]
pub(crate) struct Reading<'a> {
    path: &'a Path,
    now: DateTime<Utc>,
    window: Window,
    threads: usize,
    config: Config,
    cache: Option<PathBuf>,
    table: Option<(AthenaTable, SdkConfig)>,
}

/// Reads the report at `path`.
pub(crate) fn read(path: &Path) -> Reading<'_> {
    Reading {
        path,
        now: at(8 * 24),
        window: Window::default(),
        threads: 2,
        config: Config::default(),
        cache: None,
        table: None,
    }
}

impl Reading<'_> {
    pub(crate) fn now(self, now: DateTime<Utc>) -> Self {
        Self { now, ..self }
    }

    pub(crate) fn window(self, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let window = Window {
            from: Some(from),
            to: Some(to),
        };
        Self { window, ..self }
    }

    pub(crate) fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    pub(crate) fn maturity(mut self, hours: i64) -> Self {
        self.config.cur.maturity.0 = Duration::hours(hours);
        self
    }

    /// Decisions look back so many hours.
    pub(crate) fn lookback(mut self, hours: i64) -> Self {
        self.config.cur.lookback.0 = Duration::hours(hours);
        self
    }

    /// With a ledger cache in that directory.
    pub(crate) fn cache(self, path: &Path) -> Self {
        Self {
            cache: Some(path.to_owned()),
            ..self
        }
    }

    /// From a table instead of the files.
    pub(crate) fn asking(self, table: &AthenaTable, settings: SdkConfig) -> Self {
        Self {
            table: Some((table.clone(), settings)),
            ..self
        }
    }

    /// What `utilization` shows.
    pub(crate) fn utilization(&self) -> Seen {
        self.try_utilization().unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub(crate) fn try_utilization(&self) -> Result<Seen> {
        self.with(&|_, _| ())
    }

    /// The same, told about progress, from where a test may meddle with the files.
    pub(crate) fn with(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Seen> {
        Seen::of(self.run(progress, async |access, options| {
            read_window(access, options, &self.config, self.window, self.now).await
        }))
    }

    /// What `plan` and `apply` decide on.
    pub(crate) fn history(&self) -> Result<Seen> {
        self.history_with(&|_, _| ())
    }

    /// The same, told about progress.
    pub(crate) fn history_with(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Seen> {
        Seen::of(self.run(progress, async |access, options| {
            read_history(access, options, &self.config, self.now).await
        }))
    }

    fn run<T>(
        &self,
        progress: &(dyn Fn(u64, u64) + Sync),
        read: impl AsyncFnOnce(&AwsAccess, &ReadOptions<'_>) -> Result<T>,
    ) -> Result<T> {
        let (location, settings) = match &self.table {
            None => (Location::Path(self.path.to_owned()), None),
            Some((table, settings)) => (Location::Athena(Box::new(table.clone())), Some(settings.clone())),
        };
        let access = AwsAccess {
            settings,
            ..AwsAccess::default()
        };
        block_on(async {
            let cache = match &self.cache {
                Some(path) => {
                    let place = path.display().to_string().parse().expect("a place");
                    Some(brimful::source::cache(place, &AwsAccess::default()).await?)
                }
                None => None,
            };
            let options = ReadOptions {
                location: &location,
                cache: cache.as_ref(),
                detail: Detail::Accounts,
                own: Own::default(),
                threads: self.threads,
                progress,
                stop: &NEVER,
            };
            read(&access, &options).await
        })
    }
}

/// Nobody interrupts a test.
static NEVER: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// The whole text of a report error: what happened, and what to do.
pub(crate) fn message(result: Result<Seen>) -> String {
    let error: Error = result.expect_err("the report cannot be read");
    assert_eq!(error.kind(), ErrorKind::Report, "{error:#}");
    format!("{error:#}; {}", error.next_step().unwrap_or_default())
}

/// A report, read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) analysis: Analysis,
    pub(crate) document: UtilizationReport,
}

impl Seen {
    fn of(analysis: Result<Analysis>) -> Result<Self> {
        let analysis = analysis?;
        let document = UtilizationReport::new(&analysis);
        Ok(Self { analysis, document })
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(&self.document).unwrap()
    }

    pub(crate) fn plan(&self, arn: &str) -> &PlanReport {
        let found = self.document.plans.iter().find(|plan| plan.arn == arn);
        found.unwrap_or_else(|| panic!("{arn} is not among {:?}", self.arns()))
    }

    /// What all of a plan's hours add up to, complete or not: small reports have no hour old enough to be complete.
    pub(crate) fn sum(&self, arn: &str) -> Total {
        let plans = &self.analysis.utilization.plans;
        let plan = plans.iter().find(|plan| plan.plan.arn == arn);
        let plan = plan.unwrap_or_else(|| panic!("{arn} is not among {:?}", self.arns()));
        let daily = self.analysis.ledger.granularity == Some(Granularity::Daily);
        total(&plan.hours, if daily { 24 } else { 1 })
    }

    pub(crate) fn arns(&self) -> Vec<&str> {
        self.document.plans.iter().map(|plan| plan.arn.as_str()).collect()
    }

    pub(crate) fn find_hour(&self, arn: &str, hours: i32) -> Option<HourReport> {
        self.plan(arn)
            .hours
            .iter()
            .find(|h| h.hour == hour(hours))
            .copied()
    }

    pub(crate) fn hour(&self, arn: &str, hours: i32) -> HourReport {
        self.find_hour(arn, hours)
            .unwrap_or_else(|| panic!("no hour {hours} in {:?}", self.plan(arn)))
    }

    pub(crate) fn warning(&self, code: &str) -> Option<&Warning> {
        self.analysis
            .warnings
            .iter()
            .find(|warning| warning.code.as_str() == code)
    }

    /// How the groups of plans stand at `now`, as decisions see them.
    pub(crate) fn groups(&self, now: DateTime<Utc>) -> Vec<GroupNow> {
        let setup = Setup {
            config: &Config::default(),
            access: &AwsAccess::default(),
            now,
            state: &State::default(),
            damage: None,
        };
        let run = Run::gather(setup, self.analysis.clone(), ClusterView::default());
        block_on(run).propose().groups
    }

    /// Usage of one class, with what it is about.
    pub(crate) fn cells(&self, class: UsageClass) -> Vec<(&Series, &Cell)> {
        let ledger = &self.analysis.ledger;
        let of_class = ledger.usage().filter(|(series, _)| series.class == class);
        let cells = of_class.flat_map(|(series, cells)| cells.iter().map(move |cell| (series, cell)));
        let mut cells: Vec<(&Series, &Cell)> = cells.collect();
        cells.sort_by_key(|(_, cell)| cell.hour);
        cells
    }
}
