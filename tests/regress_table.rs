//! docs/regress.md and the ported cases agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The tests of all files named tests/regress_*.rs, as (name, file).
fn tests() -> BTreeSet<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut tests = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("tests/") {
        let path = entry.expect("an entry of tests/").path();
        let file = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        if !file.starts_with("regress_") || file == "regress_table.rs" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a test file");
        for part in text.split("#[test]\n").skip(1) {
            let name = part
                .strip_prefix("fn ")
                .and_then(|rest| rest.split_once('('));
            let (name, _) = name.expect("a function after #[test]");
            tests.insert((name.to_owned(), file.to_owned()));
        }
    }
    tests
}

/// The rows of the tables that name a test, as (name, file).
fn rows() -> BTreeSet<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/regress.md");
    let text = fs::read_to_string(path).expect("docs/regress.md");
    let mut rows = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let Some(file) = cells[2].strip_prefix('`') {
            let row = (cells[1].trim_matches('`'), file.trim_end_matches('`'));
            let new = rows.insert((row.0.to_owned(), row.1.to_owned()));
            assert!(new, "{row:?} is there twice");
        } else {
            assert_eq!(cells[2], "none", "{line}");
            assert!(!cells[3].is_empty(), "no reason: {line}");
        }
    }
    rows
}

#[test]
fn every_row_has_its_test_and_every_test_its_row() {
    let (tests, rows) = (tests(), rows());
    assert!(tests.len() > 80, "{}", tests.len());
    let missing: Vec<_> = rows.difference(&tests).collect();
    assert!(missing.is_empty(), "rows without a test: {missing:?}");
    let unlisted: Vec<_> = tests.difference(&rows).collect();
    assert!(unlisted.is_empty(), "tests without a row: {unlisted:?}");
}
