//! `brimful history`: what was changed, and what came of it. Changes nothing.

use chrono::{DateTime, Duration, Utc};

use super::args::{ClusterArgs, Common, HistoryArgs, RowOutput};
use super::context::{Context, configuration, connect_to, or_else, wall_clock};
use super::output;
use super::signals::Interrupt;
use super::state_store::{self, Known};
use crate::analysis::Analysis;
use crate::config::Config;
use crate::render::history::{self, Document, Row};
use brimful_cur::columns::Detail;
use brimful_policy::effect::{Effect, Told};
use brimful_policy::history::History;
use brimful_types::Result;
use brimful_types::hour::rfc3339;

pub(crate) async fn run(args: HistoryArgs, interrupt: Interrupt) -> Result<u8> {
    let HistoryArgs {
        since,
        nodepool: only,
        ..
    } = &args;
    let settings = settings(&args.common, interrupt.clone()).await?;
    let now = settings.now;
    let known = recorded(&args.cluster, &interrupt).await?;
    let entries = known.history.entries();
    let is_wanted = |index: &usize| {
        let entry = &entries[*index];
        since.is_none_or(|since| entry.time >= now - since)
            && (only.is_empty() || only.contains(&entry.node_pool))
    };
    let wanted: Vec<usize> = (0..entries.len()).filter(is_wanted).collect();
    let analysis = match (&settings.report, wanted.first()) {
        (Some(context), Some(first)) => Some(read_back_to(context, entries[*first].time).await?),
        _ => None,
    };
    let effects: Vec<Option<Effect>> = match &analysis {
        Some(analysis) => Told::new(&analysis.ledger, &analysis.utilization, &settings.config.cluster)
            .effects(&known.history),
        None => vec![None; entries.len()],
    };
    let rows = wanted
        .iter()
        .map(|index| Row::new(&entries[*index], effects[*index].as_ref()));
    let mut warnings: Vec<_> = known.lost.into_iter().collect();
    let source = analysis.map(|analysis| {
        warnings.extend(analysis.warnings);
        analysis.source
    });
    let document = Document::new(rfc3339(now), source, rows.collect(), warnings);
    show(&document, args.format.output, args.common.quiet)
}

/// So many are shown beside a plan.
const LATELY: usize = 20;

/// The newest changes, the newest first, with what came of them by a report.
pub(super) fn lately(history: &History, analysis: &Analysis, config: &Config) -> Vec<Row> {
    if history.is_empty() {
        return Vec::new();
    }
    let told = Told::new(&analysis.ledger, &analysis.utilization, &config.cluster);
    let effects = told.effects(history);
    let newest = history.entries().iter().zip(&effects).rev().take(LATELY);
    newest
        .map(|(entry, effect)| Row::new(entry, effect.as_ref()))
        .collect()
}

fn show(document: &Document, format: RowOutput, quiet: bool) -> Result<u8> {
    match format {
        RowOutput::Json => output::print_json(document)?,
        RowOutput::Yaml => output::print_yaml(document)?,
        RowOutput::Csv => output::print_csv(&history::csv(document)?)?,
        RowOutput::Table => output::print(&history::table(document, output::width()))?,
    }
    if matches!(format, RowOutput::Table | RowOutput::Csv) && !quiet {
        output::print_warnings(&document.warnings);
    }
    Ok(0)
}

/// What the history is shown with.
struct Settings {
    config: Config,
    now: DateTime<Utc>,
    /// How to read the report, where one is given or configured.
    report: Option<Context>,
}

async fn settings(common: &Common, interrupt: Interrupt) -> Result<Settings> {
    let config = configuration(common)?;
    if common.cur.is_some() || config.cur.names_a_report() {
        let context = Context::new(common, interrupt).await?;
        return Ok(Settings {
            now: context.now,
            config,
            report: Some(context),
        });
    }
    Ok(Settings {
        config,
        now: common.now.unwrap_or_else(wall_clock),
        report: None,
    })
}

pub(super) async fn recorded(target: &ClusterArgs, interrupt: &Interrupt) -> Result<Known> {
    if let Some(path) = &target.state {
        return state_store::peek_file(Some(path));
    }
    let cluster = connect_to(target, interrupt).await;
    let cluster = cluster.map_err(|error| or_else(error, "give the state's file: --state"))?;
    state_store::peek_history(&cluster, &target.namespace).await
}

/// Reads the report from the hour before the first change on, and as much as a plan does: Spot prices need some days.
async fn read_back_to(context: &Context, first: DateTime<Utc>) -> Result<Analysis> {
    let mut config = context.config.clone();
    let back = context.now - first + Duration::hours(2);
    config.cur.lookback.0 = config.cur.lookback.0.max(back);
    context.history(Detail::Usage, &config, None).await
}
