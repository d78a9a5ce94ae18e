//! Links between the documents lead somewhere, and the site has every page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::docs::documents;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Documents at the root that are no pages of the site.
fn at_the_root() -> Vec<PathBuf> {
    ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SCOPE.md"]
        .iter()
        .map(|name| root().join(name))
        .chain([root().join("tests/tools/README.md")])
        .collect()
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            return None;
        }
        (!is_code).then_some((index + 1, line))
    })
}

/// What a document links to, with the line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in prose(text) {
        for part in text.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            found.push((line, target.to_owned()));
        }
    }
    found
}

/// The anchor that GitHub and mdBook make of a heading.
fn anchor(heading: &str) -> String {
    let plain = heading.replace(['`', '*'], "").to_lowercase();
    let kept = plain
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|(_, line)| line.strip_prefix('#'));
    headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

fn is_elsewhere(target: &str) -> bool {
    target.starts_with("https://") || target.starts_with("mailto:")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut seen = 0;
    for path in documents().into_iter().chain(at_the_root()) {
        let text = fs::read_to_string(&path).expect("a document");
        for (line, target) in links(&text)
            .into_iter()
            .filter(|(_, target)| !is_elsewhere(target))
        {
            let place = format!("{}:{line}: {target}", path.display());
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            let to = if file.is_empty() {
                path.clone()
            } else {
                path.parent().expect("a folder").join(file)
            };
            assert!(to.exists(), "{place}: there is no such file");
            if !heading.is_empty() {
                let there = anchors(&fs::read_to_string(&to).expect("a document"));
                assert!(there.contains(heading), "{place}: the headings are {there:?}");
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "links are found: {seen}");
}

/// What lies outside `docs` is not part of the site.
#[test]
fn pages_of_the_site_link_to_each_other_only() {
    let docs = root().join("docs").canonicalize().expect("docs");
    for path in documents()
        .into_iter()
        .filter(|path| path.starts_with(root().join("docs")))
    {
        let text = fs::read_to_string(&path).expect("a page");
        for (line, target) in links(&text)
            .into_iter()
            .filter(|(_, target)| !is_elsewhere(target))
        {
            let file = target.split('#').next().unwrap_or_default();
            let to = path.parent().expect("a folder").join(file);
            let inside = to.canonicalize().is_ok_and(|to| to.starts_with(&docs));
            assert!(file.is_empty() || inside, "{}:{line}: {target}", path.display());
        }
    }
}

#[test]
fn the_summary_lists_every_page_once() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).expect("the summary");
    let listed: Vec<PathBuf> = links(&summary)
        .into_iter()
        .map(|(_, target)| docs.join(target))
        .collect();
    let once: BTreeSet<PathBuf> = listed.iter().cloned().collect();
    assert_eq!(once.len(), listed.len(), "{listed:?}");
    let pages = documents().into_iter().filter(|path| path.starts_with(&docs));
    let pages: BTreeSet<PathBuf> = pages.filter(|path| !path.ends_with("SUMMARY.md")).collect();
    assert_eq!(once, pages);
}

/// A newcomer reads it to the end.
#[test]
fn the_readme_is_short_and_its_first_number_is_the_backtests() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    assert!(readme.len() <= 9_000, "{} bytes", readme.len());
    for command in ["make demo", "make test", "brimful demo", "brimful doctor"] {
        assert!(readme.contains(command), "{command}");
    }
    let backtest = fs::read_to_string(root().join("docs/concepts/backtest.md")).expect("the page");
    let of = |policy: &str| -> String {
        let line = backtest
            .lines()
            .find(|line| line.trim_start().starts_with(policy));
        let columns: Vec<&str> = line
            .expect(policy)
            .split("  ")
            .filter(|text| !text.is_empty())
            .collect();
        columns[4].trim().to_owned()
    };
    let sentence = format!(
        "save {} a month of the {}",
        of("Brimful: weight  "),
        of("foresight")
    );
    assert!(readme.contains(&sentence), "{sentence}");
    // The table of simulated months: cost beyond the bound, all scenarios.
    let control = fs::read_to_string(root().join("docs/control.md")).expect("the page");
    // The means of the table whose head begins so.
    let mean = |head: &str, policy: &str| {
        let mut lines = control.lines().skip_while(|line| !line.starts_with(head));
        let cells = |line: Option<&str>| -> Vec<String> {
            let cells = line.expect(head).split('|');
            cells
                .map(|cell| cell.trim().trim_matches('*').to_owned())
                .collect()
        };
        let names = cells(lines.next());
        let means = cells(lines.find(|line| line.starts_with("| **all**")));
        let place = names.iter().position(|name| name == policy).expect(policy);
        means[place].clone()
    };
    let of = |policy: &str| mean("| scenario | leave-alone", policy);
    let (alone, fixed) = (of("leave-alone"), of("static"));
    let (weight, switched) = (of("weight"), of("weight+disruption"));
    let of = |policy: &str| mean("| scenario | weight | weight+disruption | all | weight+", policy);
    let (limited, topped_up) = (of("all"), of("all+top-up"));
    let sentence = format!(
        "costs {fixed} % of the commitment in [simulated months](docs/control.md), doing nothing {alone} %; Brimful: {weight} % by \
         weights, {switched} % with protection switched, {limited} % with limits as well, {topped_up} % with [top-up]"
    );
    assert!(readme.contains(&sentence), "{sentence}");
    let faq = fs::read_to_string(root().join("docs/faq.md")).expect("the FAQ");
    let sentence = format!(
        "costs {fixed} % of the commitment beyond the bound, doing nothing {alone} %, Brimful {weight} % by weights and {switched} % with \
         protection switched, {limited} % with limits as well, {topped_up} % with [top-up]"
    );
    assert!(faq.contains(&sentence), "{sentence}");
}
