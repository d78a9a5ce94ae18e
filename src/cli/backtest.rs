//! `brimful backtest`: what each way of acting would have cost. Needs the report only, and changes nothing.

use brimful_types::warning::WarningCode;
use std::collections::BTreeSet;
use std::path::Path;

use super::args::{BacktestArgs, Output};
use super::context::Context;
use super::output;
use super::progress::ScanProgress;
use super::signals::Interrupt;
use crate::pipeline::sharing;
use crate::pipeline::{Judged, judge_history};
use crate::report::backtest::{Document, Facts};
use crate::report::backtest_table::render;
use crate::report::picture;
use brimful_cur::columns::Detail;
use brimful_karpenter::{NodePool, Role, manifest};
use brimful_policy::identity::Identity;
use brimful_policy::restraint::is_managed;
use brimful_savings_plans::replay::replay;
use brimful_simulation::backtest::Backtest;
use brimful_simulation::backtest::history::History;
use brimful_types::hour::rfc3339;
use brimful_types::{Error, Result};

pub(crate) async fn run(args: BacktestArgs, interrupt: Interrupt) -> Result<u8> {
    let BacktestArgs {
        common,
        nodepools,
        since,
        picture: picture_file,
        output: format,
    } = args;
    if let Some(path) = &picture_file {
        writable(path)?;
    }
    let mut context = Context::new(common, interrupt).await?;
    if let Some(since) = since {
        context.config.cur.lookback.0 = since;
    }
    let node_pools = nodepools.map(|path| manifest::node_pools(&path)).transpose()?;
    let node_pools = node_pools.unwrap_or_default();
    let progress = context.progress();
    let report = |done, all| progress.update(done, all);
    let options = context.read_options(Detail::Accounts, &report);
    let judged = judge_history(&options, &context.config, context.now).await?;
    drop(progress);
    usable(&judged)?;
    let config = context.config.clone();
    let identity = Identity::detect(&config.cluster, &node_pools, None, &judged.ledger);
    let is_committed =
        |pool: &&NodePool| pool.role() == Role::Committed && is_managed(pool, &config.node_pools);
    let committed: BTreeSet<String> = node_pools
        .iter()
        .filter(is_committed)
        .map(|pool| pool.name.clone())
        .collect();
    let history = History::of(&judged.ledger, &judged.utilization, &identity, &committed)?;
    let replayed = replay(
        &judged.ledger,
        &judged.utilization,
        &sharing(&judged.ledger, &config),
    );
    let progress = ScanProgress::of_runs(context.quiet);
    let threads = context.threads;
    // Minutes of work on a large history: not on a thread that waits for signals.
    let played = tokio::task::spawn_blocking(move || {
        let backtest = Backtest::run(&history, &config.settings(), threads, &|done, all| {
            progress.update(done, all);
        });
        backtest.map(|backtest| (history, backtest))
    });
    let (history, backtest) = played
        .await
        .map_err(|e| Error::unexpected("the replay broke off").source(e))??;
    if let Some(path) = picture_file {
        write(&path, &picture::draw(&history, &backtest)?)?;
    }
    let document = Document::new(Facts {
        now: rfc3339(context.now),
        source: judged.source,
        cluster: identity.cluster,
        history: &history,
        backtest: &backtest,
        application_order_error: replayed.by_group().fraction(),
        warnings: judged.warnings,
    });
    match format {
        Output::Json => output::print_json(&document)?,
        Output::Yaml => output::print_yaml(&document)?,
        Output::Table => {
            output::print(&render(&document, output::width()))?;
            if !context.quiet {
                output::tell_warnings(&document.warnings);
            }
        }
    }
    Ok(0)
}

/// An old report has a past, too; one that cannot be read in full has none.
fn usable(judged: &Judged) -> Result<()> {
    let lacks = judged
        .warnings
        .iter()
        .any(|warning| warning.code == WarningCode::MissingColumns);
    match &judged.doubt {
        Some(doubt) if lacks || judged.utilization.horizon.is_none() => Err(Error::report(doubt.clone())
            .hint("a backtest needs an hourly report with all columns; --now and --since choose the time that it looks at")),
        _ => Ok(()),
    }
}

/// Minutes of work would be lost if that turned out at their end.
fn writable(path: &Path) -> Result<()> {
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map(|_| ()).map_err(|e| no_picture(path, e))
}

fn no_picture(path: &Path, error: std::io::Error) -> Error {
    Error::usage(format!("cannot write the picture to {}", path.display())).source(error)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|e| no_picture(path, e))
}
