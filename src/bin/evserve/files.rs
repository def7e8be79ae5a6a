//! From the path of a request to a file of the folder, and to nothing outside of it.
//!
//! The names are checked here, and the folder is a `cap_std` directory, in which every look-up is
//! confined by the system: a symbolic link that leads out of it is refused, also one that was put
//! there between the check and the opening.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use percent_encoding::percent_decode_str;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder that is served.
pub struct Folder {
    dir: Dir,
}

/// What a path leads to.
pub enum Found {
    File(FoundFile),
    /// A folder without an index.
    Listing(Vec<Entry>),
    /// A folder that was asked for without the slash at the end.
    NeedsSlash,
}

/// A regular file, open.
pub struct FoundFile {
    pub file: std::fs::File,
    pub modified: Option<SystemTime>,
    /// The type by the name's ending.
    pub mime: String,
}

/// A line of a listing.
pub struct Entry {
    pub name: OsString,
    pub is_dir: bool,
    pub size: u64,
    pub modified: Option<SystemTime>,
}

/// Why there is nothing to send.
#[derive(Debug)]
pub enum Refusal {
    /// No such name, or one that is not shown.
    NotFound,
    /// It leads out of the folder, or may not be read.
    Forbidden,
    /// The process has no descriptor left.
    Busy,
    Failed(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        #[cfg(unix)]
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => return Refusal::Busy,
            Some(libc::ELOOP) => return Refusal::NotFound,
            _ => {}
        }
        match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput => Refusal::NotFound,
            io::ErrorKind::PermissionDenied => Refusal::Forbidden,
            _ => Refusal::Failed(error),
        }
    }
}

impl Folder {
    /// Opens the folder.
    ///
    /// # Errors
    /// When it is not there, is no folder, or may not be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        dir.entries()?;
        Ok(Folder { dir })
    }

    /// What the path of a request, still percent-encoded and without the query, leads to.
    pub fn find(&self, path: &str) -> Result<Found, Refusal> {
        let names = names(path).ok_or(Refusal::NotFound)?;
        if names.is_empty() {
            return self.folder(Path::new("."));
        }
        let relative: PathBuf = names.iter().collect();
        match (self.dir.metadata(&relative)?.is_dir(), path.ends_with('/')) {
            (true, true) => self.folder(&relative),
            (true, false) => Ok(Found::NeedsSlash),
            (false, false) => self.file(&relative).map(Found::File),
            // "file.txt/" is not "file.txt".
            (false, true) => Err(Refusal::NotFound),
        }
    }

    fn folder(&self, relative: &Path) -> Result<Found, Refusal> {
        match self.file(&relative.join("index.html")) {
            Ok(index) => Ok(Found::File(index)),
            Err(Refusal::Busy) => Err(Refusal::Busy),
            Err(_) => self.entries(relative).map(Found::Listing),
        }
    }

    /// What the folder has to show, folders first, by name.
    fn entries(&self, relative: &Path) -> Result<Vec<Entry>, Refusal> {
        let dir = self.dir.open_dir(relative)?;
        let mut entries = Vec::new();
        for entry in dir.entries()? {
            let name = entry?.file_name();
            if is_hidden(&name) {
                continue;
            }
            // Follows links inside the folder; what leads out of it is not shown.
            let Ok(meta) = dir.metadata(&name) else {
                continue;
            };
            if meta.is_dir() || meta.is_file() {
                entries.push(Entry {
                    is_dir: meta.is_dir(),
                    size: meta.len(),
                    modified: meta
                        .modified()
                        .ok()
                        .map(cap_std::time::SystemTime::into_std),
                    name,
                });
            }
        }
        entries.sort_by(|a, b| b.is_dir.cmp(&a.is_dir).then_with(|| a.name.cmp(&b.name)));
        Ok(entries)
    }

    /// Opens a regular file. Others are not opened, which has effects for some, and a pipe that
    /// took the file's place meanwhile is not waited for.
    fn file(&self, relative: &Path) -> Result<FoundFile, Refusal> {
        if !self.dir.metadata(relative)?.is_file() {
            return Err(Refusal::NotFound);
        }
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        }
        let file = self.dir.open_with(relative, &options)?.into_std();
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(Refusal::NotFound);
        }
        Ok(FoundFile {
            modified: meta.modified().ok(),
            file,
            mime: mime_of(relative),
        })
    }
}

/// The type by the name's ending; text is taken for UTF-8.
fn mime_of(name: &Path) -> String {
    let mime = mime_guess::from_path(name).first_or_octet_stream();
    let is_text =
        mime.type_() == "text" || matches!(mime.subtype().as_str(), "javascript" | "json");
    match mime.get_param("charset") {
        None if is_text => format!("{mime}; charset=utf-8"),
        _ => mime.to_string(),
    }
}

/// The names that a path is made of, decoded; `None` for a path that is never served: hidden names
/// (and with them `.` and `..`), and names that would be more than one name to the system.
pub fn names(path: &str) -> Option<Vec<OsString>> {
    let segments = path.strip_prefix('/')?.split('/');
    segments
        .filter(|segment| !segment.is_empty())
        .map(name)
        .collect()
}

fn name(segment: &str) -> Option<OsString> {
    let bytes: Vec<u8> = percent_decode_str(segment).collect();
    let separators: &[u8] = if cfg!(windows) { b"/\0\\:" } else { b"/\0" };
    if bytes.is_empty() || bytes.iter().any(|byte| separators.contains(byte)) {
        return None;
    }
    let name = os_string(bytes)?;
    (!is_hidden(&name)).then_some(name)
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(path: &str) -> Option<Vec<String>> {
        let names = names(path)?;
        Some(
            names
                .iter()
                .map(|name| name.to_string_lossy().into_owned())
                .collect(),
        )
    }

    #[test]
    fn a_path_is_split_before_it_is_decoded() {
        assert_eq!(
            decoded("/a%20b/%C3%A9.txt"),
            Some(vec!["a b".into(), "é.txt".into()])
        );
        assert_eq!(decoded("/a//b/"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(decoded("/"), Some(vec![]));
        assert_eq!(decoded("/what%3Fnow"), Some(vec!["what?now".into()]));
        assert_eq!(decoded("/100%"), Some(vec!["100%".into()]));
    }

    #[test]
    fn a_path_that_could_leave_the_folder_has_no_names() {
        for path in [
            "/..",
            "/../etc/passwd",
            "/a/../../b",
            "/%2e%2e/x",
            "/%2E./x",
            "/.%2e",
            "/a%2fb",
            "/a%2Fb",
            "/%2f",
            "/x%00.html",
            "/.hidden",
            "/%2ehidden",
            "/a/.git/config",
            "/.",
            "relative",
            "",
        ] {
            assert_eq!(decoded(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_decoded_twice_by_nobody_is_an_ordinary_name() {
        assert_eq!(
            decoded("/%252e%252e/x"),
            Some(vec!["%2e%2e".into(), "x".into()])
        );
    }

    #[test]
    fn types_come_from_the_ending() {
        assert_eq!(mime_of(Path::new("a/b.html")), "text/html; charset=utf-8");
        assert_eq!(mime_of(Path::new("b.js")), "text/javascript; charset=utf-8");
        assert_eq!(mime_of(Path::new("b.png")), "image/png");
        assert_eq!(mime_of(Path::new("noending")), "application/octet-stream");
    }
}
