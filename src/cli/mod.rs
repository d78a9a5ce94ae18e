//! The program: one file per command, and what they share.

mod apply;
pub mod args;
mod backtest;
mod complete;
mod context;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod history;
#[cfg(feature = "cluster")]
mod operator;
mod output;
mod plan;
mod progress;
mod report;
mod reset;
mod send;
mod signals;
mod state_store;
mod utilization;

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::error::ErrorKind as ClapError;
use clap::{CommandFactory, FromArgMatches};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use self::args::{Cli, Command};
#[cfg(feature = "otlp")]
pub(crate) use self::context::PHASE;
#[cfg(feature = "otlp")]
pub(crate) use self::output::print_stderr as print_note;
use self::signals::Interrupt;
use brimful_types::{Error, ErrorKind, Result};

/// Bad flags end with the contract's code for bad usage, which is not clap's.
const USAGE: u8 = 3;
/// The stack of a command: what a main thread usually has.
const STACK: usize = 8 << 20;

/// Runs the program; everything that goes wrong is said on standard error.
#[must_use]
pub fn main() -> ExitCode {
    #[cfg(feature = "fips")]
    if rustls::crypto::default_fips_provider().install_default().is_err() {
        return fail(&Error::unexpected(
            "the FIPS cryptography cannot be used: another was chosen before",
        ));
    }
    complete::answer();
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ClapError::DisplayHelp | ClapError::DisplayVersion);
            // Nothing is left to say when even this cannot be printed.
            let _ = error.print();
            return ExitCode::from(if asked { 0 } else { USAGE });
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Error::unexpected("cannot start").source(error)),
    };
    let outcome = runtime.block_on(supervised(cli));
    // A scan that was interrupted must not hold up the end of the process.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

/// As the plugin `kubectl-brimful` it is called `kubectl brimful`, also in its own messages.
fn parse() -> Result<Cli, clap::Error> {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = Path::new(&called).file_stem().unwrap_or_default();
    let mut command = Cli::command();
    if called == "kubectl-brimful" {
        command = command.bin_name("kubectl brimful");
    }
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Runs the command on a thread of its own: one that is stuck (in a system call, in a pipe that nobody reads) is left
/// there when the run has to end.
async fn supervised(cli: Cli) -> Result<u8> {
    let timeout = cli.timeout.to_std().unwrap_or_default();
    let interrupt = Interrupt::listen(cli.command.deadline(timeout), cli.command.changes())?;
    let (ended, end) = oneshot::channel();
    let (runtime, listening) = (Handle::current(), interrupt.clone());
    let work = move || {
        // Nobody waits for the end of a command that was left alone.
        let _ = ended.send(runtime.block_on(run(cli.command, timeout, listening)));
    };
    thread::Builder::new()
        .stack_size(STACK)
        .spawn(work)
        .map_err(|error| Error::unexpected("cannot start").source(error))?;
    let lost = |error| Err(Error::unexpected("the command ended without a result").source(error));
    interrupt.outlive(async { end.await.unwrap_or_else(lost) }).await
}

#[cfg_attr(not(feature = "cluster"), allow(unused_variables))]
async fn run(command: Command, timeout: Duration, interrupt: Interrupt) -> Result<u8> {
    match command {
        Command::Plan(args) => interrupt.or(plan::run(args, interrupt.clone())).await,
        Command::Apply(args) => apply::run(args, interrupt).await,
        #[cfg(feature = "cluster")]
        Command::Run(args) => operator::run(args, timeout, interrupt).await,
        Command::Utilization(args) => interrupt.or(utilization::run(args, interrupt.clone())).await,
        Command::Report(args) => interrupt.or(report::run(args, interrupt.clone())).await,
        Command::Backtest(args) => interrupt.or(backtest::run(args, interrupt.clone())).await,
        Command::Doctor(args) => interrupt.or(doctor::run(args, interrupt.clone())).await,
        Command::History(args) => interrupt.or(history::run(args, interrupt.clone())).await,
        Command::Reset(args) => reset::run(args, interrupt).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => interrupt.or(demo::run(args)).await,
        Command::Schema => output::print(&schema()).map(|()| 0),
        Command::Completions { shell } => output::print(&complete::script(shell)?).map(|()| 0),
        Command::Man { dir: None } => output::print(&man()?).map(|()| 0),
        Command::Man { dir: Some(dir) } => manual(&dir).map(|()| 0),
    }
}

fn schema() -> String {
    let schema = crate::config::Config::schema();
    format!("{:#}\n", schema.as_value())
}

fn man() -> Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|e| Error::unexpected("cannot write the manual page").source(e))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// A page of each command.
fn manual(dir: &Path) -> Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(program, dir))
        .map_err(|error| {
            Error::usage(format!("cannot write the manual pages to {}", dir.display()))
                .source(error)
                .hint("set --dir to a folder that may be written")
        })
}

fn fail(error: &Error) -> ExitCode {
    if error.kind() != ErrorKind::Interrupted || !error.to_string().is_empty() {
        output::print_error(error);
    }
    ExitCode::from(error.kind().exit_code())
}
