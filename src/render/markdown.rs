//! `brimful plan -o markdown`: what a pull request, an issue or a chat shows of a plan, in GitHub's Markdown.

use std::fmt::Write as _;

use super::clean;
use super::headline::Headline;
use super::json::{GroupReport, PlanDocument};
use super::plan_table::group_cells;
use super::text::subject;
use brimful_policy::weights::show;
use brimful_types::warning::Warning;

/// Headline, changes, warnings, plans, pools, and how far the report reaches.
#[must_use]
pub(crate) fn render(plan: &PlanDocument, headline: Headline) -> String {
    let mut out = format!("**{}; {}.**\n", headline.sentence(), headline.changes());
    if !plan.changes.is_empty() {
        out.push_str("\n| NodePool | field | from | to | reason |\n| --- | --- | --- | --- | --- |\n");
    }
    for change in &plan.changes {
        let cells = [
            change.node_pool.clone(),
            change.field.to_owned(),
            change.from.to_string(),
            change.to.to_string(),
            change.reason.clone(),
        ];
        row(&mut out, &cells);
    }
    warnings(&mut out, &plan.warnings);
    groups(&mut out, &plan.groups);
    if !plan.node_pools.is_empty() {
        out.push_str("\n| NodePool | role | decision | weight | reason |\n| --- | --- | --- | --- | --- |\n");
    }
    for pool in &plan.node_pools {
        let (now, then) = (show(pool.weight.current), show(pool.weight.proposed));
        let cells = [
            pool.name.clone(),
            pool.role.to_owned(),
            pool.decision.to_string(),
            if now == then {
                now
            } else {
                format!("{now} → {then}")
            },
            pool.reason.clone(),
        ];
        row(&mut out, &cells);
    }
    let horizon = plan.source.horizon.as_deref().unwrap_or("no past hour");
    let source = cell(&plan.source.uri);
    let _ = writeln!(
        out,
        "\nReport {source}, reaches to {horizon}; planned at {}.",
        plan.now
    );
    out
}

fn warnings(out: &mut String, warnings: &[Warning]) {
    if !warnings.is_empty() {
        out.push_str("\n| warning | about | what, and what to do |\n| --- | --- | --- |\n");
    }
    for warning in warnings {
        let cells = [
            warning.code.to_string(),
            subject(warning).unwrap_or_default().to_owned(),
            warning.message.clone(),
        ];
        row(out, &cells);
    }
}

fn groups(out: &mut String, groups: &[GroupReport]) {
    if !groups.is_empty() {
        out.push_str("\n| group | plans | commitment | demand now | full | headroom | our share |\n");
        out.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    }
    for group in groups {
        row(out, &group_cells(group));
    }
}

fn row(out: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// Text that stays text: no markup, no HTML, nobody mentioned, all in one line.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean::text(text).chars() {
        match c {
            '\n' => out.push_str("<br>"),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the GitHub Flavored Markdown specification: 2.4 backslash escapes, 4.10 tables, 6.2 entities.
    #[test]
    fn a_cell_holds_text_and_nothing_else() {
        assert_eq!(cell("a|b"), "a\\|b");
        assert_eq!(cell("<img src=x>"), "&lt;img src=x>");
        assert_eq!(cell("[x](y) *z* `w`"), "\\[x\\](y) \\*z\\* \\`w\\`");
        assert_eq!(cell("@team"), "&#64;team");
        assert_eq!(cell("one\n  two"), "one<br>  two");
        assert_eq!(cell("\u{1b}[31m"), "\\\\u{1b}\\[31m");
    }
}
