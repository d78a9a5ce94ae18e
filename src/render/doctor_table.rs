//! `brimful doctor` for people.

use std::fmt::Write as _;

use anstyle::Style;

use super::clean;
use super::text::{BAD, CAUTION, FAINT, GOOD, HEADING, paragraph};
use crate::doctor::{Check, Diagnosis, Status};

/// Where a line's message begins, and its cure.
const INDENT: usize = 11;

/// The checks by group, each with its cure, and how many went which way.
#[must_use]
pub(crate) fn render(diagnosis: &Diagnosis, width: Option<usize>) -> String {
    let mut out = String::new();
    let mut rest = diagnosis.checks.as_slice();
    while let Some(first) = rest.first() {
        let end = rest
            .iter()
            .position(|check| check.group != first.group)
            .unwrap_or(rest.len());
        let _ = writeln!(out, "{HEADING}{}{HEADING:#}", first.group.title());
        lines(&rest[..end], width, &mut out);
        out.push('\n');
        rest = &rest[end..];
    }
    out.push_str(&verdict(diagnosis));
    out
}

fn lines(mut checks: &[Check], width: Option<usize>, out: &mut String) {
    while let Some(first) = checks.first() {
        // What was skipped for one reason is one line.
        let alike = |check: &&Check| check.status == Status::Skipped && check.message == first.message;
        let count = checks.iter().take_while(alike).count().max(1);
        let names: Vec<String> = checks[..count].iter().map(name).collect();
        line(first, &names.join(", "), width, out);
        checks = &checks[count..];
    }
}

fn name(check: &Check) -> String {
    check.subject.as_ref().map_or_else(
        || check.id.to_owned(),
        |subject| format!("{} {subject}", check.id),
    )
}

fn line(check: &Check, name: &str, width: Option<usize>, out: &mut String) {
    let style = style(check.status);
    let name = &*clean::name(name);
    let text = paragraph(&format!("{name}: {}", check.message), INDENT, width);
    let word = check.status.as_str();
    let text = text.trim_start();
    // A name that had to be wrapped stays plain.
    let text = match text.strip_prefix(name) {
        Some(rest) => format!("{HEADING}{name}{HEADING:#}{rest}"),
        None => text.to_owned(),
    };
    let _ = write!(out, "  {style}{word:<7}{style:#}  {text}");
    let Some(cure) = &check.cure else { return };
    // Commands and YAML stay as they are; sentences are wrapped.
    if cure.contains('\n') || cure.starts_with("kubectl ") {
        for text in clean::text(cure).lines() {
            let _ = writeln!(out, "{:INDENT$}{FAINT}│{FAINT:#} {text}", "");
        }
    } else {
        let text = paragraph(cure, INDENT + 2, width);
        let _ = write!(out, "{:INDENT$}{FAINT}→{FAINT:#} {}", "", text.trim_start());
    }
}

fn style(status: Status) -> Style {
    match status {
        Status::Skipped => FAINT,
        Status::Ok => GOOD,
        Status::Warn => CAUTION,
        Status::Fail => BAD,
    }
}

fn verdict(diagnosis: &Diagnosis) -> String {
    let count = |status: Status, one: &str, many: &str| match diagnosis.count(status) {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    };
    let failed = count(Status::Fail, "check failed", "checks failed");
    let warned = count(Status::Warn, "warning", "warnings");
    let skipped = count(Status::Skipped, "check skipped", "checks skipped");
    let style = style(diagnosis.worst.max(Status::Ok));
    format!("{style}{failed}{style:#}, {warned}, {skipped}.\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Group;

    #[test]
    fn skipped_checks_of_one_reason_share_a_line_and_cures_stand_below() {
        let checks = vec![
            Check::skipped(Group::Report, "a", "no report"),
            Check::skipped(Group::Report, "b", "no report"),
            Check::warn(Group::NodePools, "c", "odd")
                .about("x")
                .cure("spec:\n  weight: 1"),
            Check::fail(Group::NodePools, "d", "broken").cure("mend it"),
        ];
        let text = anstream::adapter::strip_str(&render(&Diagnosis::new(checks), None)).to_string();
        assert_eq!(
            text,
            "Report\n  skipped  a, b: no report\n\nNodePools\n  warn     c x: odd\n           │ spec:\n           │   weight: 1\n  \
             fail     d: broken\n           → mend it\n\n1 check failed, 1 warning, 2 checks skipped.\n"
        );
    }
}
