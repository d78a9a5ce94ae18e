//! `brimful backtest`: what each way of acting would have cost. Needs the report only, and changes nothing.

use std::path::Path;

use super::args::{BacktestArgs, Output};
use super::context::Context;
use super::output;
use super::progress::ScanProgress;
use super::signals::Interrupt;
use crate::analysis::{Analysis, sharing};
use crate::render::backtest::{Document, Inputs};
use crate::render::backtest_table::render;
use crate::render::picture;
use crate::run::steerable;
use brimful_cur::columns::Detail;
use brimful_karpenter::manifest;
use brimful_policy::identity::Identity;
use brimful_policy::names::clusters;
use brimful_savings_plans::replay::replay;
use brimful_simulation::backtest::Backtest;
use brimful_simulation::backtest::history::History;
use brimful_types::hour::rfc3339;
use brimful_types::{Error, Result};

pub(crate) async fn run(args: BacktestArgs, interrupt: Interrupt) -> Result<u8> {
    if let Some(path) = &args.picture {
        output::writable(path).map_err(|e| no_picture(path, e))?;
    }
    let mut context = Context::new(&args.common, interrupt).await?;
    if let Some(since) = args.since {
        context.config.cur.lookback.0 = since;
    }
    let node_pools = args.nodepools.as_deref().map(manifest::node_pools).transpose()?;
    let node_pools = node_pools.unwrap_or_default();
    let nodes = args.nodes.as_deref().map(manifest::nodes).transpose()?;
    let analysis = context.history(Detail::Accounts, &context.config, None).await?;
    usable(&analysis)?;
    let (config, ledger) = (&context.config.cluster, &analysis.ledger);
    let identity = Identity::detect(config, &node_pools, nodes.as_deref(), ledger);
    let committed = steerable(&node_pools, &context.config);
    let history = History::of(&analysis.ledger, &analysis.utilization, &identity, &committed)?;
    let (history, backtest) = play(&context, history).await?;
    if let Some(path) = &args.picture {
        write(path, &picture::draw(&history, &backtest)?)?;
    }
    let sharing = sharing(&analysis.ledger, &context.config);
    let replayed = replay(&analysis.ledger, &analysis.utilization, &sharing);
    let document = Document::new(Inputs {
        now: rfc3339(context.now),
        source: analysis.source,
        cluster: identity.cluster,
        clusters: clusters(&analysis.ledger)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        history: &history,
        backtest: &backtest,
        application_order_error: replayed.by_group().fraction(),
        warnings: analysis.warnings,
    });
    show(&document, args.format.output, context.quiet)
}

/// Minutes of work on a large history: not on a thread that waits for signals.
async fn play(context: &Context, history: History) -> Result<(History, Backtest)> {
    let progress = ScanProgress::of_runs(context.quiet);
    let (settings, threads) = (context.config.settings(), context.threads);
    let played = tokio::task::spawn_blocking(move || {
        let backtest = Backtest::run(&history, &settings, threads, &|done, all| {
            progress.update(done, all);
        });
        backtest.map(|backtest| (history, backtest))
    });
    played
        .await
        .map_err(|e| Error::unexpected("the replay broke off").source(e))?
}

fn show(document: &Document, format: Output, quiet: bool) -> Result<u8> {
    match format {
        Output::Json => output::print_json(document)?,
        Output::Yaml => output::print_yaml(document)?,
        Output::Table => {
            output::print(&render(document, output::width()))?;
            if !quiet {
                output::print_warnings(&document.warnings);
            }
        }
    }
    Ok(0)
}

/// An old report has a past, too; one that cannot be read in full has none.
fn usable(analysis: &Analysis) -> Result<()> {
    let lacks = !analysis.missing.is_empty();
    match &analysis.doubt {
        Some(doubt) if lacks || analysis.utilization.horizon.is_none() => Err(Error::report(doubt.clone())
            .hint("a backtest needs an hourly report with all columns; --now and --since choose the time that it looks at")),
        _ => Ok(()),
    }
}

fn no_picture(path: &Path, error: std::io::Error) -> Error {
    Error::usage(format!("cannot write the picture to {}", path.display())).source(error)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|e| no_picture(path, e))
}
