//! Pages below `docs/reference` are generated, and up to date. `BRIMFUL_WRITE_DOCS=1` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use brimful_types::warning::WarningCode;

fn warnings() -> String {
    let rows = WarningCode::ALL
        .iter()
        .map(|code| format!("| `{code}` | {} |\n", code.meaning()));
    format!(
        "# Warning codes\n\nGenerated from `crates/types/src/warning.rs`; never renamed. The message beside a code says which plan or \
         NodePool it concerns and what to do.\n\n| code | meaning |\n| --- | --- |\n{}",
        rows.collect::<String>()
    )
}

#[test]
fn the_page_of_warning_codes_is_what_the_program_knows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/warnings.md");
    if std::env::var_os("BRIMFUL_WRITE_DOCS").is_some() {
        fs::write(&path, warnings()).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        warnings(),
        "run this test with BRIMFUL_WRITE_DOCS=1"
    );
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
