//! `brimful reset`: gives everything back.

use std::cell::RefCell;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::apply::{fate, patched};
use super::args::{Output, ResetArgs};
use super::context::{connect_to, start_logs, wall_clock};
use super::send::{Sender, Sent, publish, stopped};
use super::signals::Interrupt;
use super::state_store::Next;
use super::{output, state_store};
use crate::config::Config;
use crate::render::json::{Applied, ApplyResult};
use crate::render::plan_table::applied_line;
use brimful_karpenter::NodePool;
use brimful_karpenter::cluster::PoolEvent;
use brimful_policy::annotations::is_marked;
use brimful_policy::history::{Entry, History};
use brimful_policy::patch::{Restored, reset, restore};
use brimful_policy::plan::show_limits;
use brimful_policy::weights::show;
use brimful_types::{Error, ErrorKind, Result};

/// `brimful reset -o json`.
#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    applied: Vec<Applied>,
}

pub(crate) async fn run(args: ResetArgs, interrupt: Interrupt) -> Result<u8> {
    let ResetArgs {
        cluster: target,
        nodepool: only,
        format,
        quiet,
    } = args;
    start_logs(&Config::default(), quiet, 0);
    let cluster = interrupt.or(connect_to(&target, &interrupt)).await?;
    // Held, so that no run patches again what is being given back.
    let file = target.state.as_deref();
    let (held, known) = state_store::take(&cluster, &target.namespace, file, &interrupt).await?;
    let sender = Sender {
        cluster: &cluster,
        held: Some(&held),
        interrupt: &interrupt,
        dry_run: false,
    };
    let outcome = give_all_back(&sender, &only, known.history.clone()).await;
    // What is remembered of a pool goes with what was written on it.
    let mut state = known.state;
    state.node_pools.retain(|name, _| !only.contains(name));
    let history = outcome.as_ref().map_or(&known.history, |back| &back.history);
    let next = Next {
        state: Some(&state).filter(|_| known.damage.is_none()),
        history,
    };
    let is_new = *history != known.history || !only.is_empty();
    let next = (outcome.is_ok() && is_new).then_some(next);
    let released = state_store::give_back(held, next, &interrupt).await;
    if let Err(unreleased) = &released {
        output::print_error(unreleased);
    }
    let mut back = outcome?;
    let events = back.events.iter().map(|(pool, event)| (pool, event.clone()));
    publish(&cluster, &interrupt, events.collect()).await;
    if back.stopped.is_none() {
        back.stopped = interrupt
            .asked()
            .map(|stop| stopped(&stop, &patched(&back.applied), None));
    }
    if let Some(stop) = back.stopped {
        return Err(stop);
    }
    let complete = back.applied.iter().all(|one| one.result == ApplyResult::Patched);
    let complete = complete && released.is_ok();
    if only.is_empty() && complete {
        interrupt
            .or(state_store::delete(&cluster, &target.namespace, file))
            .await?;
    }
    print(format.output, back.applied)?;
    Ok(if complete {
        0
    } else {
        ErrorKind::Kubernetes.exit_code()
    })
}

/// What was given back so far.
struct Back {
    applied: Vec<Applied>,
    history: History,
    events: Vec<(NodePool, PoolEvent)>,
    /// Why the run ended before all was done, if so.
    stopped: Option<Error>,
}

async fn give_all_back(sender: &Sender<'_>, only: &[String], history: History) -> Result<Back> {
    let pools = sender.interrupt.or(sender.cluster.node_pools()).await?;
    if let Some(unknown) = only
        .iter()
        .find(|name| !pools.iter().any(|pool| pool.name == **name))
    {
        return Err(Error::usage(format!("there is no NodePool {unknown}"))
            .hint("`kubectl get nodepools` lists them"));
    }
    let mut back = Back {
        applied: Vec::new(),
        history,
        events: Vec::new(),
        stopped: None,
    };
    let now = wall_clock();
    for pool in pools
        .iter()
        .filter(|pool| is_marked(pool) && (only.is_empty() || only.contains(&pool.name)))
    {
        if let Err((stop, unknown)) = back.give_back(sender, pool, now).await {
            let done = patched(&back.applied);
            back.stopped = Some(stopped(&stop, &done, unknown.then_some(&pool.name)));
            break;
        }
    }
    Ok(back)
}

impl Back {
    /// Gives one pool back. Fails only if the run has to end; then it says whether the pool's fate is unknown.
    async fn give_back(
        &mut self,
        sender: &Sender<'_>,
        pool: &NodePool,
        now: DateTime<Utc>,
    ) -> Result<(), (Error, bool)> {
        // A pool that moves meanwhile is given back as it then is.
        let last = RefCell::new(pool.clone());
        let patch = |fresh: &NodePool| {
            last.replace(fresh.clone());
            let back = reset(fresh);
            restore(fresh, back.weight, &back.limits, back.budgets.as_deref())
        };
        let sent = sender.send(pool, patch, |_| true).await;
        let pool = last.into_inner();
        let back = reset(&pool);
        let (result, message) = match sent {
            Sent::Stored(stored) if stored.as_sent => (ApplyResult::Patched, restored(&pool, &back)),
            Sent::Stored(_) => {
                let message = "the API server stored something else than was sent: something in the cluster (a mutating webhook) changes NodePools as they are written";
                (ApplyResult::Conflict, message.to_owned())
            }
            Sent::Edited(message) => (ApplyResult::Conflict, message),
            Sent::Failed(result, message) => (result, message),
            Sent::Stopped(stop) => return Err((stop, false)),
            Sent::CutOff(stop) => return Err((stop, true)),
        };
        if result == ApplyResult::Patched {
            let event = PoolEvent {
                warning: false,
                reason: "Reset".to_owned(),
                action: "Reset".to_owned(),
                note: message.clone(),
            };
            self.events.push((pool.clone(), event));
        }
        if let Some(fate) = fate(result) {
            let (weight, limits) = (back.weight, &back.limits);
            let entry = Entry::of_reset(&pool, weight, limits, now, fate, &message);
            self.history.note(entry);
        }
        self.applied.push(Applied {
            node_pool: pool.name,
            result,
            message,
        });
        Ok(())
    }
}

/// What came back, and what stays because somebody else has set it since.
fn restored(pool: &NodePool, back: &Restored) -> String {
    let mut said = Vec::new();
    if back.kept.contains(&"weight") {
        said.push(format!(
            "weight {} stays: somebody else has set it since",
            show(back.weight)
        ));
    } else {
        let (now, then) = (show(pool.weight), show(back.weight));
        said.push(format!("weight {now} → {then}, as before Brimful"));
    }
    if back.kept.contains(&"limits") {
        said.push("limits stay: somebody else has set them since".to_owned());
    } else if back.limits != pool.limits {
        said.push(format!(
            "{}, as before Brimful",
            show_limits(&pool.limits, &back.limits)
        ));
    }
    if back.kept.contains(&"budgets") {
        said.push(
            "somebody else has changed the disruption budgets since: only Brimful's entry goes".to_owned(),
        );
    } else if back.budgets != pool.budgets {
        said.push("disruption budgets as before Brimful".to_owned());
    }
    said.join("; ")
}

fn print(format: Output, applied: Vec<Applied>) -> Result<()> {
    match format {
        Output::Table if applied.is_empty() => {
            output::print("Nothing of Brimful's was left on any NodePool.\n")
        }
        Output::Table => output::print(&applied.iter().map(applied_line).collect::<String>()),
        Output::Json | Output::Yaml => {
            let document = Document {
                schema: "brimful/reset/v1",
                applied,
            };
            if format == Output::Json {
                output::print_json(&document)
            } else {
                output::print_yaml(&document)
            }
        }
    }
}
