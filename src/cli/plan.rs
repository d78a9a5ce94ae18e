//! `brimful plan`: never changes anything.

use super::args::{ClusterArgs, ManifestArgs, Output, PlanArgs, PlanOutput};
use super::context::{Context, MANIFESTS, connect_to, or_else};
use super::output;
use super::signals::Interrupt;
use super::state_store::{self, Known};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::render::headline::Headline;
use crate::render::json::PlanDocument;
use crate::render::{explain, markdown, plan_table};
use crate::run::{ClusterView, Run};
use brimful_cur::columns::Detail;
use brimful_karpenter::cluster::NodeClaimsError;
use brimful_policy::identity::Identity;
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, ErrorKind, Result};

/// `plan --exit-code` found changes.
const CHANGES: u8 = 2;

pub(crate) async fn run(args: PlanArgs, interrupt: Interrupt) -> Result<u8> {
    let mut context = Context::new(&args.common, interrupt).await?;
    if args.manifests.nodepools.is_none() {
        context = context.about(&args.cluster);
    }
    let (view, known, more) = surroundings(&args.cluster, &args.manifests, &context).await?;
    if let Some(name) = &args.explain {
        known_pool(name, &view)?;
    }
    let run = plan_on(&context, &known, view).await?;
    let proposal = run.propose();
    let document = PlanDocument::new(&run.analysis, &proposal, &more);
    let format = args.format.output;
    let explained = args.explain.filter(|_| format != PlanOutput::Markdown);
    match explained.and_then(|name| proposal.pools.iter().find(|plan| plan.pool.name == name)) {
        Some(plan) => {
            let inputs = explain::Inputs {
                analysis: &run.analysis,
                config: &context.config,
                proposal: &proposal,
            };
            match format {
                PlanOutput::Json => output::print_json(&explain::json(&inputs, plan, &document))?,
                PlanOutput::Yaml => output::print_yaml(&explain::json(&inputs, plan, &document))?,
                PlanOutput::Table | PlanOutput::Markdown => {
                    output::print(&explain::render(&inputs, plan, output::width()))?;
                    if !context.quiet {
                        print_warnings_about(&plan.pool.name, &document.warnings);
                    }
                }
            }
        }
        None => {
            let horizon = run.analysis.utilization.horizon;
            let headline = Headline::of(&document, proposal.is_frozen());
            let show = |format| {
                let headline = Some(headline);
                show(&document, headline, format, context.quiet, horizon, context.now)
            };
            match format {
                PlanOutput::Table => show(Output::Table)?,
                PlanOutput::Json => show(Output::Json)?,
                PlanOutput::Yaml => show(Output::Yaml)?,
                PlanOutput::Markdown => output::print(&markdown::render(&document, headline))?,
            }
        }
    }
    if proposal.is_frozen() {
        return Ok(ErrorKind::Frozen.exit_code());
    }
    let has_changes = args.exit_code && !document.changes.is_empty();
    Ok(if has_changes { CHANGES } else { 0 })
}

/// Pools, nodes and state: from manifests and a file where they are given, else from the cluster.
pub(crate) async fn surroundings(
    cluster: &ClusterArgs,
    manifests: &ManifestArgs,
    context: &Context,
) -> Result<(ClusterView, Known, Vec<Warning>)> {
    if manifests.nodepools.is_none() {
        return live(cluster, context).await;
    }
    let known = state_store::peek_file(cluster.state.as_deref())?;
    Ok((manifests.view()?, known, Vec::new()))
}

/// Reads the report, and brings all together that a plan rests on.
pub(crate) async fn plan_on<'a>(
    context: &'a Context,
    known: &'a Known,
    view: ClusterView,
) -> Result<Run<'a>> {
    let own = Identity::name(&context.config.cluster, view.nodes.as_deref());
    let history = context.history(Detail::Usage, &context.config, own.as_deref());
    let analysis = history.await?;
    Ok(Run::gather(context.setup(known), analysis, view).await)
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
fn print_warnings_about(pool: &str, warnings: &[Warning]) {
    let concerns = |warning: &&Warning| warning.concerns(pool);
    let warnings: Vec<Warning> = warnings.iter().filter(concerns).cloned().collect();
    output::print_warnings(&warnings);
}

/// Prints a plan.
pub(crate) fn show(
    document: &PlanDocument,
    headline: Option<Headline>,
    format: Output,
    quiet: bool,
    horizon: Option<chrono::DateTime<chrono::Utc>>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<()> {
    match format {
        Output::Json => output::print_json(document),
        Output::Yaml => output::print_yaml(document),
        Output::Table => {
            output::print(&plan_table::render(
                headline,
                document,
                horizon,
                now,
                output::width(),
            ))?;
            if !quiet {
                output::print_warnings(&document.warnings);
            }
            Ok(())
        }
    }
}

async fn live(args: &ClusterArgs, context: &Context) -> Result<(ClusterView, Known, Vec<Warning>)> {
    let cluster = connect_to(args, &context.interrupt).await;
    let cluster = cluster.map_err(|error| or_else(error, MANIFESTS))?;
    let (view, mut warnings) = look(&cluster, &context.config).await?;
    let known = match &args.state {
        Some(path) => state_store::peek_file(Some(path))?,
        None => state_store::peek_cluster(&cluster, &args.namespace, &mut warnings).await?,
    };
    Ok((view, known, warnings))
}

/// Reads what a plan needs from the cluster.
pub(crate) async fn look(cluster: &Cluster, config: &Config) -> Result<(ClusterView, Vec<Warning>)> {
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
    let pods = if config.lists_pods() {
        match cluster.pods().await {
            Ok(pods) => Some(pods),
            Err(error) => {
                let message = format!("{error}: no Spot node is moved over (topUp)");
                warnings.push(Warning::new(WarningCode::NoPods, message));
                None
            }
        }
    } else {
        None
    };
    let view = ClusterView {
        node_pools: cluster.node_pools().await?,
        nodes: Some(cluster.nodes().await?),
        node_claims,
        pods,
    };
    Ok((view, warnings))
}
