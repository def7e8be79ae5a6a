//! Which folder libevent's C source is read from.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, pin};

/// Who put the source there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The caller named the folder.
    Given,
    /// `fetch.sh` unpacked the release.
    Fetched,
    /// The package pinned in `libevent-source.toml`.
    Pinned,
}

/// A folder with libevent's C source.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder that holds `event.c`.
    pub dir: PathBuf,
    /// Where it came from.
    pub origin: Origin,
    /// As in `2.1.13-stable`.
    pub version: String,
    /// As in `0x02010d00`.
    pub version_number: u32,
}

impl Source {
    /// Finds the source: the folder `given`, else what `fetch.sh` unpacked, else the pinned package.
    pub(crate) fn find(given: Option<&Path>, out_dir: &Path) -> Result<Self, Error> {
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (dir, origin) = choose(given, &crate_dir.join("libevent"), || {
            pin::resolve(crate_dir, &out_dir.join("pin"))
        })?;
        let (version, version_number) = read_version(&dir)?;
        Ok(Self {
            dir,
            origin,
            version,
            version_number,
        })
    }

    /// Whether the source has `file`, which tells 2.1 from 2.2.
    pub(crate) fn has(&self, file: &str) -> bool {
        self.dir.join(file).is_file()
    }
}

fn choose(
    given: Option<&Path>,
    fetched: &Path,
    pinned: impl FnOnce() -> Result<PathBuf, Error>,
) -> Result<(PathBuf, Origin), Error> {
    if let Some(dir) = given {
        // A wrong setting must not fall through to another libevent than the one asked for.
        return if holds_source(dir) {
            Ok((dir.to_owned(), Origin::Given))
        } else {
            Err(Error::new(format!(
                "LIBEVENT_SOURCE_DIR is {}, which has no event.c: set it to an unpacked libevent release, or unset it",
                dir.display()
            )))
        };
    }
    if holds_source(fetched) {
        return Ok((fetched.to_owned(), Origin::Fetched));
    }
    Ok((pinned()?, Origin::Pinned))
}

/// Whether `dir` is the top folder of libevent's source.
pub(crate) fn holds_source(dir: &Path) -> bool {
    dir.join("event.c").is_file() && dir.join("include/event2/event.h").is_file()
}

/// Both forms of the version stand in configure.ac, in every release and in the repository.
fn read_version(dir: &Path) -> Result<(String, u32), Error> {
    let path = dir.join("configure.ac");
    let text = fs::read_to_string(&path).map_err(|e| Error::io("read", &path, &e))?;
    parse_version(&text).ok_or_else(|| {
        Error::new(format!(
            "{} names no libevent version (AC_INIT, NUMERIC_VERSION)",
            path.display()
        ))
    })
}

fn parse_version(configure_ac: &str) -> Option<(String, u32)> {
    let between = |start: &str, end: char| {
        let rest = &configure_ac[configure_ac.find(start)? + start.len()..];
        Some(rest[..rest.find(end)?].trim())
    };
    let name = between("AC_INIT(libevent,", ')')?;
    let number = between("AC_DEFINE(NUMERIC_VERSION,", ',')?.trim_start_matches("0x");
    Some((name.to_owned(), u32::from_str_radix(number, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like libevent's source, removed at the end.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let dir =
                std::env::temp_dir().join(format!("libevent-src-{name}-{}", std::process::id()));
            fs::create_dir_all(dir.join("include/event2")).unwrap();
            fs::write(dir.join("event.c"), "").unwrap();
            fs::write(dir.join("include/event2/event.h"), "").unwrap();
            Self(dir)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn not_reached() -> Result<PathBuf, Error> {
        panic!("the pinned package must not be asked for")
    }

    #[test]
    fn given_wins_over_fetched() {
        let (given, fetched) = (Tree::new("given"), Tree::new("fetched-1"));
        assert_eq!(
            choose(Some(&given.0), &fetched.0, not_reached).unwrap(),
            (given.0.clone(), Origin::Given)
        );
    }

    #[test]
    fn fetched_wins_over_pinned() {
        let fetched = Tree::new("fetched-2");
        assert_eq!(
            choose(None, &fetched.0, not_reached).unwrap(),
            (fetched.0.clone(), Origin::Fetched)
        );
    }

    #[test]
    fn pinned_comes_last() {
        let missing = Path::new("no-such-folder");
        let found = choose(None, missing, || Ok(PathBuf::from("pinned"))).unwrap();
        assert_eq!(found, (PathBuf::from("pinned"), Origin::Pinned));
    }

    #[test]
    fn a_wrong_given_folder_is_an_error_not_a_fallback() {
        let fetched = Tree::new("fetched-3");
        let message = choose(Some(Path::new("no-such-folder")), &fetched.0, not_reached)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("LIBEVENT_SOURCE_DIR is no-such-folder"),
            "{message}"
        );
    }

    #[test]
    fn version_of_a_release_and_of_the_repository() {
        let text =
            "AC_INIT(libevent,2.1.13-stable)\nAC_DEFINE(NUMERIC_VERSION, 0x02010d00, [Numeric])\n";
        assert_eq!(
            parse_version(text),
            Some(("2.1.13-stable".to_owned(), 0x0201_0d00))
        );
        let text = "AC_INIT(libevent,2.2.1-alpha-dev)\nAC_DEFINE(NUMERIC_VERSION, 0x02020100, [Numeric])\n";
        assert_eq!(
            parse_version(text),
            Some(("2.2.1-alpha-dev".to_owned(), 0x0202_0100))
        );
        assert_eq!(parse_version("nothing here"), None);
    }
}
