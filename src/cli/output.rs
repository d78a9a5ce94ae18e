//! Data on standard output, everything else on standard error; colour and width follow the terminal and `NO_COLOR`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::report::text::{BAD, CAUTION, FAINT, paragraph};
use brimful_types::warning::Warning;
use brimful_types::{Error, Result};

/// Prints data. A reader that has seen enough (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::unexpected("cannot write to standard output").source(error))
        }
        _ => Ok(()),
    }
}

/// Prints a document as JSON.
pub(crate) fn print_json(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|e| Error::unexpected("cannot write JSON").source(e))?;
    print(&(text + "\n"))
}

/// Prints a document as YAML.
pub(crate) fn print_yaml(document: &impl Serialize) -> Result<()> {
    let text =
        serde_saphyr::to_string(document).map_err(|e| Error::unexpected("cannot write YAML").source(e))?;
    print(&text)
}

/// Width of the terminal that standard output is; `None` in a pipe.
pub(crate) fn width() -> Option<usize> {
    let width = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    io::stdout().is_terminal().then(width).flatten()
}

/// Tells of warnings.
pub(crate) fn tell_warnings(warnings: &[Warning]) {
    let width = terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0));
    for warning in warnings {
        let subject = warning.node_pool.as_deref().or(warning
            .plan
            .as_deref()
            .map(|arn| arn.rsplit('/').next().unwrap_or(arn)));
        let subject = subject.map(|subject| format!("{subject}: ")).unwrap_or_default();
        let text = paragraph(&format!("{}{}", subject, warning.message), 2, width);
        tell(&format!(
            "{CAUTION}warning{CAUTION:#} {FAINT}[{}]{FAINT:#}\n{text}",
            warning.code
        ));
    }
}

/// Tells of an error, and of the way out.
pub(crate) fn tell_error(error: &Error) {
    let mut text = format!("{BAD}error{BAD:#}: {error:#}\n");
    if let Some(next) = error.next_step() {
        let _ = writeln!(text, "  {FAINT}→{FAINT:#} {next}");
    }
    tell(&text);
}

/// Writes to standard error, as well as that goes.
pub(crate) fn tell(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_all(text.as_bytes());
}
