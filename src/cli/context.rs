//! What every command needs: clock, configuration, logs, and the place of the report.

use std::num::NonZero;

use chrono::{DateTime, Utc};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use super::args::{ClusterArgs, Common};
use super::output;
use super::progress::ScanProgress;
use super::signals::{Interrupt, Stage};
use super::state_store::Known;
use crate::analysis::{Analysis, read_history};
use crate::cluster::Cluster;
use crate::config::{Config, LogFormat};
use crate::run::Setup;
use crate::source::{self, AwsAccess, discover};
use brimful_cur::choice::{Choice, Wanted};
use brimful_cur::columns::{Detail, Own};
use brimful_cur::ledger_cache::LedgerCache;
use brimful_cur::location::{Location, Place};
use brimful_cur::reader::ReadOptions;
use brimful_cur::scan::Progress;
use brimful_types::{Error, Result};

/// The settings of a run.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) now: DateTime<Utc>,
    pub(crate) location: Location,
    pub(crate) access: AwsAccess,
    pub(crate) cache: Option<LedgerCache>,
    pub(crate) threads: usize,
    pub(crate) quiet: bool,
    pub(crate) interrupt: Interrupt,
}

impl Context {
    pub(crate) async fn new(common: &Common, interrupt: Interrupt) -> Result<Self> {
        let config = configuration(common)?;
        interrupt.enter(Stage::Report);
        let access = access_by(&config);
        let location = match &common.cur {
            Some(location) => location.clone(),
            None => configured(&config, &access).await?.0,
        };
        if common.cache.is_some() && matches!(location, Location::Athena(_)) {
            let what = "--cache: keeps what was counted of files; engine athena reads none";
            let hint = "leave out --cache and BRIMFUL_CACHE, or read the files with --cur";
            return Err(Error::usage(what).hint(hint));
        }
        Ok(Self {
            now: common.now.unwrap_or_else(wall_clock),
            threads: common.threads.map_or_else(processors, usize::from),
            cache: ledger_cache(common.cache.clone(), &config).await?,
            config,
            location,
            access,
            quiet: common.quiet,
            interrupt,
        })
    }

    /// About the cluster that the flags mean: its name by the kubeconfig serves where nothing better says it.
    pub(crate) fn about(mut self, target: &ClusterArgs) -> Self {
        self.config.cluster.in_kubeconfig = name_in_kubeconfig(target);
        self
    }

    /// Keeps what is counted of the report there, unless Athena is asked.
    #[cfg(feature = "cluster")]
    pub(crate) async fn keep(&mut self, place: Place) -> Result<()> {
        if !matches!(self.location, Location::Athena(_)) {
            self.cache = Some(source::cache(place, &AwsAccess::default()).await?);
        }
        Ok(())
    }

    /// How to read the report.
    pub(crate) fn read_options<'a>(&'a self, detail: Detail, progress: &'a Progress<'a>) -> ReadOptions<'a> {
        self.interrupt.enter(Stage::Report);
        // Whose usage it is matters where plans do not reach everybody.
        let detail = match detail {
            Detail::Usage if self.config.sharing.accounts.is_some() => Detail::Accounts,
            detail => detail,
        };
        ReadOptions {
            location: &self.location,
            cache: self.cache.as_ref(),
            detail,
            own: Own {
                cluster: self.config.cluster.name.as_deref(),
                account: self.config.cluster.account.as_deref(),
            },
            threads: self.threads,
            progress,
            stop: self.interrupt.flag(),
        }
    }

    /// Reads the history that decisions look at, as far back as `config` says, and shows how far that is. `own` is the
    /// cluster that they are about, where it is known beforehand.
    pub(crate) async fn history(
        &self,
        detail: Detail,
        config: &Config,
        own: Option<&str>,
    ) -> Result<Analysis> {
        let progress = self.progress();
        let report = |done, all| progress.update(done, all);
        let options = self.read_options(detail, &report);
        let own = Own {
            cluster: own.or(options.own.cluster),
            ..options.own
        };
        read_history(&self.access, &ReadOptions { own, ..options }, config, self.now).await
    }

    pub(crate) fn progress(&self) -> ScanProgress {
        ScanProgress::new(self.quiet)
    }

    /// By what a run is made.
    pub(crate) fn setup<'a>(&'a self, known: &'a Known) -> Setup<'a> {
        Setup {
            config: &self.config,
            access: &self.access,
            now: self.now,
            state: &known.state,
            damage: known.damage.as_deref(),
        }
    }
}

/// The configuration that the flags name, else the defaults; logs are written as it says from here on.
pub(crate) fn configuration(common: &Common) -> Result<Config> {
    let config = common.config.as_deref().map(Config::load).transpose()?;
    let config = config.unwrap_or_default();
    start_logs(&config, common.quiet, common.verbose);
    Ok(config)
}

/// Refuses to patch by a clock that was set by hand, unless that is allowed.
pub(crate) fn own_clock(common: &Common, is_allowed: bool, hint: &str) -> Result<()> {
    if common.now.is_none() || is_allowed {
        return Ok(());
    }
    let what = "--now (or BRIMFUL_NOW) is set: a cluster is not patched by a clock that was set by hand";
    Err(Error::usage(what).hint(hint))
}

/// The name of the cluster that the flags mean, as far as the kubeconfig says it.
pub(crate) fn name_in_kubeconfig(target: &ClusterArgs) -> Option<String> {
    Cluster::eks_name(target.kubeconfig.as_deref(), target.context.as_deref())
}

/// A connection to the cluster that the flags mean.
pub(crate) async fn connect_to(target: &ClusterArgs, interrupt: &Interrupt) -> Result<Cluster> {
    interrupt.enter(Stage::Cluster);
    Cluster::connect(target.kubeconfig.as_deref(), target.context.as_deref()).await
}

/// What serves in place of a cluster where a command reads NodePools.
pub(crate) const MANIFESTS: &str = "give manifests: --nodepools and --nodes";

/// No cluster could be connected to, and there is another way.
pub(crate) fn or_else(error: Error, instead: &str) -> Error {
    match error.next_step().map(str::to_owned) {
        Some(hint) => error.hint(format!("{hint}; or {instead}")),
        None => error,
    }
}

/// The cache of the flag, else of the configuration, if any.
pub(crate) async fn ledger_cache(flag: Option<Place>, config: &Config) -> Result<Option<LedgerCache>> {
    let configured = || config.cur.cache.as_deref().map(str::parse).transpose();
    let place = flag.map_or_else(configured, |place| Ok(Some(place)));
    match place.map_err(|e| Error::usage(format!("cur.cache: {e}")))? {
        Some(place) => source::cache(place, &AwsAccess::default()).await.map(Some),
        None => Ok(None),
    }
}

/// By which role the configuration says that the report is read.
#[cfg_attr(not(feature = "aws"), allow(clippy::needless_update))]
pub(crate) fn access_by(config: &Config) -> AwsAccess {
    AwsAccess {
        role_arn: config.cur.role_arn.clone(),
        external_id: config.cur.external_id.clone(),
        ..AwsAccess::default()
    }
}

/// Where the configuration says that the report lies, and how that was found out.
pub(crate) async fn configured(config: &Config, access: &AwsAccess) -> Result<(Location, Option<Choice>)> {
    if let Some(table) = config.cur.table() {
        return Ok((Location::Athena(Box::new(table)), None));
    }
    if let Some(uri) = &config.cur.uri {
        let location = uri.parse().map_err(|e| Error::usage(format!("cur.uri: {e}")));
        return location.map(|location| (location, None));
    }
    if let Some(name) = &config.cur.discover {
        let choice = discover(access, &Wanted::of(name)).await?;
        tracing::debug!("reading {} at {}", choice.chosen, choice.chosen.location());
        return Ok((choice.chosen.location(), Some(choice)));
    }
    Err(Error::usage("no report is given")
        .hint("give --cur s3://bucket/prefix (or a directory, or a parquet file), set BRIMFUL_CUR, or cur.uri in the configuration"))
}

/// The wall clock; everything else takes the time as a value.
#[allow(clippy::disallowed_methods)]
pub(crate) fn wall_clock() -> DateTime<Utc> {
    Utc::now()
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Spans of this target are the phases of a run: traces have them, logs don't.
pub(crate) const PHASE: &str = "phase";

pub(crate) fn start_logs(config: &Config, quiet: bool, verbose: u8) {
    // The libraries below talk of requests, headers and retries: only on request.
    let filter = match (quiet, verbose) {
        // What these tell of is what a call fails by: reported in Brimful's own words, and without what a program said.
        (true, _) => "error,kube_client=off",
        (_, 0) => "warn,aws_config=error,kube_client=off,brimful=info",
        (_, 1) => "warn,aws_config=error,brimful=debug",
        _ => "debug,phase=off",
    };
    let lines = fmt::layer().with_writer(|| output::LogLines);
    let lines = match config.telemetry.logs {
        LogFormat::Text => lines.compact().without_time().with_target(false).boxed(),
        LogFormat::Json => {
            output::log_json();
            // A defect, too, is one line of JSON.
            std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
            lines.json().with_ansi(false).boxed()
        }
    };
    let lines = tracing_subscriber::registry().with(lines.with_filter(EnvFilter::new(filter)));
    #[cfg(feature = "otlp")]
    let lines = lines.with(crate::telemetry::otlp::layer(config));
    // A second subscriber in one process is a test's, or that of a later run; the first one stays.
    let _ = lines.try_init();
}
