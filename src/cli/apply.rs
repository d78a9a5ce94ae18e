//! `brimful apply`: the same plan, then patches.

#[cfg(feature = "cluster")]
use std::time::{Duration, Instant};

use tracing::field::Empty;
use tracing::{Instrument as _, info_span};

use super::args::{ApplyArgs, ClusterArgs};
use super::context::{Context, PHASE, connect_to, own_clock};
use super::output;
use super::plan::{look, show};
use super::send::{Sender, publish, stopped};
use super::signals::{Interrupt, Stage};
use super::state_store::{self, Held, Known, Next};
use crate::analysis::Analysis;
use crate::cluster::Cluster;
#[cfg(feature = "cluster")]
use crate::notify::{self, Facts};
use crate::render::json::{Applied, MoveResult, Moved, PlanDocument};
use crate::run::{ClusterView, Run};
#[cfg(feature = "cluster")]
use crate::telemetry::{self, Page, Runs};
use brimful_cur::columns::Detail;
use brimful_karpenter::{NodeCapacity, NodeClaim};
use brimful_policy::history::History;
use brimful_policy::identity::Identity;
use brimful_policy::plan::Proposal;
use brimful_policy::settings::Mode;
use brimful_types::warning::Warning;
use brimful_types::{Error, ErrorKind, Result};

mod moves;
mod patches;
mod record;

use self::patches::carry_out;
pub(super) use self::patches::patched;
pub(super) use self::record::fate;
use self::record::{events, history};

/// How patches are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Patch,
    Validate,
    Observe,
}

impl How {
    pub(super) fn of(is_dry_run: bool, mode: Mode) -> Self {
        match (is_dry_run, mode) {
            (true, _) => Self::Validate,
            (false, Mode::Observe) => Self::Observe,
            (false, Mode::Apply) => Self::Patch,
        }
    }
}

/// What a run has done.
#[derive(Debug)]
pub(super) struct Done {
    proposal: Proposal,
    analysis: Analysis,
    identity: Identity,
    warnings: Vec<Warning>,
    applied: Vec<Applied>,
    /// What became of the Spot node that was to move, if one was.
    moved: Option<Moved>,
    /// What was changed so far, this run included, where it is kept.
    history: History,
    /// Why the run ended before all was done, if so.
    stopped: Option<Error>,
    /// Why the state could not be given back, if so.
    unreleased: Option<Error>,
}

/// What is shown of a run.
#[cfg_attr(not(feature = "cluster"), allow(dead_code))]
pub(super) struct Shown {
    pub(super) document: PlanDocument,
    pub(super) analysis: Analysis,
    pub(super) identity: Identity,
    pub(super) proposal: Proposal,
    /// What was changed so far.
    pub(super) history: History,
}

pub(crate) async fn run(args: ApplyArgs, interrupt: Interrupt) -> Result<u8> {
    let hint = "leave it out; to try something, add --dry-run server, or set BRIMFUL_ALLOW_NOW=1";
    own_clock(&args.common, args.dry_run.is_some() || args.allow_now, hint)?;
    let context = Context::new(&args.common, interrupt.clone());
    let context = interrupt.or(context).await?.about(&args.cluster);
    let how = How::of(args.dry_run.is_some(), context.config.mode);
    let cluster = interrupt.or(connect_to(&args.cluster, &interrupt)).await?;
    #[cfg(feature = "cluster")]
    let began = Instant::now();
    let (code, shown) = match once(&context, &cluster, &args.cluster, how).await {
        Ok(done) => (done.exit_code(), done.into_shown()),
        Err(error) => (error.kind().exit_code(), Err(error)),
    };
    #[cfg(feature = "cluster")]
    if shown.is_err() {
        let flushed = async {
            telemetry::flush().await;
            Ok(())
        };
        let _ = interrupt.or(flushed).await;
    }
    let Shown {
        document, analysis, ..
    } = shown?;
    let (format, horizon) = (args.format.output, analysis.utilization.horizon);
    show(&document, None, format, context.quiet, horizon, context.now)?;
    #[cfg(feature = "cluster")]
    report_metrics(&args, &context, code, &document, began.elapsed()).await?;
    Ok(code)
}

/// Writes the metrics of a run to the file, and sends them to where they are wanted.
#[cfg(feature = "cluster")]
async fn report_metrics(
    args: &ApplyArgs,
    context: &Context,
    code: u8,
    document: &PlanDocument,
    took: Duration,
) -> Result<()> {
    let file = args.metrics_file.as_deref();
    let mut runs = Runs {
        last_success: file.and_then(telemetry::last_success),
        ..Runs::default()
    };
    let took = chrono::Duration::from_std(took).unwrap_or_default();
    runs.note(code, Some(document), context.now, took);
    let page = Page::of(&runs, Some(document));
    if let Some(path) = file {
        telemetry::write_file(path, &page.text()?)?;
    }
    let pushed = async {
        telemetry::push(&context.config, &page, code == 0).await;
        Ok(())
    };
    // A run that has to end has done all that counts.
    let _ = context.interrupt.or(pushed).await;
    Ok(())
}

/// One run, whatever is printed of it.
pub(super) async fn once(
    context: &Context,
    cluster: &Cluster,
    target: &ClusterArgs,
    how: How,
) -> Result<Done> {
    let span = info_span!(target: PHASE, "run", exit_code = Empty, otel.status_code = Empty);
    let run = async {
        match how {
            How::Validate => validate(context, cluster, target).await,
            How::Patch | How::Observe => held(context, cluster, target, how).await,
        }
    };
    let outcome = run.instrument(span.clone()).await;
    let code = match &outcome {
        Ok(done) => done.exit_code(),
        Err(error) => error.kind().exit_code(),
    };
    span.record("exit_code", code);
    span.record("otel.status_code", if code == 0 { "OK" } else { "ERROR" });
    outcome
}

impl Done {
    /// The contract's exit code, unless the run was ended before its time.
    pub(super) fn exit_code(&self) -> u8 {
        let has_moved = |moved: &Moved| matches!(moved.result, MoveResult::Moved | MoveResult::Unchanged);
        let trouble = self.applied.iter().any(|one| one.result.has_failed())
            || !self.moved.as_ref().is_none_or(has_moved)
            || self.unreleased.is_some();
        match (trouble, self.proposal.is_frozen()) {
            (true, _) => ErrorKind::Kubernetes.exit_code(),
            (false, true) => ErrorKind::Frozen.exit_code(),
            (false, false) => 0,
        }
    }

    /// What is shown of it, and what it rests on; that the state could not be given back is printed.
    ///
    /// # Errors
    /// What ended the run before its time.
    pub(super) fn into_shown(self) -> Result<Shown> {
        if let Some(stop) = self.stopped {
            return Err(stop);
        }
        if let Some(error) = &self.unreleased {
            output::print_error(error);
        }
        let mut document = PlanDocument::new(&self.analysis, &self.proposal, &self.warnings);
        document.applied = Some(self.applied);
        document.moved = self.moved;
        Ok(Shown {
            document,
            analysis: self.analysis,
            identity: self.identity,
            proposal: self.proposal,
            history: self.history,
        })
    }
}

/// Runs without holding the state: nothing is written.
async fn validate(context: &Context, cluster: &Cluster, target: &ClusterArgs) -> Result<Done> {
    let mut warnings = Vec::new();
    let known = match &target.state {
        Some(path) => state_store::peek_file(Some(path))?,
        None => {
            let peek = state_store::peek_cluster(cluster, &target.namespace, &mut warnings);
            context.interrupt.or(peek).await?
        }
    };
    let mut done = work(context, cluster, &known, How::Validate, None).await?;
    done.warnings.extend(warnings);
    Ok(done)
}

/// Runs while holding the state, and gives it back whatever happens.
async fn held(context: &Context, cluster: &Cluster, target: &ClusterArgs, how: How) -> Result<Done> {
    let (interrupt, file) = (&context.interrupt, target.state.as_deref());
    let taken = state_store::take(cluster, &target.namespace, file, interrupt);
    let (held, known) = taken.instrument(info_span!(target: PHASE, "take state")).await?;
    let mut outcome = work(context, cluster, &known, how, Some(&held)).await;
    if let Ok(done) = &mut outcome {
        let telling = tell(context, &known, done);
        telling.instrument(info_span!(target: PHASE, "notify")).await;
    }
    // State that could not be read stays for whoever looks into it.
    let history = outcome.as_ref().map_or_else(
        |_| known.history.clone(),
        |done| history(done, &known, context.now, how),
    );
    let next = outcome.as_ref().ok().map(|done| Next {
        state: Some(&done.proposal.state).filter(|_| known.damage.is_none()),
        history: &history,
    });
    let giving_back = state_store::give_back(held, next, interrupt);
    let released = giving_back
        .instrument(info_span!(target: PHASE, "give state back"))
        .await;
    let mut done = match outcome {
        Ok(done) => done,
        Err(error) => {
            if let Err(unreleased) = released {
                output::print_error(&unreleased);
            }
            return Err(error);
        }
    };
    done.history = history;
    done.warnings.extend(known.lost.clone());
    done.unreleased = released.err();
    publish(cluster, interrupt, events(&done, &known.state, how))
        .instrument(info_span!(target: PHASE, "publish events"))
        .await;
    // Whoever asked to stop, if only when all was done, is answered by the exit code.
    if let (None, Some(stop)) = (&done.stopped, interrupt.asked()) {
        done.stopped = Some(stopped(&stop, &patched(&done.applied), None));
    }
    if let (Some(_), Some(unreleased)) = (&done.stopped, &done.unreleased) {
        output::print_error(unreleased);
    }
    Ok(done)
}

/// Tells webhooks, while the state is held: it keeps what was said. Without memory nothing is said, else it would be said
/// again by each run.
#[cfg(feature = "cluster")]
async fn tell(context: &Context, known: &Known, done: &mut Done) {
    let said = &known.state.notified;
    let told = {
        let facts = Facts {
            now: context.now,
            cluster: &context.config.cluster,
            proposal: &done.proposal,
            analysis: &done.analysis,
            applied: &done.applied,
            moved: done.moved.as_ref(),
            history: &known.history,
        };
        let told = async { Ok(notify::tell(&context.config.notify, &facts, said).await) };
        match known.damage {
            // A run that has to end gives the state back at once.
            None => context.interrupt.or(told).await.ok(),
            Some(_) => None,
        }
    };
    let (said, warnings) = told.unwrap_or_else(|| (said.clone(), Vec::new()));
    done.proposal.state.notified = said;
    done.warnings.extend(warnings);
}

#[cfg(not(feature = "cluster"))]
#[allow(clippy::unused_async, reason = "as where there is a cluster")]
async fn tell(_: &Context, known: &Known, done: &mut Done) {
    done.proposal.state.notified = known.state.notified.clone();
}

async fn work(
    context: &Context,
    cluster: &Cluster,
    known: &Known,
    how: How,
    held: Option<&Held>,
) -> Result<Done> {
    let interrupt = &context.interrupt;
    let proposed = propose(context, cluster, known, how);
    let (mut run, proposal, warnings) = interrupt.or(proposed).await?;
    let sender = Sender {
        cluster,
        held,
        interrupt,
        dry_run: how == How::Validate,
    };
    let carrying_out = carry_out(&sender, &mut run, proposal, context.now, how);
    let (carried, proposal) = carrying_out
        .instrument(info_span!(target: PHASE, "patch NodePools"))
        .await;
    let on_demand = an_on_demand_claim(&run.view);
    let mut done = carried.conclude(run, proposal, warnings);
    moves::carry_out(&sender, &mut done, on_demand.as_deref(), context.now, how)
        .instrument(info_span!(target: PHASE, "give up Spot nodes"))
        .await;
    Ok(done)
}

/// A claim whose Node is on demand.
fn an_on_demand_claim(view: &ClusterView) -> Option<String> {
    let nodes = view.nodes.as_deref().unwrap_or_default();
    let is_on_demand = |claim: &&NodeClaim| {
        let mut own = nodes
            .iter()
            .filter(|node| claim.node_name.as_deref() == Some(&node.name));
        own.any(|node| node.capacity == NodeCapacity::OnDemand)
    };
    let claims = view.node_claims.as_deref().unwrap_or_default();
    claims.iter().find(is_on_demand).map(|claim| claim.name.clone())
}

/// Reads report and cluster, and plans; nothing is changed but what the other clusters are shown.
async fn propose<'a>(
    context: &'a Context,
    cluster: &Cluster,
    known: &'a Known,
    how: How,
) -> Result<(Run<'a>, Proposal, Vec<Warning>)> {
    let reading = context.history(Detail::Usage, &context.config, None);
    let analysis = reading
        .instrument(info_span!(target: PHASE, "read report"))
        .await?;
    context.interrupt.enter(Stage::Cluster);
    let looking = look(cluster, &context.config);
    let (view, warnings) = looking
        .instrument(info_span!(target: PHASE, "read cluster"))
        .await?;
    context.interrupt.enter(Stage::Report);
    let gathering = Run::gather(context.setup(known), analysis, view);
    let mut run = gathering
        .instrument(info_span!(target: PHASE, "ask for rates and other clusters"))
        .await;
    let mut proposal = info_span!(target: PHASE, "plan").in_scope(|| run.propose());
    if how != How::Validate {
        let publishing = run.publish(proposal);
        proposal = publishing
            .instrument(info_span!(target: PHASE, "publish demand"))
            .await;
    }
    context.interrupt.enter(Stage::Cluster);
    Ok((run, proposal, warnings))
}
