//! The command line as typed. Every flag has an environment variable; flag > environment > configuration > default.

#![allow(missing_docs, reason = "a flattened group has no help of its own")]

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::{ArgValueCandidates, Shell};

use super::complete::{contexts, node_pools};
use crate::run::ClusterView;
use brimful_cur::location::{Location, Place};
use brimful_karpenter::manifest;
use brimful_types::hour::parse_duration;

/// Fill your AWS Savings Plans to the brim, then spill to Spot.
///
/// Brimful reads the Cost and Usage Report, works out how much of each Savings Plan is used, and gives Karpenter's
/// NodePools weights so that paid-for capacity is used before Spot.
#[derive(Debug, Parser)]
#[command(name = "brimful", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Time for the whole run; then it ends as if interrupted, and says what it waited for.
    #[arg(long, value_name = "DURATION", env = "BRIMFUL_TIMEOUT", default_value = "7m", global = true, value_parser = timeout)]
    pub timeout: chrono::Duration,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show utilization, headroom, decisions and proposed weights. Changes nothing.
    Plan(PlanArgs),
    /// Make the same plan and patch the NodePools. What the CronJob runs.
    Apply(ApplyArgs),
    /// Apply again and again, soon after the cluster has changed: the operator. Serves metrics.
    #[cfg(feature = "cluster")]
    Run(OperatorArgs),
    /// Write the plan as one HTML page: what stands unused, changes, decisions, use over time. Changes nothing.
    Report(ReportArgs),
    /// Show the use of each Savings Plan, hour by hour.
    Utilization(UtilizationArgs),
    /// Replay the report's own past: what each way of steering would have cost. Changes nothing.
    Backtest(BacktestArgs),
    /// Check report, permissions, cluster and NodePools, and say what to put right. Changes nothing.
    Doctor(DoctorArgs),
    /// Show every change that was made, and what it saved or cost once the report tells. Changes nothing.
    History(HistoryArgs),
    /// Restore the weights from before Brimful, and remove its annotations and state.
    Reset(ResetArgs),
    /// Show a simulated month that comes with the program: no AWS, no cluster, nothing to set up.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write one of each command.
    Man {
        /// The folder to write to.
        #[arg(long, value_name = "DIR", env = "BRIMFUL_MAN_DIR")]
        dir: Option<PathBuf>,
    },
}

impl Command {
    /// By when the process has to end, if each of its runs may take so long.
    pub(crate) fn deadline(&self, timeout: std::time::Duration) -> std::time::Duration {
        match self {
            #[cfg(feature = "cluster")]
            Self::Run(_) => std::time::Duration::MAX,
            _ => timeout,
        }
    }

    /// Whether it may change a cluster.
    pub(crate) fn changes(&self) -> bool {
        match self {
            #[cfg(feature = "cluster")]
            Self::Run(_) => true,
            Self::Apply(_) | Self::Reset(_) => true,
            _ => false,
        }
    }
}

/// Where the report lies, and how to print.
#[derive(Debug, Args)]
pub struct Common {
    /// The Cost and Usage Report: `s3://bucket[/prefix]`, a directory laid out like the bucket, or one parquet file.
    #[arg(long, value_name = "URI", env = "BRIMFUL_CUR", help_heading = "Report")]
    pub cur: Option<Location>,
    /// Where what was counted of the report is kept for the next run: `s3://bucket[/prefix]` or a directory.
    #[arg(long, value_name = "PLACE", env = "BRIMFUL_CACHE", help_heading = "Report")]
    pub cache: Option<Place>,
    /// Configuration file (YAML); `brimful schema` prints its keys.
    #[arg(long, value_name = "FILE", env = "BRIMFUL_CONFIG")]
    pub config: Option<PathBuf>,
    /// The clock, for replays.
    #[arg(long, value_name = "RFC3339", env = "BRIMFUL_NOW", value_parser = time)]
    pub now: Option<DateTime<Utc>>,
    /// Threads that read the report; all processors by default. The result never depends on it.
    #[arg(long, value_name = "N", env = "BRIMFUL_THREADS", help_heading = "Report", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Say only what is wrong.
    #[arg(short, long, env = "BRIMFUL_QUIET", value_parser = FalseyValueParser::new(), conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: once for what is read, twice for every request.
    #[arg(short, long, env = "BRIMFUL_VERBOSE", action = ArgAction::Count)]
    pub verbose: u8,
}

/// The cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Kubeconfig file, as kubectl has it; in a pod the ServiceAccount is used.
    #[arg(long, value_name = "FILE", env = "BRIMFUL_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME", env = "BRIMFUL_CONTEXT", add = ArgValueCandidates::new(contexts))]
    pub context: Option<String>,
    /// Namespace of the control state's ConfigMap.
    #[arg(
        long,
        value_name = "NAME",
        env = "BRIMFUL_NAMESPACE",
        default_value = "brimful"
    )]
    pub namespace: String,
    /// Keep the control state in a file instead of the ConfigMap.
    #[arg(long, value_name = "FILE", env = "BRIMFUL_STATE")]
    pub state: Option<PathBuf>,
}

/// Manifests in place of a cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ManifestArgs {
    /// NodePools from manifests instead of a cluster: a YAML or JSON file, a folder of them, or - for standard input.
    #[arg(long, value_name = "FILE", env = "BRIMFUL_NODEPOOLS")]
    pub nodepools: Option<PathBuf>,
    /// Nodes from manifests, to go with --nodepools, which may be the same; without them only the report tells what runs.
    #[arg(long, value_name = "FILE", env = "BRIMFUL_NODES", requires = "nodepools")]
    pub nodes: Option<PathBuf>,
}

impl ManifestArgs {
    /// The cluster that the manifests describe; without NodePools if none are given.
    ///
    /// # Errors
    /// A file cannot be read, or is no manifest.
    pub(crate) fn view(&self) -> brimful_types::Result<ClusterView> {
        let node_pools = self.nodepools.as_deref().map(manifest::node_pools).transpose()?;
        Ok(ClusterView {
            node_pools: node_pools.unwrap_or_default(),
            nodes: self.nodes.as_deref().map(manifest::nodes).transpose()?,
            // Offline there are none to be seen, which is not the same as not being allowed to look.
            node_claims: Some(Vec::new()),
            pods: None,
        })
    }
}

/// How to print, in one of the forms that a command has.
#[derive(Debug, Clone, Copy, Args)]
pub struct FormatArgs<T: ValueEnum + Send + Sync + 'static> {
    /// How to print.
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        env = "BRIMFUL_OUTPUT",
        default_value = "table"
    )]
    pub output: T,
}

/// `brimful plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub manifests: ManifestArgs,
    #[command(flatten)]
    pub format: FormatArgs<PlanOutput>,
    /// Show how one NodePool's decision came about, line by line, instead of the table; with -o json or yaml its numbers.
    #[arg(long, value_name = "NODEPOOL", env = "BRIMFUL_EXPLAIN", add = ArgValueCandidates::new(node_pools))]
    pub explain: Option<String>,
    /// End with exit code 2 when something would change.
    #[arg(long, env = "BRIMFUL_EXIT_CODE", value_parser = FalseyValueParser::new())]
    pub exit_code: bool,
}

/// `brimful report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub manifests: ManifestArgs,
    /// The file that the page is written to; it needs nothing beside it, and no network.
    #[arg(long, value_name = "FILE", env = "BRIMFUL_HTML")]
    pub html: PathBuf,
}

/// `brimful apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub format: FormatArgs<Output>,
    /// Let the API server validate the patches without storing them.
    #[arg(long, value_name = "WHERE", env = "BRIMFUL_DRY_RUN")]
    pub dry_run: Option<DryRun>,
    /// Write metrics of the run into this file, for node-exporter's textfile collector (*.prom).
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "FILE", env = "BRIMFUL_METRICS_FILE")]
    pub metrics_file: Option<PathBuf>,
    /// Patch by the clock of --now: for tests.
    #[arg(long, env = "BRIMFUL_ALLOW_NOW", value_parser = FalseyValueParser::new(), hide = true)]
    pub allow_now: bool,
}

/// `brimful run`.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub struct OperatorArgs {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The longest time between two runs; a change in the cluster leads to one within seconds.
    #[arg(long, value_name = "DURATION", env = "BRIMFUL_INTERVAL", default_value = "10m", value_parser = timeout)]
    pub interval: chrono::Duration,
    /// Where /metrics, /healthz and /readyz are served.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "BRIMFUL_LISTEN",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: std::net::SocketAddr,
    /// Patch by the clock of --now: for tests.
    #[arg(long, env = "BRIMFUL_ALLOW_NOW", value_parser = FalseyValueParser::new(), hide = true)]
    pub allow_now: bool,
}

/// `brimful utilization`.
#[derive(Debug, Args)]
pub struct UtilizationArgs {
    #[command(flatten)]
    pub common: Common,
    /// Show the time since so long ago, such as 7d; without a window the newest billing period is shown.
    #[arg(long, value_name = "DURATION", env = "BRIMFUL_SINCE", value_parser = parse_duration, conflicts_with = "from", help_heading = "Report")]
    pub since: Option<chrono::Duration>,
    /// Show the time from here on (RFC 3339, or a date).
    #[arg(long, value_name = "TIME", env = "BRIMFUL_FROM", value_parser = time, help_heading = "Report")]
    pub from: Option<DateTime<Utc>>,
    /// Show the time before this (RFC 3339, or a date).
    #[arg(long, value_name = "TIME", env = "BRIMFUL_TO", value_parser = time, help_heading = "Report")]
    pub to: Option<DateTime<Utc>>,
    #[command(flatten)]
    pub format: FormatArgs<RowOutput>,
}

/// `brimful backtest`.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    #[command(flatten)]
    pub common: Common,
    /// NodePools from manifests (file, folder or -): what managed committed ones of them ran on demand could have been
    /// steered, too.
    #[arg(
        long,
        value_name = "FILE",
        env = "BRIMFUL_NODEPOOLS",
        help_heading = "Cluster"
    )]
    pub nodepools: Option<PathBuf>,
    /// Nodes from manifests: they say the cluster's name where the configuration does not.
    #[arg(long, value_name = "FILE", env = "BRIMFUL_NODES", help_heading = "Cluster")]
    pub nodes: Option<PathBuf>,
    /// Replay the time since so long ago, such as 60d; `cur.lookback` by default.
    #[arg(long, value_name = "DURATION", env = "BRIMFUL_BACKTEST_SINCE", value_parser = parse_duration, help_heading = "Report")]
    pub since: Option<chrono::Duration>,
    /// Draw the use of the plans over time into this SVG file.
    #[arg(long, value_name = "FILE", env = "BRIMFUL_PICTURE")]
    pub picture: Option<PathBuf>,
    #[command(flatten)]
    pub format: FormatArgs<Output>,
}

/// `brimful doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub manifests: ManifestArgs,
    /// Ask the cluster as somebody else, as kubectl does: system:serviceaccount:brimful:brimful for the CronJob.
    #[arg(
        long,
        value_name = "USER",
        env = "BRIMFUL_AS",
        conflicts_with = "nodepools",
        help_heading = "Cluster"
    )]
    pub r#as: Option<String>,
    #[command(flatten)]
    pub format: FormatArgs<Output>,
}

/// `brimful history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Show changes since so long ago, such as 30d; the report is read as far back, too.
    #[arg(long, value_name = "DURATION", env = "BRIMFUL_HISTORY_SINCE", value_parser = parse_duration)]
    pub since: Option<chrono::Duration>,
    /// Only this NodePool. May be given several times.
    #[arg(long, value_name = "NAME", env = "BRIMFUL_HISTORY_NODEPOOL", add = ArgValueCandidates::new(node_pools))]
    pub nodepool: Vec<String>,
    #[command(flatten)]
    pub format: FormatArgs<RowOutput>,
}

/// `brimful reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Only this NodePool; the state of the others is kept. May be given several times.
    #[arg(long, value_name = "NAME", env = "BRIMFUL_RESET_NODEPOOL", add = ArgValueCandidates::new(node_pools))]
    pub nodepool: Vec<String>,
    #[command(flatten)]
    pub format: FormatArgs<Output>,
    /// Say only what is wrong.
    #[arg(short, long, env = "BRIMFUL_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
}

/// `brimful demo`.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Write report, NodePools and Nodes to this folder and keep them, to try other commands on them.
    #[arg(long, value_name = "DIR", env = "BRIMFUL_KEEP")]
    pub keep: Option<PathBuf>,
}

/// How to print a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// The contract's JSON.
    Json,
    /// The same as YAML.
    Yaml,
}

/// How to print a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanOutput {
    /// For people.
    Table,
    /// For pull requests, issues and chats: GitHub's Markdown.
    Markdown,
    /// The contract's JSON.
    Json,
    /// The same as YAML.
    Yaml,
}

/// How to print rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowOutput {
    /// For people.
    Table,
    /// The contract's JSON.
    Json,
    /// The same as YAML.
    Yaml,
    /// One line per plan and hour, or per change.
    Csv,
}

/// Where to validate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// On the API server.
    Server,
}

/// A duration that leaves time for something.
fn timeout(text: &str) -> Result<chrono::Duration, String> {
    let timeout = parse_duration(text)?;
    if timeout.is_zero() {
        return Err("it must be longer than nothing, such as 30s or 10m".to_owned());
    }
    Ok(timeout)
}

/// RFC 3339, or a date, which means its first instant in UTC.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let date =
        || NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|date| date.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|_| date())
        .map_err(|_| format!("`{text}` is not a time: write 2026-11-21T09:00:00Z or 2026-11-21"))
}
