//! `brimful plan`: never changes anything.

use super::args::{ClusterArgs, Output, PlanArgs};
use super::context::{Context, connect_to};
use super::coordination::meet;
use super::output;
use super::signals::Interrupt;
use super::state_store::{self, Known};
use crate::cluster::{Cluster, NodeClaimsError};
use crate::pipeline::{ClusterView, ReadOptions, document, judge_history, plan};
use crate::report::json::PlanDocument;
use crate::report::{explain, plan_table};
use brimful_cur::columns::Detail;
use brimful_karpenter::manifest;
use brimful_policy::identity::Identity;
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, ErrorKind, Result};

/// `plan --exit-code` found changes.
const CHANGES: u8 = 2;

pub(crate) async fn run(args: PlanArgs, interrupt: Interrupt) -> Result<u8> {
    let PlanArgs {
        common,
        cluster,
        nodepools,
        nodes,
        output: format,
        explain,
        exit_code,
    } = args;
    let context = Context::new(common, interrupt).await?;
    let (mut view, known, more) = match nodepools {
        Some(path) => {
            let view = ClusterView {
                node_pools: manifest::node_pools(&path)?,
                nodes: nodes.map(|path| manifest::nodes(&path)).transpose()?,
                // Offline there are none to be seen, which is not the same as not being allowed to look.
                node_claims: Some(Vec::new()),
                ..ClusterView::default()
            };
            (
                view,
                state_store::peek_file(cluster.state.as_deref())?,
                Vec::new(),
            )
        }
        None => live(&cluster, &context.interrupt).await?,
    };
    if let Some(name) = &explain {
        known_pool(name, &view)?;
    }
    let progress = context.progress();
    let report = |done, all| progress.update(done, all);
    let own = Identity::name(&context.config.cluster, view.nodes.as_deref());
    let options = ReadOptions {
        own: own.as_deref(),
        ..context.read_options(Detail::Usage, &report)
    };
    let mut judged = judge_history(&options, &context.config, context.now).await?;
    drop(progress);
    if let Some(damage) = known.damage {
        judged.doubt.get_or_insert(damage);
    }
    context.describe_rates(&mut judged, &view).await;
    (_, view.peers) = meet(&context.config, &judged, &view, context.now).await;
    let proposal = plan(&judged, &context.config, &view, &known.state, context.now);
    let document = document(&judged, &proposal, &more);
    let explained = explain.filter(|_| format == Output::Table);
    match explained.and_then(|name| proposal.pools.iter().find(|plan| plan.pool.name == name)) {
        Some(plan) => {
            let facts = explain::Facts {
                source: &judged.source,
                utilization: &judged.utilization,
                config: &context.config,
                proposal: &proposal,
            };
            output::print(&explain::render(&facts, plan, output::width()))?;
            if !context.quiet {
                tell_of(&plan.pool.name, &document.warnings);
            }
        }
        None => show(
            &document,
            format,
            context.quiet,
            judged.utilization.horizon,
            context.now,
        )?,
    }
    if proposal.is_frozen() {
        return Ok(ErrorKind::Frozen.exit_code());
    }
    Ok(if exit_code && !document.changes.is_empty() {
        CHANGES
    } else {
        0
    })
}

/// Whoever asks about a pool that is not there has most likely misspelled it.
fn known_pool(name: &str, view: &ClusterView) -> Result<()> {
    let names: Vec<&str> = view.node_pools.iter().map(|pool| pool.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let there = if names.is_empty() {
        "there is no NodePool at all".to_owned()
    } else {
        format!("the NodePools are {}", names.join(", "))
    };
    Err(Error::usage(format!("there is no NodePool {name}")).hint(there))
}

/// Tells of the warnings that concern one pool, or all.
fn tell_of(pool: &str, warnings: &[Warning]) {
    let concerns = |warning: &&Warning| warning.node_pool.as_deref().is_none_or(|name| name == pool);
    let warnings: Vec<Warning> = warnings.iter().filter(concerns).cloned().collect();
    output::tell_warnings(&warnings);
}

/// Prints a plan.
pub(crate) fn show(
    document: &PlanDocument,
    format: Output,
    quiet: bool,
    horizon: Option<chrono::DateTime<chrono::Utc>>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<()> {
    match format {
        Output::Json => output::print_json(document),
        Output::Yaml => output::print_yaml(document),
        Output::Table => {
            output::print(&plan_table::render(document, horizon, now, output::width()))?;
            if !quiet {
                output::tell_warnings(&document.warnings);
            }
            Ok(())
        }
    }
}

async fn live(args: &ClusterArgs, interrupt: &Interrupt) -> Result<(ClusterView, Known, Vec<Warning>)> {
    let cluster = connect_to(args, interrupt).await?;
    let (view, mut warnings) = look(&cluster).await?;
    let known = match &args.state {
        Some(path) => state_store::peek_file(Some(path))?,
        None => state_store::peek_cluster(&cluster, &args.namespace, &mut warnings).await?,
    };
    Ok((view, known, warnings))
}

/// Reads what a plan needs from the cluster.
pub(crate) async fn look(cluster: &Cluster) -> Result<(ClusterView, Vec<Warning>)> {
    cluster.check_schema().await?;
    let mut warnings = Vec::new();
    let node_claims = match cluster.node_claims().await {
        Ok(claims) => Some(claims),
        Err(NodeClaimsError::Unavailable(error)) => {
            let message =
                format!("{error}: drift and expiry are not seen, so no full pool's weight is lowered");
            warnings.push(Warning::new(WarningCode::NoNodeClaims, message));
            None
        }
        Err(error) => return Err(error.into()),
    };
    let view = ClusterView {
        node_pools: cluster.node_pools().await?,
        nodes: Some(cluster.nodes().await?),
        node_claims,
        ..ClusterView::default()
    };
    Ok((view, warnings))
}
