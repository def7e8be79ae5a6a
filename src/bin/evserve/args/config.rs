//! A file in the place of flags: each line of it becomes a flag, put before those of the command
//! line, of which the last one counts.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The file that the command line names, found before the rest of it is understood: what it says
/// may need what the file says.
pub fn named_by(args: &[OsString]) -> Option<PathBuf> {
    let mut found = None;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            break;
        }
        if arg == "--config" {
            found = args.next().map(PathBuf::from);
        } else if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            found = Some(path.into());
        }
    }
    found
}

/// The flags that the file stands for.
///
/// # Errors
/// In words: it cannot be read, is no TOML, or has a value that no flag can have.
pub fn flags(path: &Path) -> Result<Vec<OsString>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        // Its own words, and where, in one line.
        let line = error.span().map_or(0, |span| line_of(&text, span.start));
        format!("line {line}: {}", error.message())
    })?;
    let mut flags = Vec::new();
    for (name, value) in table {
        match value {
            Value::Array(values) => {
                for value in values {
                    flag(&mut flags, &name, value)?;
                }
            }
            value => flag(&mut flags, &name, value)?,
        }
    }
    Ok(flags)
}

fn flag(flags: &mut Vec<OsString>, name: &str, value: Value) -> Result<(), String> {
    let value = match value {
        Value::String(text) => text,
        Value::Integer(number) => number.to_string(),
        Value::Boolean(true) => {
            flags.push(format!("--{name}").into());
            return Ok(());
        }
        Value::Boolean(false) => return Ok(()),
        _ => return Err(format!("{name}: a text, a number, true or a list of them")),
    };
    flags.push(format!("--{name}={value}").into());
    Ok(())
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    before.filter(|&&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<OsString>, String> {
        let name = format!(
            "libevent2-config-{}-{:p}.toml",
            std::process::id(),
            text.as_ptr()
        );
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        let flags = flags(&path);
        fs::remove_file(&path).unwrap();
        flags
    }

    #[test]
    fn a_line_is_a_flag() {
        let text =
            "dir = 'public'\nport = 80\ncors = true\nquiet = false\nheader = ['A: b', 'C: d']\n";
        let mut flags = of(text).unwrap();
        flags.sort();
        assert_eq!(
            flags,
            [
                "--cors",
                "--dir=public",
                "--header=A: b",
                "--header=C: d",
                "--port=80"
            ]
        );
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        assert!(of("port = 1\nport = = 2\n").unwrap_err().contains("line 2"));
        assert!(of("port = 1.5\n").unwrap_err().contains("port"));
        assert!(flags(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn the_file_is_found_wherever_it_is_named() {
        let named = |args: &[&str]| named_by(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(named(&["x", "--config", "a"]), Some("a".into()));
        assert_eq!(named(&["--config=a", "-p", "1"]), Some("a".into()));
        assert_eq!(named(&["--", "--config=a"]), None);
        assert_eq!(named(&["--config"]), None);
    }
}
