//! Which of an account's reports and exports to read.

use std::fmt;

use crate::location::Location;
use brimful_types::{Error, Result};

/// Which report is wanted (`cur.discover`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The only one that can be read: `auto`.
    Auto,
    /// The one of that name.
    Named(String),
}

impl Wanted {
    /// As `cur.discover` says it.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            name => Self::Named(name.to_owned()),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("the reports of this account"),
            Self::Named(name) => write!(f, "the report {name}"),
        }
    }
}

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Legacy CUR.
    Legacy,
    /// CUR 2.0.
    Cur2,
    /// FOCUS: readable, but its hours cannot be checked.
    Focus,
    /// Another table.
    Other,
}

impl Kind {
    /// Of a Data Exports table.
    #[must_use]
    pub fn of_table(table: &str) -> Self {
        match table.to_ascii_uppercase().as_str() {
            "COST_AND_USAGE_REPORT" => Self::Cur2,
            "FOCUS_1_0_AWS" | "FOCUS_1_2_AWS" => Self::Focus,
            _ => Self::Other,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Legacy => "legacy report",
            Self::Cur2 => "CUR 2.0 export",
            Self::Focus => "FOCUS export",
            Self::Other => "export",
        }
    }
}

/// The table that an export's query selects from; empty when it selects from none.
#[must_use]
pub fn table_of(statement: &str) -> String {
    let mut words = statement.split_whitespace();
    let from = words.find(|word| word.eq_ignore_ascii_case("FROM"));
    let table = from.and_then(|_| words.next()).unwrap_or_default();
    table
        .trim_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .to_owned()
}

/// True when an export's query leaves rows out.
#[must_use]
pub fn filters_rows(statement: &str) -> bool {
    let mut words = statement.split_whitespace();
    words.any(|word| word.eq_ignore_ascii_case("WHERE"))
}

/// A report or export of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where it is delivered.
    pub bucket: String,
    /// The prefix of its own folder.
    pub prefix: String,
    /// Why it cannot be read.
    pub flaws: Vec<String>,
    /// Why it is not chosen unless it is named.
    pub doubts: Vec<String>,
}

impl Candidate {
    /// One without flaws, in a folder of its name below `prefix`.
    #[must_use]
    pub fn new(name: &str, kind: Kind, bucket: &str, prefix: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            bucket: bucket.to_owned(),
            prefix: [prefix, name].join("/").trim_matches('/').to_owned(),
            flaws: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// Where it lies.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::S3 {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
        }
    }

    fn is_suitable(&self) -> bool {
        self.flaws.is_empty() && self.doubts.is_empty()
    }

    /// Why it is not taken, if it is not for a better one.
    fn shortcoming(&self) -> Option<&str> {
        self.flaws.iter().chain(&self.doubts).map(String::as_str).next()
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.title(), self.name)
    }
}

/// What was chosen, and why not the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The report to read.
    pub chosen: Candidate,
    /// Why.
    pub why: String,
    /// The others, each with the reason against it.
    pub others: Vec<(Candidate, String)>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// Chooses.
///
/// # Errors
/// None of the account's reports is wanted or can be read, or several could be meant.
pub fn choose(wanted: &Wanted, mut candidates: Vec<Candidate>, unseen: Vec<String>) -> Result<Choice> {
    candidates.sort_by(|a, b| (&a.name, a.kind.title()).cmp(&(&b.name, b.kind.title())));
    let (index, why) = match wanted {
        Wanted::Named(name) => (
            named(name, &candidates, &unseen)?,
            "it is the one that is named".to_owned(),
        ),
        Wanted::Auto => only(&candidates, &unseen)?,
    };
    let chosen = candidates.remove(index);
    let reason = |other: &Candidate| match (other.shortcoming(), wanted) {
        (Some(why), _) => why.to_owned(),
        (None, Wanted::Named(_)) => "another one is named".to_owned(),
        (None, Wanted::Auto) => "its hours cannot be checked as those of a CUR can".to_owned(),
    };
    Ok(Choice {
        why,
        others: candidates
            .into_iter()
            .map(|other| {
                let why = reason(&other);
                (other, why)
            })
            .collect(),
        chosen,
        unseen,
    })
}

fn named(name: &str, candidates: &[Candidate], unseen: &[String]) -> Result<usize> {
    let matching: Vec<usize> = (0..candidates.len())
        .filter(|index| candidates[*index].name == name)
        .collect();
    let usable: Vec<usize> = matching
        .iter()
        .copied()
        .filter(|index| candidates[*index].flaws.is_empty())
        .collect();
    match (usable.as_slice(), matching.first()) {
        ([one], _) => Ok(*one),
        ([], None) => Err(Error::report(format!(
            "there is no report or export {name} in this account; it has: {}{}",
            listed(candidates.iter().map(|candidate| candidate.name.clone())),
            not_seen(unseen)
        ))
        .hint("reports belong to the payer (management) account: cur.roleArn reaches it; or set cur.uri")),
        ([], Some(first)) => Err(Error::report(format!(
            "{} cannot be read: {}",
            candidates[*first],
            candidates[*first].flaws.join("; ")
        ))
        .hint("create an hourly one in parquet form: Data Exports, table COST_AND_USAGE_REPORT")),
        (several, _) => Err(Error::report(format!(
            "{name} is the name of several: {}",
            listed(several.iter().map(|index| candidates[*index].to_string()))
        ))
        .hint("set cur.uri to the folder of the one to read")),
    }
}

/// The only suitable one; a CUR before FOCUS.
fn only(candidates: &[Candidate], unseen: &[String]) -> Result<(usize, String)> {
    let suitable = |is_focus: bool| -> Vec<usize> {
        let fits = |index: &usize| {
            let candidate: &Candidate = &candidates[*index];
            candidate.is_suitable() && (candidate.kind == Kind::Focus) == is_focus
        };
        (0..candidates.len()).filter(fits).collect()
    };
    for (is_focus, why) in [
        (false, "the only suitable one"),
        (
            true,
            "the only suitable one; a CUR, whose hours can be checked, would be better",
        ),
    ] {
        match suitable(is_focus).as_slice() {
            [] => {}
            [one] => return Ok((*one, why.to_owned())),
            several => {
                let names = listed(several.iter().map(|index| candidates[*index].to_string()));
                return Err(Error::report(format!("several reports could be read: {names}"))
                    .hint("name the one to read: cur.discover: NAME"));
            }
        }
    }
    let reasons = candidates
        .iter()
        .filter_map(|candidate| Some(format!("{candidate}: {}", candidate.shortcoming()?)));
    Err(Error::report(format!(
        "no report or export of this account can be read without doubt; it has: {}{}",
        listed(reasons),
        not_seen(unseen)
    ))
    .hint("create an hourly one in parquet form: Data Exports, table COST_AND_USAGE_REPORT; or name one: cur.discover: NAME"))
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

fn not_seen(unseen: &[String]) -> String {
    match unseen {
        [] => String::new(),
        unseen => format!("; could not look at {}", unseen.join(", nor at ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, kind: Kind) -> Candidate {
        Candidate::new(name, kind, "billing", "reports")
    }

    fn flawed(name: &str, flaw: &str) -> Candidate {
        Candidate {
            flaws: vec![flaw.to_owned()],
            ..candidate(name, Kind::Legacy)
        }
    }

    fn doubtful(name: &str, doubt: &str) -> Candidate {
        Candidate {
            doubts: vec![doubt.to_owned()],
            ..candidate(name, Kind::Cur2)
        }
    }

    fn error(wanted: &Wanted, candidates: Vec<Candidate>) -> String {
        format!("{:#}", choose(wanted, candidates, Vec::new()).unwrap_err())
    }

    #[test]
    fn the_only_suitable_one_is_taken_and_each_other_has_its_reason() {
        let all = vec![
            candidate("focus", Kind::Focus),
            flawed("daily", "it is DAILY, not HOURLY"),
            candidate("hourly", Kind::Cur2),
            doubtful("broken", "its status is UNHEALTHY: BILL_OWNER_CHANGED"),
        ];
        let choice = choose(&Wanted::Auto, all, Vec::new()).unwrap();
        assert_eq!(
            choice.chosen.location().to_string(),
            "s3://billing/reports/hourly"
        );
        let others: Vec<(&str, &str)> = choice
            .others
            .iter()
            .map(|(other, why)| (other.name.as_str(), why.as_str()))
            .collect();
        assert_eq!(
            others,
            [
                ("broken", "its status is UNHEALTHY: BILL_OWNER_CHANGED"),
                ("daily", "it is DAILY, not HOURLY"),
                ("focus", "its hours cannot be checked as those of a CUR can"),
            ]
        );
    }

    #[test]
    fn focus_serves_where_there_is_nothing_else() {
        let choice = choose(&Wanted::Auto, vec![candidate("f", Kind::Focus)], Vec::new()).unwrap();
        assert!(choice.why.contains("would be better"));
    }

    #[test]
    fn of_several_suitable_ones_none_is_guessed() {
        let all = vec![candidate("b", Kind::Cur2), candidate("a", Kind::Legacy)];
        let error = error(&Wanted::Auto, all);
        assert!(error.contains("legacy report a, CUR 2.0 export b"), "{error}");
    }

    #[test]
    fn a_name_overrules_doubts_but_not_flaws() {
        let named = |name: &str| Wanted::Named(name.to_owned());
        let all = || {
            vec![
                doubtful("b", "its query filters rows"),
                flawed("d", "it is DAILY, not HOURLY"),
            ]
        };
        assert_eq!(choose(&named("b"), all(), Vec::new()).unwrap().chosen.name, "b");
        assert!(error(&named("d"), all()).contains("legacy report d cannot be read: it is DAILY"));
        assert!(error(&named("x"), all()).contains("it has: b, d"));
        let twice = vec![candidate("b", Kind::Cur2), candidate("b", Kind::Legacy)];
        assert!(error(&named("b"), twice).contains("CUR 2.0 export b, legacy report b"));
    }

    #[test]
    fn where_nothing_fits_all_reasons_are_given_and_what_was_not_seen() {
        let unseen = vec!["Data Exports: denied".to_owned()];
        let found = choose(&Wanted::Auto, vec![flawed("d", "it is DAILY")], unseen).unwrap_err();
        let text = found.to_string();
        assert!(
            text.contains("legacy report d: it is DAILY")
                && text.contains("could not look at Data Exports: denied"),
            "{text}"
        );
    }

    #[test]
    fn a_query_tells_its_table_and_whether_it_filters() {
        assert_eq!(
            table_of("SELECT a,\n b from COST_AND_USAGE_REPORT;"),
            "COST_AND_USAGE_REPORT"
        );
        assert_eq!(table_of("SELECT 1"), "");
        assert!(filters_rows("SELECT a FROM t\nWhere x = 'y'") && !filters_rows("SELECT whereabouts FROM t"));
        assert_eq!(Kind::of_table("focus_1_2_aws"), Kind::Focus);
        assert_eq!(Kind::of_table("COST_OPTIMIZATION_RECOMMENDATIONS"), Kind::Other);
    }
}
