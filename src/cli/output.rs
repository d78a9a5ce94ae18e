//! Data on standard output, everything else on standard error; colour and width follow the terminal and `NO_COLOR`.
//! Whatever names from outside hold, no control characters but colours are written.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::render::clean;
use crate::render::text::{BAD, CAUTION, FAINT, paragraph, subject};
use brimful_types::warning::Warning;
use brimful_types::{Error, Result};

/// Prints data. A reader that has seen enough (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match out
        .write_all(clean::coloured(text).as_bytes())
        .and_then(|()| out.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::unexpected("cannot write to standard output").source(error))
        }
        _ => Ok(()),
    }
}

/// Whether a file can be written: minutes of work would be lost if that turned out at their end. What was there stays as
/// it is, and nothing is left where nothing was: an empty page would be taken for one.
pub(crate) fn writable(path: &Path) -> io::Result<()> {
    let is_new = !path.exists();
    std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    if is_new {
        std::fs::remove_file(path)
    } else {
        Ok(())
    }
}

/// Prints rows as CSV, in which there are no colours.
pub(crate) fn print_csv(rows: &str) -> Result<()> {
    print(&clean::text(rows))
}

/// Prints a document as JSON.
pub(crate) fn print_json(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|e| Error::unexpected("cannot write JSON").source(e))?;
    print(&(clean::json(&text).into_owned() + "\n"))
}

/// Prints a document as YAML.
pub(crate) fn print_yaml(document: &impl Serialize) -> Result<()> {
    let text =
        serde_saphyr::to_string(document).map_err(|e| Error::unexpected("cannot write YAML").source(e))?;
    // JSON is YAML, too, and has an escape for every character.
    match clean::text(&text) {
        Cow::Borrowed(_) => print(&text),
        Cow::Owned(_) => print_json(document),
    }
}

/// Width of the terminal that standard output is; `None` in a pipe.
pub(crate) fn width() -> Option<usize> {
    let width = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    io::stdout().is_terminal().then(width).flatten()
}

/// True once every line on standard error is to be JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// From now on warnings and errors are log lines like all others, one JSON object each.
pub(crate) fn log_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// Whether they are.
pub(crate) fn logs_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Where the codes of warnings are explained: on the site, if the build names one, else in the repository.
fn page_of_codes() -> String {
    match option_env!("BRIMFUL_DOCS") {
        Some(site) => format!("{site}/reference/warnings.html"),
        None => "docs/reference/warnings.md".to_owned(),
    }
}

/// Prints warnings on standard error.
pub(crate) fn print_warnings(warnings: &[Warning]) {
    if logs_json() {
        for warning in warnings {
            let (plan, pool) = (warning.plan.as_deref(), warning.node_pool.as_deref());
            tracing::warn!(
                code = warning.code.as_str(),
                plan,
                nodePool = pool,
                "{}",
                warning.message
            );
        }
        return;
    }
    let width = terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0));
    for warning in warnings {
        let subject = subject(warning)
            .map(|subject| format!("{}: ", clean::name(subject)))
            .unwrap_or_default();
        let text = paragraph(&format!("{}{}", subject, warning.message), 2, width);
        print_stderr(&format!(
            "{CAUTION}warning{CAUTION:#} {FAINT}[{}]{FAINT:#}\n{text}",
            warning.code
        ));
    }
    if !warnings.is_empty() {
        let page = page_of_codes();
        print_stderr(&format!("{FAINT}→ what each code means: {page}{FAINT:#}\n"));
    }
}

/// Prints an error and the way out on standard error.
pub(crate) fn print_error(error: &Error) {
    if logs_json() {
        let exit_code = error.kind().exit_code();
        tracing::error!(exitCode = exit_code, hint = error.next_step(), "{error:#}");
        return;
    }
    let message = format!("{error:#}");
    let mut text = format!("{BAD}error{BAD:#}: {}\n", clean::text(&message));
    if let Some(next) = error.next_step() {
        let _ = writeln!(text, "  {FAINT}→{FAINT:#} {}", clean::text(next));
    }
    print_stderr(&text);
}

/// Writes to standard error, as well as that goes.
pub(crate) fn print_stderr(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_all(clean::coloured(text).as_bytes());
}

/// Standard error for log lines, each of which comes in one piece.
pub(crate) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let safe = if logs_json() {
            clean::json(&text)
        } else {
            clean::coloured(&text)
        };
        anstream::stderr().lock().write_all(safe.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        anstream::stderr().lock().flush()
    }
}
