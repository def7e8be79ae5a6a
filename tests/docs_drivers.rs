//! The code in docs/drivers.md is that of programs that are compiled and tested.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/drivers.md")).expect("the page")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each block of Rust begins with the path of the file that it is in, word for word.
#[test]
fn all_code_is_in_the_file_that_it_names() {
    let page = page();
    let blocks: Vec<_> = page.split("```rust\n").skip(1).collect();
    assert!(blocks.len() > 10, "only {} blocks", blocks.len());
    for block in blocks {
        let block = block.split("```").next().expect("the block");
        let (path, code) = block.split_once('\n').expect("a line");
        let path = path.strip_prefix("// ").expect("a path");
        assert!(!code.trim().is_empty(), "{path}: an empty block");
        let file = read(&root().join(path));
        assert!(file.contains(code), "{path} does not have\n{code}");
    }
}

#[test]
fn links_lead_somewhere() {
    let page = page();
    let headings: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches(['#', ' ']).to_lowercase())
        .map(|heading| heading.replace(' ', "-"))
        .collect();
    for link in page.split("](").skip(1) {
        let target = link.split(')').next().expect("text");
        match target.strip_prefix('#') {
            Some(heading) => assert!(headings.iter().any(|h| h == heading), "{target}"),
            None => assert!(root().join("docs").join(target).exists(), "{target}"),
        }
    }
}

/// Every example of the drivers' package has its row.
#[test]
fn every_driver_is_named() {
    let page = page();
    let folder = root().join("examples/drivers/examples");
    let files = fs::read_dir(&folder).expect("the drivers");
    let files: Vec<PathBuf> = files.map(|entry| entry.expect("a file").path()).collect();
    assert!(files.len() > 10);
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str());
        let name = name.expect("a name");
        assert!(page.contains(name), "{name} is not on the page");
    }
}
