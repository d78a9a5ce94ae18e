//! One error type for the whole program: what happened, to what, what to do next, and which exit code it is.

use std::fmt;

/// What went wrong, as far as the caller's exit code is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A defect or an unexpected failure of the machine.
    Unexpected,
    /// Bad flags, environment, configuration or manifests.
    Usage,
    /// The report is missing, unreadable or unusable.
    Report,
    /// The report (or the control state) cannot be trusted right now; nothing may be changed.
    Frozen,
    /// AWS refused: credentials or permissions.
    Aws,
    /// The Kubernetes API refused or conflicted, or another run holds the state.
    Kubernetes,
    /// The user interrupted the run.
    Interrupted,
}

impl ErrorKind {
    /// The process exit code of this kind, part of the command-line contract.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Unexpected => 1,
            Self::Usage => 3,
            Self::Report => 4,
            Self::Frozen => 5,
            Self::Aws => 6,
            Self::Kubernetes => 7,
            Self::Interrupted => 130,
        }
    }
}

/// An error for people: the message names the file, column, plan or NodePool; the hint names the way out.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything in Brimful that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that says what happened and to what.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    /// Bad flags, environment, configuration or manifests.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// The report is missing, unreadable or unusable.
    pub fn report(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Report, message)
    }

    /// The data cannot be trusted right now.
    pub fn frozen(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Frozen, message)
    }

    /// AWS refused.
    pub fn aws(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Aws, message)
    }

    /// The Kubernetes API refused or conflicted.
    pub fn kubernetes(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Kubernetes, message)
    }

    /// A defect or an unexpected failure of the machine.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unexpected, message)
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Which exit code this error leads to.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the user can do next, where known.
    #[must_use]
    pub fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The whole chain and the way out in one line, for a message that goes on living in a warning.
    #[must_use]
    pub fn in_full(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{self:#}: {hint}"),
            None => format!("{self:#}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        // An alternate format spells out the whole chain, once each.
        if f.alternate() {
            let mut shown = self.message.clone();
            let mut cause = std::error::Error::source(self);
            while let Some(error) = cause {
                let text = error.to_string();
                if !shown.contains(&text) {
                    write!(f, ": {text}")?;
                    shown.push_str(&text);
                }
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alternate_format_names_every_cause_once() {
        let cause = std::io::Error::other("disk full");
        let error = Error::report("cannot read a.parquet")
            .source(cause)
            .hint("free space");
        assert_eq!(error.to_string(), "cannot read a.parquet");
        assert_eq!(format!("{error:#}"), "cannot read a.parquet: disk full");
        assert_eq!(error.next_step(), Some("free space"));
        assert_eq!(error.kind().exit_code(), 4);
    }
}
