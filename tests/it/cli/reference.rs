//! Pages below `docs/reference` are generated, and up to date. `BRIMFUL_WRITE_DOCS=1` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use brimful::cli::args::Cli;
use brimful_types::warning::WarningCode;
use clap::CommandFactory;

fn warnings() -> String {
    let parts = WarningCode::ALL
        .iter()
        .map(|code| format!("\n## `{code}`\n\n{}\n", code.meaning()));
    format!(
        "# Warning codes\n\nGenerated from `crates/types/src/warning.rs`; never renamed. The message beside a code says which plan or \
         NodePool it concerns and what to do.\n{}",
        parts.collect::<String>()
    )
}

/// What `brimful COMMAND --help` prints.
fn help() -> String {
    let mut program = Cli::command();
    program.build();
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
    let pages = commands
        .filter(|command| command.get_name() != "help")
        .map(|command| {
            // The variables' values are those of whoever runs the test.
            let mut shown = command
                .clone()
                .mut_args(|arg| arg.hide_env_values(true))
                .term_width(100);
            let text = shown.render_long_help().to_string();
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            format!(
                "\n## {}\n\n```text\n{}\n```\n",
                command.get_name(),
                lines.join("\n")
            )
        });
    format!(
        "# Every flag\n\nGenerated from `src/cli/args.rs`: what `--help` prints. What the commands do, exit codes and JSON: \
         [commands](commands.md).\n{}",
        pages.collect::<String>()
    )
}

fn is_up_to_date(page: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/reference")
        .join(page);
    if std::env::var_os("BRIMFUL_WRITE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap();
    assert_eq!(stored, text, "run this test with BRIMFUL_WRITE_DOCS=1");
}

#[test]
fn the_page_of_warning_codes_is_what_the_program_knows() {
    is_up_to_date("warnings.md", &warnings());
}

#[test]
fn the_page_of_flags_is_what_help_prints() {
    is_up_to_date("help.md", &help());
}

#[test]
fn every_code_is_kebab_case_and_stands_once_in_order() {
    let codes: Vec<&str> = WarningCode::ALL.iter().map(|code| code.as_str()).collect();
    let sorted: BTreeSet<&str> = codes.iter().copied().collect();
    assert_eq!(codes, sorted.into_iter().collect::<Vec<_>>());
    for code in codes {
        assert!(
            code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            "{code}"
        );
    }
}
