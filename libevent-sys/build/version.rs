//! The version of the libevent that was found: as its headers tell it to the C preprocessor.

use std::fs;
use std::path::Path;

use crate::found::{Found, cargo_var};

/// libevent's `EVENT__NUMERIC_VERSION`, as in `0x02010d00`.
#[derive(Clone, Copy, Debug)]
pub struct Version(pub u32);

impl Version {
    pub fn is_2_2(self) -> bool {
        self.0 >= 0x0202_0000
    }

    /// The constant that is not in the bindings, which one file holds for a whole minor line.
    pub fn write(self, to: &Path) {
        let text = format!(
            "/// The version of the headers this crate was built with.\npub const LIBEVENT_VERSION_NUMBER: u32 = {:#010x};\n",
            self.0
        );
        fs::write(to, text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", to.display()));
    }
}

/// Asks the preprocessor; without a C compiler reads the header's text; without that too believes the finder.
pub fn detect(libevent: &Found) -> Version {
    let version = preprocess(libevent)
        .or_else(|| read_header(libevent))
        .or_else(|| libevent.version_text.as_deref().and_then(parse_text))
        .unwrap_or_else(|| {
            panic!(
                "cannot tell the version of libevent: event2/event-config.h not found in {:?}",
                libevent.include_dirs
            )
        });
    assert!(
        version.0 >= 0x0201_0000,
        "libevent {:#010x} is too old: 2.1 or later is needed",
        version.0
    );
    version
}

/// Some systems split event-config.h by word size, so that only the preprocessor knows which part counts.
fn preprocess(libevent: &Found) -> Option<Version> {
    let probe = Path::new(&cargo_var("OUT_DIR")).join("version.c");
    fs::write(
        &probe,
        "#include <event2/event-config.h>\nlibevent_version EVENT__NUMERIC_VERSION\n",
    )
    .ok()?;
    let expanded = cc::Build::new()
        .file(&probe)
        .includes(&libevent.include_dirs)
        .cargo_metadata(false)
        .cargo_warnings(false)
        .try_expand()
        .ok()?;
    let expanded = String::from_utf8_lossy(&expanded).into_owned();
    let tokens = expanded
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace);
    parse_number(
        tokens
            .skip_while(|token| *token != "libevent_version")
            .nth(1)?,
    )
}

fn read_header(libevent: &Found) -> Option<Version> {
    libevent.include_dirs.iter().find_map(|dir| {
        let text = fs::read_to_string(dir.join("event2/event-config.h")).ok()?;
        let line = text
            .lines()
            .find(|line| line.contains("define EVENT__NUMERIC_VERSION"))?;
        parse_number(line.split_whitespace().last()?)
    })
}

fn parse_number(text: &str) -> Option<Version> {
    u32::from_str_radix(text.trim_start_matches("0x"), 16)
        .ok()
        .map(Version)
}

/// `2.1.12-stable`.
fn parse_text(text: &str) -> Option<Version> {
    let mut numbers = text
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next()?, numbers.next()?);
    Some(Version(
        major << 24 | minor << 16 | numbers.next().unwrap_or(0) << 8,
    ))
}
