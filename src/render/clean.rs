//! Text from outside made safe to show: names, tags and servers' messages must not steer a terminal or fake a line.
//!
//! What people read is cleaned twice: where it is laid out (tables, paragraphs, headings), before Brimful adds its own
//! colours, and once more where it is written, where nothing but colours passes. Programs get the same characters,
//! escaped, in JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

/// True for characters that act instead of being shown: controls, and marks that turn the reading order. Line breaks
/// and tabs count, too.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// True for line breaks and tabs, which a text of several lines has by right.
fn lays_out(c: char) -> bool {
    matches!(c, '\n' | '\t')
}

/// A name: whatever acts is spelled out (`\u{1b}`), line breaks too.
#[must_use]
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    spelled(text, acts)
}

/// A text of several lines: whatever acts is spelled out, but for line breaks and tabs.
#[must_use]
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    spelled(text, |c| acts(c) && !lays_out(c))
}

fn spelled(text: &str, is_hostile: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hostile(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A text in which colours have been set: they pass, everything else is as in [`text()`].
#[must_use]
pub(crate) fn coloured(styled: &str) -> Cow<'_, str> {
    if matches!(text(styled), Cow::Borrowed(_)) {
        return Cow::Borrowed(styled);
    }
    let mut parts = styled.split('\u{1b}');
    let mut out = parts.next().map(text).unwrap_or_default().into_owned();
    for part in parts {
        let (colour, rest) = part.split_at(colour(part));
        out.push_str(if colour.is_empty() { "\\u{1b}" } else { "\u{1b}" });
        out.push_str(colour);
        out.push_str(&text(rest));
    }
    Cow::Owned(out)
}

/// How long the colour sequence (`[1;31m`) is that a text begins with; 0 without.
fn colour(text: &str) -> usize {
    let Some(rest) = text.strip_prefix('[') else {
        return 0;
    };
    let digits = rest
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b';')
        .count();
    if rest.as_bytes().get(digits) == Some(&b'm') {
        digits + 2
    } else {
        0
    }
}

/// A JSON document: what acts and JSON allows unescaped inside strings (C1 controls, marks of reading order) is
/// escaped as JSON has it, so that readers get it back as it was.
#[must_use]
pub(crate) fn json(document: &str) -> Cow<'_, str> {
    let is_hostile = |c: char| acts(c) && !lays_out(c);
    if !document.contains(is_hostile) {
        return Cow::Borrowed(document);
    }
    let mut out = String::with_capacity(document.len());
    for c in document.chars() {
        if is_hostile(c) {
            // All of them lie in the basic plane, where one escape is enough.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        for (hostile, shown) in [
            ("a\u{1b}[2Jb", r"a\u{1b}[2Jb"),
            ("a\rb\u{7}\0", r"a\u{d}b\u{7}\u{0}"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("x\u{202e}txt", r"x\u{202e}txt"),
            ("two\nlines", r"two\u{a}lines"),
        ] {
            assert_eq!(name(hostile), shown);
        }
        assert_eq!(text("two\nlines\tof \u{7f}"), "two\nlines\tof \\u{7f}");
        assert!(matches!(name("größer → ▁█"), Cow::Borrowed(_)));
    }

    #[test]
    fn only_colours_pass_where_text_is_written() {
        let styled = "\u{1b}[1m\u{1b}[31merror\u{1b}[0m: x";
        assert_eq!(coloured(styled), styled);
        assert_eq!(
            coloured("\u{1b}[1mbold\u{1b}[0m\u{1b}[2J\u{1b}]0;title\u{7}\r\u{1b}"),
            "\u{1b}[1mbold\u{1b}[0m\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{d}\\u{1b}"
        );
    }

    #[test]
    fn json_is_escaped_and_reads_back_the_same() {
        let name = "a\u{9b}1m\u{202e}b\u{1b}";
        let document = serde_json::to_string_pretty(&[name]).unwrap();
        let safe = json(&document);
        assert!(safe.chars().all(|c| c == '\n' || !acts(c)), "{safe:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), [name]);
    }
}
