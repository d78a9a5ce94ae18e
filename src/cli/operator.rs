//! `brimful run`: the runs of `apply`, one after the other, from a process that stays.
//!
//! A run is due at every interval, and soon after something has changed in the cluster that a plan rests on. Of several
//! replicas one acts. Each run reads the configuration anew and holds the control state like any `apply`, so an operator
//! and a CronJob never patch at the same time, and one can follow the other without losing anything.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::apply::{How, Shown, once};
use super::args::{Common, OperatorArgs};
use super::context::{Context, configuration, connect_to, own_clock, wall_clock};
use super::history::lately;
use super::output;
use super::signals::Interrupt;
use super::state_store::holder;
use crate::cluster::{Cluster, Leadership};
use crate::config::Config;
use crate::render::consents::ConsentsRow;
use crate::render::html;
use crate::render::json::{ApplyResult, PlanDocument};
use crate::run::{consents, steerable};
use crate::telemetry::{self, Health, serve};
use brimful_cur::location::Place;
use brimful_karpenter::cluster::LEADER_LEASE;
use brimful_simulation::policies::Consents;
use brimful_types::warning::Warning;
use brimful_types::{Error, ErrorKind, Result};

/// Changes come in swarms: a run waits until the first of them is so old.
const DEBOUNCE: Duration = Duration::from_secs(5);
/// The least time between the end of a run and the next.
const PAUSE: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: OperatorArgs, timeout: Duration, interrupt: Interrupt) -> Result<u8> {
    own_clock(&args.common, args.allow_now, "leave it out")?;
    let interval = args.interval.to_std().unwrap_or_default();
    let health = Health::new(timeout + interval.max(PAUSE) + Duration::from_mins(1));
    // A mistake in flags or configuration ends the process; later ones, such as a report that is late, end a run.
    let config = configuration(&args.common)?;
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Error::usage(format!("cannot listen on {}", args.listen))
            .source(error)
            .hint("set --listen (BRIMFUL_LISTEN) to an address and port of this machine that are free")
    })?;
    tokio::spawn(serve(listener, health.clone()));
    let cluster = interrupt.or(connect_to(&args.cluster, &interrupt)).await?;
    let namespace = &args.cluster.namespace;
    let identity = holder();
    let stand = cluster.stand_for_election(namespace, LEADER_LEASE, &identity);
    let election = interrupt.or(stand).await?;
    let kept = Kept::new(&args.common)?;
    let mut operator = Operator {
        args,
        timeout,
        interval,
        cluster,
        health,
        warned: BTreeSet::new(),
        kept,
        further: Further::default(),
        config,
    };
    operator.work(election, &interrupt).await;
    Ok(0)
}

/// What was counted of the report, kept for the next run where the user keeps it nowhere.
struct Kept {
    _folder: Option<tempfile::TempDir>,
    place: Option<Place>,
}

impl Kept {
    fn new(common: &Common) -> Result<Self> {
        if common.cache.is_some() {
            return Ok(Self {
                _folder: None,
                place: None,
            });
        }
        let failed = |error| {
            let folder = std::env::temp_dir();
            Error::usage(format!("cannot make a folder in {}", folder.display()))
                .source(error)
                .hint("let the temporary folder be written (an emptyDir), or set --cache (BRIMFUL_CACHE)")
        };
        let folder = tempfile::tempdir().map_err(failed)?;
        let place = Place::Directory(folder.path().to_owned());
        Ok(Self {
            _folder: Some(folder),
            place: Some(place),
        })
    }
}

/// What further consents would save by each report's past: replayed once, beside the runs, which wait for nothing.
#[derive(Default)]
struct Further {
    /// Up to which hour's report, and beside which consents, the newest replay is.
    of: Option<(DateTime<Utc>, Consents)>,
    replay: Option<JoinHandle<Result<Vec<ConsentsRow>>>>,
    /// By the newest replay that is over; none where the report is too short.
    rows: Vec<ConsentsRow>,
}

impl Further {
    /// What is known by now. What a new report tells is known to a later run.
    async fn known(&mut self, context: &Context, shown: &Shown) -> &[ConsentsRow] {
        if let Some(over) = self.replay.take_if(|replay| replay.is_finished()) {
            self.rows = over.await.ok().and_then(Result::ok).unwrap_or_default();
        }
        let given = Consents::of(&context.config.settings());
        let horizon = shown.analysis.utilization.horizon;
        let of = horizon.map(|horizon| (horizon, given));
        if self.of != of && self.replay.is_none() {
            self.of = of;
            let (config, threads) = (&context.config, context.threads);
            let pools = shown.proposal.pools.iter().map(|plan| &plan.pool);
            let pools = steerable(pools, config);
            let replay = consents(config, &shown.analysis, &pools, &shown.identity, threads);
            self.replay = Some(tokio::spawn(replay));
        }
        &self.rows
    }
}

struct Operator {
    args: OperatorArgs,
    /// For one run.
    timeout: Duration,
    interval: Duration,
    cluster: Cluster,
    health: Health,
    /// The warnings of the newest run: only new ones are logged.
    warned: BTreeSet<Warning>,
    kept: Kept,
    further: Further,
    /// As it was at the start: where metrics and traces are sent.
    config: Config,
}

impl Operator {
    /// Runs again and again until the process is asked to end; then gives the Lease back.
    async fn work(&mut self, mut election: Leadership, interrupt: &Interrupt) {
        let mut changes = self.cluster.changes();
        let mut due = Instant::now();
        let mut earliest = due;
        let mut led = false;
        loop {
            let leads = election.leads();
            if leads != led {
                tracing::info!(
                    "{}",
                    if leads {
                        "this replica acts"
                    } else {
                        "another replica acts"
                    }
                );
                due = Instant::now();
                led = leads;
            }
            self.health.leads(leads);
            self.health.beat();
            let idle = Instant::now() + self.interval;
            tokio::select! {
                () = interrupt.stopped() => break,
                () = election.changed() => {}
                () = changes.next(), if leads => due = due.min(earliest.max(Instant::now() + DEBOUNCE)),
                () = sleep_until(if leads { due } else { idle }) => if leads {
                    self.run_once(interrupt).await;
                    earliest = Instant::now() + PAUSE;
                    due = Instant::now() + self.interval.max(PAUSE);
                }
            }
        }
        election.give_up().await;
    }

    async fn run_once(&mut self, interrupt: &Interrupt) {
        let began = Instant::now();
        let outcome = self.apply(interrupt.within(self.timeout)).await;
        let (code, document, page) = match outcome {
            Ok((code, document, page)) => {
                self.log(&document);
                (code, Some(document), page)
            }
            // The process is asked to end: nothing to report.
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Err(error) => {
                output::print_error(&error);
                (error.kind().exit_code(), None, None)
            }
        };
        let took = chrono::Duration::from_std(began.elapsed()).unwrap_or_default();
        self.health.ran(document, page, |runs, document| {
            runs.note(code, document, wall_clock(), took);
        });
        let page = self.health.metrics();
        let pushed = async {
            telemetry::push(&self.config, &page, code == 0).await;
            Ok(())
        };
        // Nothing is lost but metrics if the process has to end.
        let _ = interrupt.or(pushed).await;
    }

    async fn apply(&mut self, interrupt: Interrupt) -> Result<(u8, PlanDocument, Option<String>)> {
        let mut context = interrupt
            .or(Context::new(&self.args.common, interrupt.clone()))
            .await?
            .about(&self.args.cluster);
        if context.cache.is_none()
            && let Some(place) = &self.kept.place
        {
            context.keep(place.clone()).await?;
        }
        let how = How::of(false, context.config.mode);
        let done = once(&context, &self.cluster, &self.args.cluster, how).await?;
        let code = done.exit_code();
        let shown = done.into_shown()?;
        // Weights are set without a page, too.
        let past = lately(&shown.history, &shown.analysis, &context.config);
        let consents = self.further.known(&context, &shown).await;
        let page = html::render(&shown.document, &shown.analysis, &shown.proposal, &past, consents);
        let page = page.inspect_err(|error| tracing::warn!("{error:#}")).ok();
        Ok((code, shown.document, page))
    }

    /// One line for each change, and for each warning that the run before did not have.
    fn log(&mut self, document: &PlanDocument) {
        for one in document.applied.iter().flatten() {
            match one.result {
                ApplyResult::Patched => tracing::info!(nodePool = one.node_pool, "{}", one.message),
                ApplyResult::Unchanged => tracing::debug!(nodePool = one.node_pool, "{}", one.message),
                _ => tracing::warn!(nodePool = one.node_pool, "{}", one.message),
            }
        }
        let now: BTreeSet<Warning> = document.warnings.iter().cloned().collect();
        let new: Vec<Warning> = now.difference(&self.warned).cloned().collect();
        output::print_warnings(&new);
        self.warned = now;
    }
}
