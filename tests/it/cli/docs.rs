//! Commands that the documents print work when they are copied, and print what is shown.

use std::path::PathBuf;

use brimful::cli::args::Cli;
use clap::Parser;

use crate::support::run::Brimful;

/// A command in a document, and what it is shown to print.
#[derive(Debug)]
struct Shown {
    /// Document and line.
    place: String,
    /// Without the prompt.
    command: String,
    output: String,
}

impl Shown {
    /// The words of the command itself, up to a pipe.
    fn words(&self) -> Vec<String> {
        let words = self.command.split_whitespace();
        words
            .take_while(|word| !matches!(*word, "|" | "||" | "&&" | ">" | ";" | "#"))
            .map(|word| word.trim_matches(['"', '\'']).to_owned())
            .collect()
    }
}

/// The README and every page below `docs`.
pub(super) fn documents() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder of documents") {
            let path = entry.expect("a document").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

/// The commands of all blocks: those behind a prompt, with the output below them, and those of scripts.
fn in_blocks() -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for path in documents() {
        let text = std::fs::read_to_string(&path).expect("a document");
        let mut language = None;
        let mut is_output = false;
        for (index, line) in text.lines().enumerate() {
            if let Some(fence) = line.trim_start().strip_prefix("```") {
                language = if language.is_some() {
                    None
                } else {
                    Some(fence.to_owned())
                };
                is_output = false;
                continue;
            }
            let Some(language) = &language else { continue };
            let command = match language.as_str() {
                "console" | "" => line.strip_prefix("$ "),
                "sh" | "bash" => Some(line.trim_start()),
                _ => None,
            };
            match command {
                Some(command) => {
                    is_output = command.starts_with("brimful ");
                    if is_output {
                        all.push(Shown {
                            place: format!("{}:{}", path.display(), index + 1),
                            command: command.to_owned(),
                            output: String::new(),
                        });
                    }
                }
                None if is_output => {
                    let shown = all.last_mut().expect("the command above");
                    shown.output.push_str(line);
                    shown.output.push('\n');
                }
                None => {}
            }
        }
    }
    all
}

/// The commands within sentences.
fn in_sentences() -> Vec<Shown> {
    let mut all = Vec::new();
    for path in documents() {
        let text = std::fs::read_to_string(&path).expect("a document");
        for (index, line) in text.lines().enumerate() {
            for code in line.split('`').skip(1).step_by(2) {
                if code.starts_with("brimful ") {
                    all.push(Shown {
                        place: format!("{}:{}", path.display(), index + 1),
                        command: code.to_owned(),
                        output: String::new(),
                    });
                }
            }
        }
    }
    all
}

/// A text's words: how lines are wrapped depends on the terminal.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_command_in_the_documents_is_one() {
    let all: Vec<Shown> = in_blocks().into_iter().chain(in_sentences()).collect();
    assert!(all.len() > 15, "they are found: {all:#?}");
    for shown in all {
        if let Err(error) = Cli::try_parse_from(shown.words()) {
            panic!("{}: {}\n{error}", shown.place, shown.command);
        }
    }
}

#[test]
fn commands_on_the_fixtures_work_when_copied_and_print_what_is_shown() {
    run_those_of(&["utilization", "plan", "doctor"]);
}

// Apart, since it replays days: the others need not wait for it.
#[test]
fn the_backtest_works_when_copied_and_prints_what_is_shown() {
    run_those_of(&["backtest"]);
}

/// `make picture` draws them anew.
#[test]
fn the_pictures_of_the_plan_show_what_is_printed() {
    for columns in [80, 110, 160] {
        shows_the_plan(&format!("docs/images/plan-{columns}.svg"));
    }
}

#[track_caller]
fn shows_the_plan(path: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let picture = std::fs::read_to_string(&path).expect("the picture");
    let text = |line: &str| -> String {
        let parts = line.split('<').filter_map(|part| part.split_once('>'));
        parts.map(|(_, text)| text).collect()
    };
    // The first line is the command.
    let lines = picture.lines().filter(|line| line.starts_with("<text")).skip(1);
    let shown = lines.map(text).collect::<String>();
    let shown = shown
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let printed = Brimful::plan("fixtures/cur/legacy").ends(0).stdout;
    // Where colours change, the picture has a gap that the terminal has not; a narrow table has its words in another
    // order, and a shorter rule.
    let letters = |text: &str| -> Vec<char> {
        let letters = text.chars().filter(|c| !c.is_whitespace() && *c != '─');
        let mut letters: Vec<char> = letters.collect();
        letters.sort_unstable();
        letters
    };
    let (shown, printed) = (letters(&shown), letters(&printed));
    assert!(shown == printed, "{}: run `make picture`", path.display());
}

fn run_those_of(commands: &[&str]) {
    let all = in_blocks();
    let command = |shown: &Shown| shown.words().get(1).cloned().unwrap_or_default();
    let on_fixtures = all.iter().filter(|shown| shown.command.contains("fixtures/"));
    let runnable: Vec<&Shown> = on_fixtures
        .filter(|shown| commands.contains(&command(shown).as_str()))
        .collect();
    for wanted in commands {
        assert!(
            runnable.iter().any(|shown| command(shown) == *wanted),
            "{wanted} is shown nowhere"
        );
    }
    for shown in runnable {
        let line = shown.words();
        let ended = Brimful::new(&line[1]).args(&line[2..]).ends_any();
        assert_eq!(
            ended.code,
            Some(0),
            "{}: {}\n{ended:?}",
            shown.place,
            shown.command
        );
        let printed = words(&ended.stdout);
        // An ellipsis on a line of its own stands for lines left out.
        let parts = shown
            .output
            .split_inclusive('\n')
            .fold(vec![String::new()], |mut parts, line| {
                if line.trim() == "…" {
                    parts.push(String::new());
                } else if let Some(part) = parts.last_mut() {
                    part.push_str(line);
                }
                parts
            });
        if let [whole] = parts.as_slice() {
            assert_eq!(printed, words(whole), "{}: {}", shown.place, shown.command);
        }
        let mut rest = printed.as_str();
        for part in parts {
            let part = words(&part);
            let found = rest.find(&part);
            let at = found.unwrap_or_else(|| {
                panic!(
                    "{}: {}\nshown: {part}\nprinted: {}",
                    shown.place, shown.command, ended.stdout
                )
            });
            rest = &rest[at + part.len()..];
        }
    }
}
