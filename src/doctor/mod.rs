//! Findings of the preflight, from values: what is well, what is not, and the cure. Reading what they rest on is
//! `cli::doctor`'s business.

pub(crate) mod access;
pub(crate) mod application;
pub(crate) mod coordination;
mod engine;
pub(crate) mod pools;
pub(crate) mod report;

use serde::Serialize;

use crate::render::text::subject;

use brimful_types::warning::Warning;
use brimful_types::{Error, ErrorKind};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// It could not be made; the message says why.
    Skipped,
    /// Well.
    Ok,
    /// Brimful works, but less well than it could, or with a risk.
    Warn,
    /// Brimful does not work, or decides nothing.
    Fail,
}

impl Status {
    /// The word of the contract.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Group {
    /// The configuration.
    Configuration,
    /// The Cost and Usage Report.
    Report,
    /// Credentials and permissions in AWS.
    Aws,
    /// The cluster: its API, Karpenter, and the rights in it.
    Kubernetes,
    /// The `NodePool`s.
    NodePools,
}

impl Group {
    /// The heading in the table.
    #[must_use]
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration",
            Self::Report => "Report",
            Self::Aws => "AWS",
            Self::Kubernetes => "Kubernetes",
            Self::NodePools => "NodePools",
        }
    }
}

/// One line of the diagnosis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// Stable, kebab-case; the code of the warning where it is one of the plan's.
    pub id: &'static str,
    /// What it is about.
    pub group: Group,
    /// How it went.
    pub status: Status,
    /// The pool, plan, right or group of plans that it is about, if it is about one.
    pub subject: Option<String>,
    /// What was found.
    pub message: String,
    /// What to do: YAML, a command, or a sentence.
    pub cure: Option<String>,
    /// Which exit code a failure leads to.
    #[serde(skip)]
    pub kind: ErrorKind,
}

impl Check {
    fn new(group: Group, id: &'static str, status: Status, message: impl Into<String>) -> Self {
        let kind = match group {
            Group::Configuration | Group::NodePools => ErrorKind::Usage,
            Group::Report => ErrorKind::Report,
            Group::Aws => ErrorKind::Aws,
            Group::Kubernetes => ErrorKind::Kubernetes,
        };
        Self {
            id,
            group,
            status,
            subject: None,
            message: message.into(),
            cure: None,
            kind,
        }
    }

    /// All is well.
    pub(crate) fn ok(group: Group, id: &'static str, message: impl Into<String>) -> Self {
        Self::new(group, id, Status::Ok, message)
    }

    /// Something should be better.
    pub(crate) fn warn(group: Group, id: &'static str, message: impl Into<String>) -> Self {
        Self::new(group, id, Status::Warn, message)
    }

    /// Something must be better.
    pub(crate) fn fail(group: Group, id: &'static str, message: impl Into<String>) -> Self {
        Self::new(group, id, Status::Fail, message)
    }

    /// The check could not be made.
    pub(crate) fn skipped(group: Group, id: &'static str, why: impl Into<String>) -> Self {
        Self::new(group, id, Status::Skipped, why)
    }

    /// A failure, as the error states it, with its exit code.
    #[must_use]
    pub(crate) fn error(group: Group, id: &'static str, error: &Error) -> Self {
        Self {
            cure: error.next_step().map(str::to_owned),
            kind: error.kind(),
            ..Self::fail(group, id, format!("{error:#}"))
        }
    }

    /// A warning of the report or the plan: YAML below its sentence is the cure.
    #[must_use]
    pub(crate) fn warning(group: Group, warning: &Warning) -> Self {
        let (message, cure) = match warning.message.split_once('\n') {
            Some((message, yaml)) => (message, Some(flush_left(yaml))),
            None => (warning.message.as_str(), None),
        };
        Self {
            subject: subject(warning).map(str::to_owned),
            cure,
            ..Self::warn(group, warning.code.as_str(), message)
        }
    }

    /// About this one.
    #[must_use]
    pub(crate) fn about(self, subject: impl Into<String>) -> Self {
        Self {
            subject: Some(subject.into()),
            ..self
        }
    }

    /// With what to do.
    #[must_use]
    pub(crate) fn cure(self, cure: impl Into<String>) -> Self {
        Self {
            cure: Some(cure.into()),
            ..self
        }
    }
}

/// YAML without the margin that all its lines share.
fn flush_left(yaml: &str) -> String {
    let margin = |line: &str| line.len() - line.trim_start().len();
    let shared = yaml
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(margin)
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = yaml
        .lines()
        .map(|line| line.get(shared..).unwrap_or(""))
        .collect();
    lines.join("\n")
}

/// All findings; what `-o json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnosis {
    /// Name and version of the document's shape.
    pub schema: &'static str,
    /// In the order of [`Group`], and within one in the order of the checks.
    pub checks: Vec<Check>,
    /// The worst status of all.
    pub worst: Status,
}

impl Diagnosis {
    /// Of these checks.
    #[must_use]
    pub(crate) fn new(mut checks: Vec<Check>) -> Self {
        checks.sort_by_key(|check| check.group); // stable
        let worst = checks.iter().map(|check| check.status).max();
        Self {
            schema: "brimful/doctor/v1",
            worst: worst.unwrap_or(Status::Ok),
            checks,
        }
    }

    /// How many checks went so.
    #[must_use]
    pub(crate) fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }

    /// 0 without a failure; else the code of what must be put right first: configuration, AWS, report, Kubernetes,
    /// anything else.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        let order = [
            ErrorKind::Usage,
            ErrorKind::Aws,
            ErrorKind::Report,
            ErrorKind::Kubernetes,
        ];
        let failed = |kind: ErrorKind| {
            self.checks
                .iter()
                .any(|check| check.status == Status::Fail && check.kind == kind)
        };
        match order.into_iter().find(|kind| failed(*kind)) {
            Some(kind) => kind.exit_code(),
            None if self.worst == Status::Fail => ErrorKind::Unexpected.exit_code(),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(kinds: &[ErrorKind]) -> u8 {
        let check = |kind: &ErrorKind| Check::error(Group::Report, "x", &Error::new(*kind, "broken"));
        Diagnosis::new(kinds.iter().map(check).collect()).exit_code()
    }

    #[test]
    fn the_exit_code_is_that_of_what_must_be_put_right_first() {
        assert_eq!(failing(&[]), 0);
        assert_eq!(failing(&[ErrorKind::Kubernetes]), 7);
        assert_eq!(failing(&[ErrorKind::Kubernetes, ErrorKind::Report]), 4);
        assert_eq!(
            failing(&[ErrorKind::Report, ErrorKind::Aws, ErrorKind::Kubernetes]),
            6
        );
        assert_eq!(failing(&[ErrorKind::Aws, ErrorKind::Usage]), 3);
        assert_eq!(failing(&[ErrorKind::Unexpected]), 1);
    }

    #[test]
    fn warnings_and_skipped_checks_are_no_failure() {
        let checks = vec![
            Check::warn(Group::NodePools, "a", ""),
            Check::skipped(Group::Aws, "b", ""),
            Check::ok(Group::Report, "c", ""),
        ];
        let diagnosis = Diagnosis::new(checks);
        assert_eq!((diagnosis.exit_code(), diagnosis.worst), (0, Status::Warn));
        let order: Vec<&str> = diagnosis.checks.iter().map(|check| check.id).collect();
        assert_eq!(order, ["c", "b", "a"]);
    }

    #[test]
    fn the_yaml_of_a_warning_is_its_cure() {
        let warning = Warning::of_pool(
            brimful_types::warning::WarningCode::NoRoom,
            "a",
            "no room. Make room with\n  spec:\n    weight: 1",
        );
        let check = Check::warning(Group::NodePools, &warning);
        assert_eq!(check.cure.as_deref(), Some("spec:\n  weight: 1"));
        assert_eq!(
            (check.subject.as_deref(), check.message.as_str()),
            (Some("a"), "no room. Make room with")
        );
    }
}
