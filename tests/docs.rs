//! The documents say what is true: their tables are compared with the bindings, the source and
//! the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Names = BTreeSet<String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names<'a>(from: impl IntoIterator<Item = &'a str>) -> Names {
    from.into_iter().map(str::to_owned).collect()
}

/// Fails with what is on one side only.
fn assert_same(left_name: &str, left: &Names, right_name: &str, right: &Names) {
    let only_left: Vec<_> = left.difference(right).collect();
    let only_right: Vec<_> = right.difference(left).collect();
    assert!(
        only_left.is_empty() && only_right.is_empty(),
        "only in {left_name}: {only_left:?}\nonly in {right_name}: {only_right:?}"
    );
}

// --- Markdown -----------------------------------------------------------------------------------

/// The cells of each table row under the heading `## name`.
fn table(markdown: &str, heading: &str) -> Vec<Vec<String>> {
    markdown
        .lines()
        .skip_while(|line| line.strip_prefix("## ") != Some(heading))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(cells)
        .skip(2)
        .collect()
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix("| ").or(line.strip_prefix('|'))?;
    let inner = inner.strip_suffix('|')?;
    let cells = inner.replace("\\|", "\u{0}");
    let cells = cells
        .split('|')
        .map(|cell| cell.trim().replace('\u{0}', "|"));
    Some(cells.collect())
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

// --- docs/coverage.md ---------------------------------------------------------------------------

/// The public functions of libevent 2.1 by header, as `EVENT2_EXPORT_SYMBOL` marks them.
const HEADERS: [(&str, usize); 11] = [
    ("event.h", 69),
    ("buffer.h", 49),
    ("bufferevent.h", 62),
    ("bufferevent_ssl.h", 7),
    ("dns.h", 39),
    ("http.h", 104),
    ("listener.h", 9),
    ("rpc.h", 25),
    ("tag.h", 20),
    ("thread.h", 8),
    ("util.h", 33),
];

/// The heading of the table of old names.
const COMPAT: &str = "The API of libevent 1.4";

const STATUSES: [&str; 4] = ["safe", "inside", "raw", "later"];
const TOPICS: [&str; 0] = [];

struct Function {
    c: String,
    status: String,
    text: String,
}

impl Function {
    fn is_bound(&self) -> bool {
        !self.text.starts_with("not bound")
    }
}

fn functions(coverage: &str, header: &str) -> Vec<Function> {
    let rows = table(coverage, header).into_iter();
    rows.map(|row| {
        let [c, status, text] = row.try_into().expect("three cells");
        let c = c.trim_matches('`').to_owned();
        Function { c, status, text }
    })
    .collect()
}

fn all_functions() -> Vec<Function> {
    let coverage = read("docs/coverage.md");
    let headers = HEADERS.iter();
    headers
        .flat_map(|(header, _)| functions(&coverage, header))
        .collect()
}

/// The functions declared in `extern` blocks.
fn declared(rust: &str) -> Names {
    let blocks = rust.split("unsafe extern \"C\" {").skip(1);
    let bodies = blocks.filter_map(|block| block.split("\n    }\n").next()?.split("\n}\n").next());
    bodies.flat_map(public_fns).collect()
}

fn public_fns(rust: &str) -> Names {
    let lines = rust.lines().map(str::trim);
    let found = lines.filter_map(|line| {
        let rest = line.strip_prefix("pub ")?;
        let rest = rest.strip_prefix("unsafe ").unwrap_or(rest);
        Some(ident(rest.strip_prefix("fn ")?))
    });
    names(found.filter(|name| !name.is_empty()))
}

/// The functions that `c_macros!` writes.
fn macro_fns(rust: &str) -> Names {
    let lines = rust.lines().map(str::trim);
    let found = lines.filter_map(|line| line.strip_prefix("fn ").map(ident));
    names(found.filter(|name| !name.is_empty()))
}

fn ident(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

struct Bindings {
    today: Names,
    compat: Names,
}

/// A generated file: today's API, `pub mod compat`, `pub mod ssl`.
fn bindings(line: &str) -> Bindings {
    let text = read(format!("libevent-sys/src/bindings/{line}.rs"));
    let (core, rest) = text
        .split_once("pub mod compat {")
        .expect("a module compat");
    let (compat, ssl) = rest.split_once("pub mod ssl {").expect("a module ssl");
    Bindings {
        today: &declared(core) | &declared(ssl),
        compat: declared(compat),
    }
}

/// What the generated file leaves out because it differs by target or hides in a macro.
fn written_by_hand() -> Names {
    let mut all = public_fns(&read("libevent-sys/src/platform.rs"));
    all.append(&mut public_fns(&read("libevent-sys/src/util.rs")));
    let macros = read("libevent-sys/src/macros.rs");
    all.append(&mut public_fns(&macros));
    all.append(&mut macro_fns(&macros));
    all
}

#[test]
fn the_tables_have_every_function_of_each_header_once() {
    let coverage = read("docs/coverage.md");
    let mut seen = Names::new();
    for (header, count) in HEADERS {
        let rows = functions(&coverage, header);
        assert_eq!(rows.len(), count, "functions of {header}");
        for row in rows {
            assert!(seen.insert(row.c.clone()), "{} stands there twice", row.c);
        }
    }
    assert_eq!(seen.len(), 425);
}

#[test]
fn the_tables_agree_with_the_bindings() {
    let rows = all_functions();
    let bound = rows
        .iter()
        .filter(|row| row.is_bound())
        .map(|row| row.c.as_str());
    let generated = bindings("v2_1").today;
    let by_hand = written_by_hand();
    let table: Names = names(bound.clone().filter(|name| !by_hand.contains(*name)));
    assert_same("docs/coverage.md", &table, "the bindings", &generated);

    // What is written by hand is a function of the tables or a macro.
    let coverage = read("docs/coverage.md");
    let macros = table_names(&coverage, "Macros", 0);
    let compat = table_names(&coverage, COMPAT, 0);
    let known = &(&names(bound) | &macros) | &compat;
    let strangers: Vec<_> = by_hand.difference(&known).collect();
    assert!(
        strangers.is_empty(),
        "not in docs/coverage.md: {strangers:?}"
    );
    for row in rows.iter().filter(|row| !row.is_bound()) {
        let there = generated.contains(&row.c) || by_hand.contains(&row.c);
        assert!(!there, "{} is bound", row.c);
    }
}

/// Everything in backticks in one column of a table.
fn table_names(markdown: &str, heading: &str, column: usize) -> Names {
    let rows = table(markdown, heading);
    assert!(!rows.is_empty(), "no table under {heading}");
    rows.iter()
        .flat_map(|row| names(code(&row[column])))
        .collect()
}

#[test]
fn the_macros_are_bound_as_the_table_says() {
    let by_hand = written_by_hand();
    for row in table(&read("docs/coverage.md"), "Macros") {
        if !row[1].starts_with("not bound") {
            for name in code(&row[0]) {
                assert!(by_hand.contains(name), "{name} is not in libevent-sys/src");
            }
        }
    }
}

#[test]
fn the_compat_table_agrees_with_the_bindings() {
    let coverage = read("docs/coverage.md");
    let old = table_names(&coverage, COMPAT, 0);
    let bound = &bindings("v2_1").compat | &(&written_by_hand() & &old);
    assert_same("the table", &old, "compat", &bound);
    let today = names(all_functions().iter().map(|row| row.c.as_str()));
    let new = table_names(&coverage, COMPAT, 1);
    assert!(new.is_subset(&today), "{:?}", new.difference(&today));
}

#[test]
fn the_table_of_2_2_agrees_with_the_bindings() {
    let (old, new) = (bindings("v2_1"), bindings("v2_2"));
    let added = &new.today - &old.today;
    let table = table_names(&read("docs/coverage.md"), "What libevent 2.2 adds", 1);
    assert_same("the table", &table, "the bindings of 2.2", &added);
    assert_eq!(old.compat, new.compat);
}

#[test]
fn every_row_has_a_status_and_the_summary_counts_them() {
    let coverage = read("docs/coverage.md");
    let mut expected = Vec::new();
    let mut total = [0; 5];
    for (header, _) in HEADERS {
        let rows = functions(&coverage, header);
        for row in &rows {
            assert!(
                STATUSES.contains(&&*row.status),
                "{}: {}",
                row.c,
                row.status
            );
            assert!(!row.text.is_empty(), "{}: no text", row.c);
            if row.status == "later" {
                let has_topic = TOPICS.iter().any(|topic| row.text.starts_with(topic));
                assert!(has_topic, "{}: {}", row.c, row.text);
            }
        }
        let count = |status| rows.iter().filter(|row| row.status == status).count();
        let [safe, inside, raw, later] = STATUSES.map(count);
        let counts = [rows.len(), safe, inside, raw, later];
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
        expected.push(summary(header, counts));
    }
    expected.push(summary("all", total));
    for line in expected {
        assert!(coverage.contains(&line), "the summary should have: {line}");
    }
}

fn summary(name: &str, counts: [usize; 5]) -> String {
    let counts = counts.map(|count| count.to_string());
    format!("| {name} | {} |", counts.join(" | "))
}

// --- the safe layer's names ---------------------------------------------------------------------

/// The Rust names under which the documentation is found by a C name.
fn aliases() -> BTreeMap<String, Names> {
    let mut found = BTreeMap::<String, Names>::new();
    for file in rust_files("src") {
        let path = file.strip_prefix(root().join("src")).expect("below src");
        let top = path
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .unwrap_or("");
        let module = top.trim_end_matches(".rs");
        if is_module("", module) {
            let module = is_module("pub ", module).then_some(module);
            aliases_of(&read(&file), module, &mut found);
        }
    }
    found
}

/// Whether the crate's root declares this module, so publicly (`pub `) or otherwise.
fn is_module(visibility: &str, name: &str) -> bool {
    let declaration = format!("\n{visibility}mod {name};");
    let root = read("src/lib.rs");
    root.contains(&declaration) || visibility.is_empty() && is_module("pub ", name)
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Reads formatted Rust line by line: which item each `#[doc(alias)]` stands on, and in which
/// type that item is.
fn aliases_of(rust: &str, module: Option<&str>, found: &mut BTreeMap<String, Names>) {
    let mut container = String::new();
    let mut waiting = Vec::new();
    let mut open_brackets = 0;
    for line in rust.lines() {
        let text = line.trim();
        if let Some(alias) = text.strip_prefix("#[doc(alias = \"") {
            waiting.push(ident(alias).to_owned());
            continue;
        }
        if text.is_empty() || text.starts_with("//") {
            continue;
        }
        if open_brackets > 0 || text.starts_with("#[") {
            open_brackets += text.matches('[').count() as isize;
            open_brackets -= text.matches(']').count() as isize;
            continue;
        }
        let top = !line.starts_with(' ');
        let mut item = item_name(text);
        if let Some(owner) = implemented(line) {
            container = owner;
        } else if let Some(name) = type_name(text) {
            container.clear();
            item = Some(path(module, "", name));
            name.clone_into(&mut container);
        } else {
            let inside = if top { "" } else { &*container };
            item = item.map(|item| path(module, inside, &item));
            if top && !text.starts_with(['}', ')']) {
                container.clear();
            }
        }
        if let Some(item) = item {
            for alias in waiting.drain(..) {
                found.entry(alias).or_default().insert(item.clone());
            }
        }
    }
}

fn path(module: Option<&str>, container: &str, item: &str) -> String {
    let parts = [module.unwrap_or(""), container, item];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("::")
}

/// `struct X`, `enum X`, or `X<S> => XRef<S>` in the macro that makes the events' owners.
fn type_name(text: &str) -> Option<&str> {
    for kind in ["pub struct ", "pub enum ", "pub trait "] {
        if let Some(rest) = text.strip_prefix(kind) {
            return Some(ident(rest));
        }
    }
    let (owner, view) = text.split_once(" => ")?;
    let name = ident(owner);
    view.starts_with(&format!("{name}Ref")).then_some(name)
}

fn item_name(text: &str) -> Option<String> {
    let mut rest = text;
    for word in ["pub ", "async ", "unsafe ", "const ", "fn ", "type "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let name = ident(rest);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The type of a top-level `impl`.
fn implemented(line: &str) -> Option<String> {
    let rest = line
        .strip_prefix("unsafe ")
        .unwrap_or(line)
        .strip_prefix("impl")?;
    let mut rest = rest;
    if rest.starts_with('<') {
        let mut depth = 0;
        let end = rest.char_indices().find(|(at, c)| {
            match c {
                '<' => depth += 1,
                '>' if !rest[..*at].ends_with('-') => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        rest = &rest[end?.0 + 1..];
    }
    let target = rest
        .split_once(" for ")
        .map_or(rest, |(_, target)| target)
        .trim();
    let target = target.split('<').next()?.rsplit("::").next()?;
    Some(ident(target.trim()).to_owned())
}

#[test]
fn every_safe_name_is_found_by_its_c_name_and_the_other_way_round() {
    let aliases = aliases();
    let mut wrong = Vec::new();
    for row in all_functions() {
        let table = if row.status == "safe" {
            names(code(&row.text))
        } else {
            Names::new()
        };
        let source = aliases.get(&row.c).cloned().unwrap_or_default();
        if table != source {
            wrong.push(format!(
                "{}: the table says {table:?}, src {source:?}",
                row.c
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_macros_are_found_by_their_c_names() {
    let aliases = aliases();
    for row in table(&read("docs/coverage.md"), "Macros") {
        if row[1].starts_with('`') {
            for name in code(&row[0]) {
                let source = aliases.get(name).cloned().unwrap_or_default();
                assert_eq!(names(code(&row[1])), source, "{name}");
            }
        }
    }
}

#[test]
fn what_the_safe_layer_calls_by_itself_is_called() {
    let source: String = rust_files("src").iter().map(read).collect();
    for row in all_functions().iter().filter(|row| row.status == "inside") {
        assert!(source.contains(&format!("::{}(", row.c)), "{}", row.c);
    }
}

// --- docs/traps.md ------------------------------------------------------------------------------

#[test]
fn every_trap_has_an_answer() {
    let traps = read("docs/traps.md");
    let rows: Vec<_> = traps
        .lines()
        .filter_map(cells)
        .filter(|row| is_trap(&row[0]))
        .collect();
    let ids: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
    let expected: Vec<_> = (1..=54).map(|n| format!("T{n}")).collect();
    assert_eq!(ids, expected);
    for row in rows {
        let [id, what, answer] = row.try_into().expect("three cells");
        assert!(!what.is_empty(), "{id}: what it is");
        let starts = ["Covered by ", "Cannot be reached: ", "Waits for "];
        assert!(
            starts.iter().any(|start| answer.starts_with(start)),
            "{id}: {answer}"
        );
        let tests: Vec<_> = code(&answer).into_iter().filter_map(cited_test).collect();
        assert_eq!(
            answer.starts_with("Covered by "),
            !tests.is_empty(),
            "{id}: tests"
        );
        for (file, name) in tests {
            assert!(has_test(file, name), "{id}: there is no {file}::{name}");
        }
        for path in code(&answer)
            .into_iter()
            .filter(|code| code.starts_with("src/"))
        {
            let path = path.split("::").next().expect("a path");
            assert!(root().join(path).exists(), "{id}: there is no {path}");
        }
    }
}

fn is_trap(cell: &str) -> bool {
    let number = cell.strip_prefix('T');
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

fn cited_test(code: &str) -> Option<(&str, &str)> {
    let (file, name) = code.split_once(".rs::")?;
    Some((&code[..file.len() + 3], name))
}

/// Whether `file` has the function `name`, marked as a test, or named in the list of a macro that
/// makes tests of it. A path such as `module::name` counts by its last part.
fn has_test(file: &str, name: &str) -> bool {
    let Ok(text) = fs::read_to_string(root().join(file)) else {
        return false;
    };
    let name = name.rsplit("::").next().expect("a name");
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let is_fn = line
            .strip_prefix("fn ")
            .is_some_and(|rest| ident(rest) == name);
        let attributes = lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with(['#', '/']));
        let in_a_list = || lines.iter().any(|line| line.trim_end_matches(',') == name);
        is_fn && (attributes.clone().any(|line| *line == "#[test]") || in_a_list())
    })
}

// --- README.md and the others -------------------------------------------------------------------

/// The variables that the build scripts read.
#[test]
fn the_readme_names_every_variable_of_the_build() {
    let mut read_by_build = Names::new();
    for folder in ["libevent-sys/build", "vendor/src"] {
        for file in rust_files(folder) {
            let text = read(file);
            for call in ["var(\"", "is_set(\""] {
                let found = text.split(call).skip(1).map(ident);
                read_by_build.extend(
                    found
                        .filter(|name| name.starts_with("LIBEVENT_"))
                        .map(str::to_owned),
                );
            }
        }
    }
    let readme = table_names(&read("README.md"), "How libevent is found", 0);
    assert_same("README.md", &readme, "the build scripts", &read_by_build);
}

#[test]
fn the_readme_names_every_feature() {
    let manifest = read("Cargo.toml");
    let (_, features) = manifest.split_once("[features]").expect("features");
    let features = features.split("\n[").next().expect("text");
    let features = features
        .lines()
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name));
    let manifest = names(features.filter(|name| *name != "default"));
    let readme = table_names(&read("README.md"), "Features", 0);
    assert_same("README.md", &readme, "Cargo.toml", &manifest);
}

#[test]
fn links_to_files_lead_somewhere() {
    for document in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/coverage.md",
        "docs/traps.md",
    ] {
        let folder = Path::new(document).parent().expect("a folder");
        for link in read(document).split("](").skip(1) {
            let target = link.split(')').next().expect("text");
            let target = target.split('#').next().expect("text");
            if !target.is_empty() && !target.contains("://") {
                let path = root().join(folder).join(target);
                assert!(path.exists(), "{document}: {target}");
            }
        }
    }
}
