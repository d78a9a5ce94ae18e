//! `brimful demo`: a simulated month inside the binary, and what `utilization` and `plan` say about it.
//!
//! It shows the commands that it runs, and runs this very program in a folder that holds the fixtures. So what is
//! printed is what anybody gets who types them there, and no setting of the caller's changes it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::args::DemoArgs;
use super::output;
use brimful_types::{Error, Result};

macro_rules! fixture {
    ($path:literal) => {
        (
            concat!("fixtures/", $path),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/", $path)).as_slice(),
        )
    };
}

/// One billing period of a legacy report, as AWS lays it out, and the cluster's objects. Parquet is compressed already.
const FILES: [(&str, &[u8]); 7] = [
    fixture!("cur/legacy/billing/acme-hourly/20261101-20261201/acme-hourly-Manifest.json"),
    fixture!(
        "cur/legacy/billing/acme-hourly/acme-hourly/cost_and_usage_data_status/cost_and_usage_data_status.parquet"
    ),
    fixture!(
        "cur/legacy/billing/acme-hourly/acme-hourly/year=2026/month=11/acme-hourly-00001.snappy.parquet"
    ),
    fixture!(
        "cur/legacy/billing/acme-hourly/acme-hourly/year=2026/month=11/acme-hourly-00002.snappy.parquet"
    ),
    fixture!(
        "cur/legacy/billing/acme-hourly/acme-hourly/year=2026/month=11/acme-hourly-00003.snappy.parquet"
    ),
    fixture!("nodepools.yaml"),
    fixture!("nodes.yaml"),
];

/// With today's clock the month would be too old to act on.
const COMMANDS: [(&str, &str); 2] = [
    (
        "utilization --cur fixtures/cur/legacy --now 2026-11-21T18:00:00Z",
        "brimful utilization: how the plans of a simulated month were used",
    ),
    (
        "plan --cur fixtures/cur/legacy --nodepools fixtures/nodepools.yaml --nodes fixtures/nodes.yaml --now 2026-11-21T18:00:00Z",
        "brimful plan: what would be done about it",
    ),
];
/// What takes longer than a demo should.
const NEXT: &str = "brimful backtest --cur fixtures/cur/legacy --nodepools fixtures/nodepools.yaml --nodes fixtures/nodes.yaml --now 2026-11-21T18:00:00Z";

pub(crate) async fn run(args: DemoArgs) -> Result<u8> {
    let shown = tokio::task::spawn_blocking(move || show(&args)).await;
    shown.map_err(|error| Error::unexpected("the demo ended without a result").source(error))?
}

fn show(args: &DemoArgs) -> Result<u8> {
    let kept = args.keep.as_deref();
    let temporary = match kept {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(|error| unwritten(&std::env::temp_dir(), error))?),
    };
    let folder = kept.or(temporary.as_ref().map(tempfile::TempDir::path));
    let folder = folder.map(Path::to_path_buf).unwrap_or_default();
    for (name, bytes) in FILES {
        write(&folder.join(name), bytes)?;
    }
    // Elsewhere the commands would find no files.
    let works_here = kept.is_some() || Path::new("fixtures/cur/legacy").is_dir();
    for (index, (line, title)) in COMMANDS.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        if works_here {
            output::print(&format!("{gap}$ brimful {line}\n"))?;
        } else {
            output::print(&format!("{gap}# {title}\n"))?;
        }
        let code = brimful(line, &folder)?;
        if code != 0 {
            return Ok(code);
        }
    }
    let next = match kept.map(Path::display) {
        Some(place) => format!(
            "The files lie in {place}/fixtures: run these commands in {place}, and for what each way of steering would have cost:\n$ {NEXT}"
        ),
        None if works_here => format!("What each way of steering would have cost:\n$ {NEXT}"),
        None => "brimful demo --keep DIR writes the month to a folder, for these commands and others: `brimful backtest` tells what each \
                 way of steering would have cost."
            .to_owned(),
    };
    output::print(&format!("\n{next}\n"))?;
    Ok(0)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| unwritten(folder, error))?;
    fs::write(path, bytes).map_err(|error| unwritten(path, error))
}

fn unwritten(path: &Path, error: std::io::Error) -> Error {
    Error::unexpected(format!(
        "cannot write the demo's files to {}; name another folder with --keep DIR",
        path.display()
    ))
    .source(error)
}

/// Runs this program in the folder, with none of the caller's `BRIMFUL_` variables; its exit code.
fn brimful(line: &str, folder: &Path) -> Result<u8> {
    let failed = |error| Error::unexpected("cannot run the demo's command").source(error);
    let program: PathBuf = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BRIMFUL_") {
            command.env_remove(name);
        }
    }
    // What was printed so far comes before what the command prints.
    std::io::stdout().flush().map_err(failed)?;
    let ended = command.args(line.split(' ')).current_dir(folder).status();
    let code = ended.map_err(failed)?.code();
    // Ended by a signal: as if this command had been.
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(130))
}
