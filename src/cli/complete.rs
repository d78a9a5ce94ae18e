//! Shell completion that knows the NodePools and contexts at hand. It never says what went wrong: there is nobody to
//! read it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory};
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};

use super::args::Cli;
use crate::cluster::Cluster;
use brimful_karpenter::manifest;
use brimful_types::{Error, Result};

/// By this variable a shell asks for completions.
const VARIABLE: &str = "BRIMFUL_COMPLETE";
/// Nobody waits longer for a Tab.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers a shell that asks, and ends the process then.
pub(super) fn answer() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// What a shell has to source. It asks the program itself from then on.
pub(super) fn script(shell: clap_complete::Shell) -> Result<String> {
    let failed = || Error::unexpected(format!("there is no completion for {shell}"));
    let shells = Shells::builtins();
    let adapter = shells.completer(&shell.to_string()).ok_or_else(failed)?;
    let mut script = Vec::new();
    adapter
        .write_registration(VARIABLE, "brimful", "brimful", "brimful", &mut script)
        .map_err(|error| failed().source(error))?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// What has been typed of the command, with the environment's values.
fn typed() -> Option<ArgMatches> {
    let words: Vec<OsString> = std::env::args_os()
        .skip_while(|word| word != "--")
        .skip(1)
        .collect();
    let matches = Cli::command()
        .ignore_errors(true)
        .try_get_matches_from(words)
        .ok()?;
    matches.subcommand().map(|(_, matches)| matches.clone())
}

fn path(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    matches.try_get_one::<PathBuf>(name).ok().flatten().cloned()
}

/// The contexts of the kubeconfig that the command would read.
pub(super) fn contexts() -> Vec<CompletionCandidate> {
    let kubeconfig = typed().and_then(|matches| path(&matches, "kubeconfig"));
    let names = Cluster::contexts(kubeconfig.as_deref());
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The NodePools that the command would see.
pub(super) fn node_pools() -> Vec<CompletionCandidate> {
    let names = typed().and_then(|matches| names(&matches)).unwrap_or_default();
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn names(matches: &ArgMatches) -> Option<Vec<String>> {
    let pools = if let Some(file) = path(matches, "nodepools") {
        // A pipe would be read before the command is.
        let is_file = file.is_file() || file.is_dir();
        is_file.then(|| manifest::node_pools(&file))?.ok()?
    } else {
        let context = matches.try_get_one::<String>("context").ok().flatten();
        let kubeconfig = path(matches, "kubeconfig");
        let ask = async {
            let cluster = Cluster::connect(kubeconfig.as_deref(), context.map(String::as_str)).await?;
            cluster.node_pools().await
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        let pools = runtime.block_on(async { tokio::time::timeout(PATIENCE, ask).await });
        // An exec plugin that hangs is left alone.
        runtime.shutdown_background();
        pools.ok()?.ok()?
    };
    Some(pools.into_iter().map(|pool| pool.name).collect())
}
