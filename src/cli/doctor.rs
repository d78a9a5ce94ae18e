//! `brimful doctor`: looks at everything that a run needs, and changes nothing.

use std::path::Path;

use super::args::{ClusterArgs, Common, DoctorArgs, ManifestArgs, Output};
use super::context::{
    Context, MANIFESTS, access_by, configured, name_in_kubeconfig, or_else, processors, start_logs,
    wall_clock,
};
use super::output;
use super::progress::waiting;
use super::signals::{Interrupt, Stage};
use super::state_store::{self, Known};
use crate::analysis::{Analysis, unread};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::doctor::{Check, Diagnosis, Group, access, coordination, pools, report};
use crate::render::doctor_table;
use crate::run::{ClusterView, Run, Setup, consents, steerable};
use brimful_cur::location::Location;
use brimful_karpenter::NodePool;
use brimful_karpenter::cluster::Overlays;
use brimful_karpenter::rights::{RIGHTS, TOP_UP_RIGHTS};
use brimful_policy::guards::is_managed;
use brimful_policy::identity::Identity;
use brimful_policy::settings::Mode;
use brimful_savings_plans::ledger::Granularity;
use brimful_simulation::policies::Consents;
use brimful_types::{Error, Result};

mod read;

use self::read::examine_report;

/// Why nothing is asked of a cluster.
const FROM_FILE: &str = "no cluster: NodePools come from a file";
/// Pools asked for one by one where a right is not granted on all: roles may name their pools.
const NAMED: usize = 20;

pub(crate) async fn run(args: DoctorArgs, interrupt: Interrupt) -> Result<u8> {
    let quiet = args.common.quiet;
    let mut checks = Vec::new();
    interrupt.enter(Stage::Report);
    let mut found = settings(&args.common, interrupt.clone(), &mut checks).await;
    #[cfg(feature = "cluster")]
    checks.extend(webhooks(&found.config).await);
    let read = examine_report(&found, &mut checks).await;
    let cluster = if args.manifests.nodepools.is_some() {
        checks.push(Check::skipped(Group::Kubernetes, "cluster", FROM_FILE));
        skip_cluster(FROM_FILE, &mut checks);
        from_files(&args.manifests, args.cluster.state.as_deref(), &mut checks)
    } else {
        let _spinner = waiting(quiet, "looking at the cluster");
        interrupt.enter(Stage::Cluster);
        found.config.cluster.in_kubeconfig = name_in_kubeconfig(&args.cluster);
        live(&found.config, &args.cluster, args.r#as.as_deref(), &mut checks).await
    };
    conclude(&found, read, cluster, &mut checks).await;
    let diagnosis = Diagnosis::new(checks);
    match args.format.output {
        Output::Json => output::print_json(&diagnosis)?,
        Output::Yaml => output::print_yaml(&diagnosis)?,
        Output::Table => output::print(&doctor_table::render(&diagnosis, output::width()))?,
    }
    Ok(diagnosis.exit_code())
}

/// What a run would be made with, as far as it is known.
struct Found {
    config: Config,
    context: Result<Context, Option<Error>>,
    now: chrono::DateTime<chrono::Utc>,
}

/// A cluster as a plan needs it.
struct Pools {
    view: ClusterView,
    known: Known,
}

async fn settings(common: &Common, interrupt: Interrupt, checks: &mut Vec<Check>) -> Found {
    const ID: &str = "config";
    let loaded = common.config.as_deref().map(Config::load).transpose();
    let (config, broken) = match loaded {
        Ok(config) => (config.unwrap_or_default(), false),
        Err(error) => {
            checks.push(Check::error(Group::Configuration, ID, &error));
            (Config::default(), true)
        }
    };
    start_logs(&config, common.quiet, common.verbose);
    if !broken {
        checks.push(configuration(&config, common.config.as_deref()));
    }
    let now = common.now.unwrap_or_else(wall_clock);
    let access = access_by(&config);
    let location = match &common.cur {
        Some(location) => Ok(location.clone()),
        None if broken => Err(None),
        None => match configured(&config, &access).await {
            Ok((location, choice)) => {
                checks.extend(choice.iter().flat_map(report::choice));
                Ok(location)
            }
            Err(error) => Err(Some(error)),
        },
    };
    let context = location.map(|location| Context {
        config: config.clone(),
        now,
        location,
        access,
        // It looks at the report itself.
        cache: None,
        threads: common.threads.map_or_else(processors, usize::from),
        quiet: common.quiet,
        interrupt,
    });
    Found { config, context, now }
}

fn configuration(config: &Config, path: Option<&Path>) -> Check {
    const ID: &str = "config";
    let place = path.map_or_else(
        || "defaults, no file".to_owned(),
        |path| path.display().to_string(),
    );
    if config.paused {
        return Check::warn(
            Group::Configuration,
            ID,
            format!("{place}: paused: `apply` changes nothing"),
        )
        .cure("remove `paused: true` when you want it to go on");
    }
    let mode = match config.mode {
        Mode::Apply => "mode apply",
        Mode::Observe => "mode observe: nothing is patched",
    };
    Check::ok(Group::Configuration, ID, format!("{place}; {mode}"))
}

/// What further consents would save, as far as the report's past tells it.
async fn further_consents(run: &Run<'_>, config: &Config, threads: usize) -> Check {
    const ID: &str = "consents";
    let pools = steerable(&run.view.node_pools, config);
    match consents(config, &run.analysis, &pools, &run.identity, threads).await {
        Ok(rows) if rows.is_empty() => Check::ok(Group::NodePools, ID, "all are given"),
        Ok(rows) => {
            let given = Consents::of(&config.settings()).names().join(", ");
            let further: Vec<String> = rows
                .iter()
                .map(|row| format!("with {} {}", row.further(), row.worth()))
                .collect();
            let message = format!(
                "{given} may be changed; replayed on the report's past, Brimful {}",
                further.join("; ")
            );
            Check::ok(Group::NodePools, ID, message)
                .cure("grips and topUp in the configuration; `brimful backtest` tells more")
        }
        Err(why) => Check::skipped(Group::NodePools, ID, why.to_string()),
    }
}

/// Whether the webhooks' addresses are there; they are told nothing.
#[cfg(feature = "cluster")]
async fn webhooks(config: &Config) -> Vec<Check> {
    const ID: &str = "webhook";
    let check = |(index, host): (usize, std::result::Result<String, String>)| match host {
        Ok(host) => {
            let message = format!("notify.webhooks[{index}] goes to {host}; nothing was sent");
            Check::ok(Group::Configuration, ID, message)
        }
        Err(why) => Check::warn(
            Group::Configuration,
            ID,
            format!("notify.webhooks[{index}]: {why}"),
        )
        .cure("a run reads the file where it runs: in a pod, mount the Secret there (the chart's `secrets`)"),
    };
    let hosts = crate::notify::hosts(&config.notify).await;
    hosts.into_iter().enumerate().map(check).collect()
}

/// Checks of a cluster that cannot be made.
fn skip_cluster(why: &str, checks: &mut Vec<Check>) {
    let ids = ["karpenter-api", "karpenter-version", "right", "node-overlays"];
    checks.extend(ids.map(|id| Check::skipped(Group::Kubernetes, id, why)));
}

fn from_files(manifests: &ManifestArgs, state: Option<&Path>, checks: &mut Vec<Check>) -> Result<Pools> {
    let known = match state {
        Some(path) => state_of_file(path, checks),
        None => {
            checks.push(Check::skipped(Group::Kubernetes, "state", FROM_FILE));
            Known::default()
        }
    };
    Ok(Pools {
        view: manifests.view()?,
        known,
    })
}

fn state_of_file(path: &Path, checks: &mut Vec<Check>) -> Known {
    let read = state_store::peek_file(Some(path));
    checks.push(access::state(
        read.as_ref().map(|known| known.damage.as_deref()),
        None,
    ));
    // Without it `apply` ends at once.
    read.unwrap_or_else(|error| Known {
        damage: Some(error.to_string()),
        ..Known::default()
    })
}

async fn live(
    config: &Config,
    target: &ClusterArgs,
    user: Option<&str>,
    checks: &mut Vec<Check>,
) -> Result<Pools> {
    let (cluster, name) = match connect(target, user).await {
        Ok(connected) => connected,
        Err(error) => {
            let error = or_else(error, MANIFESTS);
            checks.push(Check::error(Group::Kubernetes, "cluster", &error));
            skip_cluster("no cluster", checks);
            checks.push(Check::skipped(Group::Kubernetes, "state", "no cluster"));
            return Err(silent(&error));
        }
    };
    checks.push(who(&cluster, &name, &target.namespace));
    let has_overlays = examine_karpenter(&cluster, checks).await;
    let node_pools = cluster.node_pools().await;
    let named = node_pools
        .as_deref()
        .map(|pools| managed(pools, config))
        .unwrap_or_default();
    examine_rights(&cluster, config, target, &named, &name, checks).await;
    // Asked for what is not served, the API server says that it is not granted.
    let overlays = if has_overlays {
        cluster.price_overlays().await
    } else {
        Ok(Overlays::NotServed)
    };
    checks.push(access::overlays(&overlays));
    let known = match &target.state {
        Some(path) => state_of_file(path, checks),
        None => state_of_cluster(&cluster, &target.namespace, checks).await,
    };
    // A plan does without Nodes and NodeClaims; whether the caller may list them is shown above.
    let nodes = cluster.nodes().await.ok();
    if let Some(name) = Identity::name_in_kubeconfig(&config.cluster, nodes.as_deref()) {
        let message =
            format!("{name}, by the ARN in the kubeconfig: neither cluster.name nor a Node says it");
        checks.push(Check::ok(Group::Kubernetes, "cluster-name", message));
    }
    let view = ClusterView {
        node_pools: node_pools?,
        nodes,
        node_claims: cluster.node_claims().await.ok(),
        pods: None,
    };
    Ok(Pools { view, known })
}

/// The cluster, and as whom it is asked.
async fn connect(target: &ClusterArgs, user: Option<&str>) -> Result<(Cluster, String)> {
    let (kubeconfig, context) = (target.kubeconfig.as_deref(), target.context.as_deref());
    let cluster = Cluster::connect_as(kubeconfig, context, user).await?;
    let name = cluster.user().await?;
    Ok((cluster, name))
}

async fn state_of_cluster(cluster: &Cluster, namespace: &str, checks: &mut Vec<Check>) -> Known {
    let mut warnings = Vec::new();
    let read = state_store::peek_cluster(cluster, namespace, &mut warnings).await;
    let unread = warnings.first().map(|warning| warning.message.as_str());
    let damage = read.as_ref().map(|known| known.damage.as_deref());
    checks.push(access::state(damage, unread));
    read.unwrap_or_default()
}

/// An error that a check has reported already.
fn silent(error: &Error) -> Error {
    Error::new(error.kind(), "")
}

/// The caller is not always who the CronJob runs as.
#[cfg_attr(not(feature = "cluster"), allow(clippy::trivially_copy_pass_by_ref))]
fn who(cluster: &Cluster, name: &str, namespace: &str) -> Check {
    let check = Check::ok(
        Group::Kubernetes,
        "cluster",
        format!("{} as {name}", cluster.url().trim_end_matches('/')),
    );
    if name == format!("system:serviceaccount:{namespace}:brimful") {
        return check;
    }
    check.cure(format!(
        "the rights below are yours; for those of the CronJob add --as system:serviceaccount:{namespace}:brimful, or run it there\n\
         kubectl -n {namespace} create job doctor --from=cronjob/brimful --dry-run=client -o yaml |\n  \
         sed 's/- apply$/- doctor/' | kubectl create -f - && kubectl -n {namespace} logs -f job/doctor"
    ))
}

/// API and version; true where `NodeOverlay`s are served.
async fn examine_karpenter(cluster: &Cluster, checks: &mut Vec<Check>) -> bool {
    let served = match cluster.served().await {
        Ok(served) => served,
        Err(error) => {
            checks.push(Check::error(Group::Kubernetes, "karpenter-api", &error));
            checks.push(Check::skipped(
                Group::Kubernetes,
                "karpenter-version",
                "the API server does not tell what it serves",
            ));
            return false;
        }
    };
    let schema = cluster.schema().await;
    let deployed = cluster.karpenter_version().await;
    checks.push(access::api(&served, schema.as_ref()));
    checks.push(access::version(&served, schema.as_ref(), deployed.as_deref()));
    served.karpenter.iter().any(|version| version == "v1alpha1")
}

fn managed<'a>(pools: &'a [NodePool], config: &Config) -> Vec<&'a str> {
    let managed = pools.iter().filter(|pool| is_managed(pool, &config.node_pools));
    managed.map(|pool| pool.name.as_str()).take(NAMED).collect()
}

async fn examine_rights(
    cluster: &Cluster,
    config: &Config,
    target: &ClusterArgs,
    pools: &[&str],
    user: &str,
    checks: &mut Vec<Check>,
) {
    let home = target.namespace.as_str();
    let needed = |right| access::needed(right, config.mode, target.state.is_some());
    let to_move = TOP_UP_RIGHTS
        .iter()
        .filter(|right| config.top_up.is_on() || config.lists_pods() && right.verb == "list");
    for right in &RIGHTS
        .iter()
        .chain(to_move)
        .filter_map(needed)
        .collect::<Vec<_>>()
    {
        let mut answer = cluster.may(right, home, None).await;
        let mut named: &[&str] = &[];
        let by_name = right.resource == "nodepools" && matches!(right.verb, "get" | "patch");
        if by_name && !pools.is_empty() && matches!(answer, Ok(false)) {
            let mut all = true;
            for pool in pools {
                all &= cluster.may(right, home, Some(pool)).await.unwrap_or(false);
            }
            if all {
                (answer, named) = (Ok(true), pools);
            }
        }
        checks.push(access::right(right, home, &answer, named, user));
    }
}

/// What report and pools say together: each as far as it is known.
async fn conclude(found: &Found, read: Option<Analysis>, cluster: Result<Pools>, checks: &mut Vec<Check>) {
    let (view, known) = match cluster {
        Ok(Pools { view, known }) => (Some(view), known),
        Err(error) => {
            checks.push(if error.to_string().is_empty() {
                Check::skipped(Group::NodePools, "nodepools", "no cluster")
            } else {
                Check::error(Group::NodePools, "nodepools", &error)
            });
            (None, Known::default())
        }
    };
    let (is_read, has_pools) = (read.is_some(), view.is_some());
    let mut analysis = read.unwrap_or_else(|| {
        let location = found
            .context
            .as_ref()
            .ok()
            .map(|context| context.location.clone());
        let location = location.unwrap_or_else(|| Location::Path("".into()));
        unread(&location, &Error::report("the report could not be read"))
    });
    let granularity = analysis.ledger.granularity;
    if granularity.is_some_and(|found| found != Granularity::Hourly) {
        analysis
            .doubt
            .get_or_insert_with(|| "the report is not HOURLY".to_owned());
    }
    let setup = Setup {
        config: &found.config,
        access: &access_by(&found.config),
        now: found.now,
        state: &known.state,
        damage: known.damage.as_deref(),
    };
    let run = Run::gather(setup, analysis, view.unwrap_or_default()).await;
    let proposal = run.propose();
    checks.extend(coordination::checks(
        &found.config,
        &run.peers,
        &proposal,
        found.now,
    ));
    if is_read {
        checks.extend(report::checks(
            &run.analysis,
            &proposal,
            &run.identity,
            &found.config,
            found.now,
        ));
    }
    if let (true, true, Ok(context)) = (is_read, has_pools, &found.context) {
        checks.push(further_consents(&run, &found.config, context.threads).await);
    }
    if has_pools {
        checks.extend(pools::checks(&found.config, found.now, |config| {
            run.propose_with(config)
        }));
    }
}
