//! Text for people: tables that fit the terminal, wrapped paragraphs, and colour where it is wanted.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::clean;
use brimful_savings_plans::savings_plan::plan_id;
use brimful_types::warning::Warning;

/// Headings.
pub(crate) const HEADING: Style = Style::new().bold();
/// Side remarks.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What needs a look.
pub(crate) const CAUTION: Style = AnsiColor::Yellow.on_default().bold();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

/// One rule below the headings; nothing else distracts from the figures.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Where a name may be broken: behind its slashes. It has no width, and is taken out again.
const SEAM: char = '\u{200b}';

/// A table with headings; columns whose heading starts with `>` are aligned right. `width` is the terminal's, `None`
/// in a pipe, where lines are as long as they need to be.
#[must_use]
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let natural = arranged(headings, rows, None);
    let is_within = |width| natural.lines().all(|line| line.chars().count() <= width);
    match width {
        Some(width) if !is_within(width) => arranged(headings, rows, Some(width)),
        _ => natural,
    }
}

/// `width`: of a terminal on which not all of it stands side by side.
fn arranged(headings: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_style(RULED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.trim_start_matches('>')));
    let right = |index: usize| {
        headings
            .get(index)
            .is_some_and(|heading| heading.starts_with('>'))
    };
    for row in rows {
        let cells = row.iter().enumerate().map(|(index, text)| {
            let alignment = if right(index) {
                CellAlignment::Right
            } else {
                CellAlignment::Left
            };
            let text = clean::name(text);
            let cell = if text.contains(' ') {
                Cell::new(text)
            } else {
                Cell::new(text.replace('/', &format!("/{SEAM}"))).set_delimiter(SEAM)
            };
            cell.set_alignment(alignment)
        });
        table.add_row(cells);
    }
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        for column in table.column_iter_mut() {
            column.set_padding((0, 1));
        }
    }
    format!("{table}\n").replace(SEAM, "")
}

/// A paragraph wrapped to `width`, every line indented; lines that begin with a blank (YAML) stay as they are.
#[must_use]
pub(crate) fn paragraph(text: &str, indent: usize, width: Option<usize>) -> String {
    let margin = " ".repeat(indent);
    let room = width.unwrap_or(usize::MAX).saturating_sub(indent).max(20);
    let mut out = String::new();
    for line in clean::text(text).lines() {
        if line.starts_with(' ') {
            let _ = writeln!(out, "{margin}{line}");
            continue;
        }
        let mut length = 0;
        for word in line.split_whitespace() {
            let size = word.chars().count();
            if length == 0 {
                out.push_str(&margin);
            } else if length + 1 + size > room {
                out.push('\n');
                out.push_str(&margin);
                length = 0;
            } else {
                out.push(' ');
                length += 1;
            }
            out.push_str(word);
            length += size;
        }
        out.push('\n');
    }
    out
}

/// A paragraph that goes on beside its bold title.
#[must_use]
pub(crate) fn titled(title: &str, text: &str, width: Option<usize>) -> String {
    let indent = title.chars().count() + 2;
    let body = paragraph(text, indent, width);
    format!("{HEADING}{title}{HEADING:#}  {}", body.trim_start_matches(' '))
}

/// A percentage with one decimal, or a dash.
#[must_use]
pub(crate) fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0))
}

/// Whole dollars; what rounds to nothing has no sign.
#[must_use]
pub(crate) fn dollars(amount: f64) -> String {
    let whole = amount.round();
    let sign = if whole < 0.0 { "-" } else { "" };
    grouped(&format!("{sign}${:.0}", whole.abs()))
}

/// The first number of a text with its thousands set apart, from five digits on.
#[must_use]
pub(crate) fn grouped(text: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let Some(start) = text.find(is_digit) else {
        return text.to_owned();
    };
    let (before, number) = text.split_at(start);
    let (digits, after) = number.split_at(number.find(|c| !is_digit(c)).unwrap_or(number.len()));
    if digits.len() < 5 {
        return text.to_owned();
    }
    let mut out = before.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + after
}

/// What a warning is about, if it is not the run as a whole: a `NodePool`, or a plan by its short name.
#[must_use]
pub(crate) fn subject(warning: &Warning) -> Option<&str> {
    let plan = || warning.plan.as_deref().map(plan_id);
    warning.node_pool.as_deref().or_else(plan)
}

/// An amount, or a dash.
#[must_use]
pub(crate) fn amount(money: Option<brimful_types::money::Money>) -> String {
    money.map_or_else(|| "–".to_owned(), |money| grouped(&money.to_string()))
}

/// A rate, or a dash.
#[must_use]
pub(crate) fn rate(money: Option<brimful_types::money::Money>) -> String {
    money.map_or_else(|| "–".to_owned(), |money| grouped(&money.per_hour()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_wrap_at_words_and_leave_yaml_alone() {
        let text = "one two three four five six\n  key: a long value that stays on its line";
        assert_eq!(
            paragraph(text, 2, Some(24)),
            "  one two three four\n  five six\n    key: a long value that stays on its line\n"
        );
        assert_eq!(paragraph("one two", 0, None), "one two\n");
    }

    #[test]
    fn thousands_are_set_apart_from_five_digits_on_and_nothing_has_no_sign() {
        assert_eq!(dollars(-0.3), "$0");
        assert_eq!(dollars(-12.0), "-$12");
        assert_eq!(dollars(9_999.4), "$9999");
        assert_eq!(dollars(-1_234_567.0), "-$1,234,567");
        assert_eq!(grouped("$12345.67"), "$12,345.67");
        assert_eq!(grouped("none"), "none");
    }

    #[test]
    fn names_too_long_for_the_terminal_are_broken_behind_a_slash_and_numbers_are_not() {
        let row = ["ec2Instance/m5/ap-southeast-2", "$0.865/h", "100.0 %"].map(str::to_owned);
        let printed = table(&["GROUP", ">COMMITMENT", ">FULL"], &[row.to_vec()], Some(44));
        let said: Vec<&str> = printed.split_whitespace().skip(3).collect();
        assert_eq!(
            said[1..],
            ["ec2Instance/", "$0.865/h", "100.0", "%", "m5/", "ap-southeast-2"],
            "{printed}"
        );
    }
}
