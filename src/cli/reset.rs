//! `brimful reset`: gives everything back.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::apply::fate;
use super::args::{Output, ResetArgs};
use super::context::{start_logs, wall_clock};
use super::state_store::Next;
use super::{output, state_store};
use crate::config::LogFormat;
use crate::report::json::{Applied, ApplyResult};
use crate::report::plan_table::applied_line;
use brimful_karpenter::NodePool;
use brimful_kube::{Cluster, PatchError, PoolEvent};
use brimful_policy::history::{Entry, History};
use brimful_policy::patch::{Restored, reset, restore};
use brimful_policy::plan::show_limits;
use brimful_policy::records::is_marked;
use brimful_policy::weights::show;
use brimful_types::{Error, ErrorKind, Result};

/// Tries to patch a pool whose resourceVersion keeps moving.
const TRIES: usize = 4;

/// `brimful reset -o json`.
#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    applied: Vec<Applied>,
}

pub(crate) async fn run(args: ResetArgs) -> Result<u8> {
    let ResetArgs {
        cluster: target,
        nodepool: only,
        output: format,
        quiet,
    } = args;
    start_logs(LogFormat::Text, quiet, 0);
    let cluster = Cluster::connect(target.kubeconfig.as_deref(), target.context.as_deref()).await?;
    // Held, so that no run patches again what is being given back.
    let file = target.state.as_deref();
    let now = wall_clock();
    let (lease, known) = state_store::take(&cluster, &target.namespace, file, now).await?;
    let mut history = known.history.clone();
    let outcome = give_all_back(&cluster, &only, &mut history, now).await;
    // What is remembered of a pool goes with what was written on it.
    let mut state = known.state;
    state.node_pools.retain(|name, _| !only.contains(name));
    let next = Next {
        state: Some(&state).filter(|_| known.damage.is_none()),
        history: &history,
    };
    let next = (history != known.history || !only.is_empty()).then_some(next);
    state_store::release(&cluster, lease, next).await?;
    let applied = outcome?;
    let complete = applied.iter().all(|one| one.result == ApplyResult::Patched);
    if only.is_empty() && complete {
        state_store::delete(&cluster, &target.namespace, file).await?;
    }
    print(format, applied)?;
    Ok(if complete {
        0
    } else {
        ErrorKind::Kubernetes.exit_code()
    })
}

async fn give_all_back(
    cluster: &Cluster,
    only: &[String],
    history: &mut History,
    now: DateTime<Utc>,
) -> Result<Vec<Applied>> {
    let pools = cluster.node_pools().await?;
    if let Some(unknown) = only
        .iter()
        .find(|name| !pools.iter().any(|pool| pool.name == **name))
    {
        return Err(Error::usage(format!("there is no NodePool {unknown}"))
            .hint("`kubectl get nodepools` lists them"));
    }
    let mut applied = Vec::new();
    for pool in pools
        .iter()
        .filter(|pool| is_marked(pool) && (only.is_empty() || only.contains(&pool.name)))
    {
        applied.push(give_back(cluster, pool, history, now).await?);
    }
    Ok(applied)
}

async fn give_back(
    cluster: &Cluster,
    pool: &NodePool,
    history: &mut History,
    now: DateTime<Utc>,
) -> Result<Applied> {
    let mut pool = pool.clone();
    let mut outcome = (ApplyResult::Conflict, "it kept changing".to_owned());
    for _ in 0..TRIES {
        let back = reset(&pool);
        match cluster
            .patch_node_pool(&pool.name, &restore(&pool, back.weight, &back.limits), false)
            .await
        {
            Ok(_) => {
                let message = restored(&pool, &back);
                let event = PoolEvent {
                    warning: false,
                    reason: "Reset".to_owned(),
                    action: "Reset".to_owned(),
                    note: message.clone(),
                };
                cluster.publish(&pool, event).await;
                outcome = (ApplyResult::Patched, message);
                break;
            }
            Err(PatchError::Conflict(_)) => pool = cluster.node_pool(&pool.name).await?,
            Err(PatchError::Refused { code, message }) => {
                outcome = (
                    ApplyResult::Refused,
                    format!("the API server refused ({code}): {message}"),
                );
                break;
            }
            Err(PatchError::Other(error)) => return Err(error),
        }
    }
    let (result, message) = outcome;
    if let Some(fate) = fate(result) {
        let back = reset(&pool);
        history.note(Entry::of_reset(
            &pool,
            back.weight,
            &back.limits,
            now,
            fate,
            &message,
        ));
    }
    Ok(Applied {
        node_pool: pool.name,
        result,
        message,
    })
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
