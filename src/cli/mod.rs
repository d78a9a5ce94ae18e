//! The program: one file per command, and what they share.

mod apply;
pub mod args;
mod backtest;
mod context;
mod coordination;
mod doctor;
mod history;
mod output;
mod plan;
mod progress;
mod reset;
mod signals;
mod state_store;
mod utilization;

use std::process::ExitCode;

use clap::error::ErrorKind as ClapError;
use clap::{CommandFactory, Parser};

use self::args::{Cli, Command};
use self::signals::Interrupt;
use brimful_types::{Error, ErrorKind, Result};

/// Bad flags end with the contract's code for bad usage, which is not clap's.
const USAGE: u8 = 3;

/// Runs the program; everything that goes wrong is told on standard error.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ClapError::DisplayHelp | ClapError::DisplayVersion);
            // Nothing is left to tell when even this cannot be printed.
            let _ = error.print();
            return ExitCode::from(if asked { 0 } else { USAGE });
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Error::unexpected("cannot start").source(error)),
    };
    let outcome = runtime.block_on(run(cli.command));
    // A scan that was interrupted must not hold up the end of the process.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

async fn run(command: Command) -> Result<u8> {
    let interrupt = Interrupt::listen()?;
    match command {
        Command::Plan(args) => interrupt.or(plan::run(args, interrupt.clone())).await,
        Command::Apply(args) => apply::run(args, interrupt).await,
        Command::Utilization(args) => interrupt.or(utilization::run(args, interrupt.clone())).await,
        Command::Backtest(args) => interrupt.or(backtest::run(args, interrupt.clone())).await,
        Command::Doctor(args) => interrupt.or(doctor::run(args, interrupt.clone())).await,
        Command::History(args) => interrupt.or(history::run(args, interrupt.clone())).await,
        Command::Reset(args) => interrupt.or(reset::run(args)).await,
        Command::Schema => output::print(&schema()).map(|()| 0),
        Command::Completions { shell } => output::print(&completions(shell)).map(|()| 0),
        Command::Man => output::print(&man()?).map(|()| 0),
    }
}

fn schema() -> String {
    let schema = crate::config::Config::schema();
    format!("{:#}\n", schema.as_value())
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "brimful", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn man() -> Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|e| Error::unexpected("cannot write the manual page").source(e))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn fail(error: &Error) -> ExitCode {
    if error.kind() != ErrorKind::Interrupted || !error.to_string().is_empty() {
        output::tell_error(error);
    }
    ExitCode::from(error.kind().exit_code())
}
