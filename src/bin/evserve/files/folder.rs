//! From the path of a request to a file of the folder, and to nothing outside of it.
//!
//! The names are checked here, and the folder is a `cap_std` directory, in which every look-up is
//! confined by the system: a symbolic link that leads out of it is refused, also one that was put
//! there between the check and the opening.

use super::names::{self, names};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder that is served.
pub struct Folder {
    dir: Dir,
    /// Where it is.
    top: PathBuf,
    hidden: bool,
    follow: bool,
}

/// What of a folder is served.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// Also names that begin with a dot.
    pub hidden: bool,
    /// Also through links that lead out of it.
    pub follow: bool,
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
    pub file: File,
    /// Where in the folder.
    pub place: PathBuf,
}

/// A line of a listing.
pub struct Entry {
    pub name: OsString,
    pub is_dir: bool,
    /// It is a link to that.
    pub is_link: bool,
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
    pub fn open(path: &Path, policy: Policy) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        dir.entries()?;
        let Policy { hidden, follow } = policy;
        Ok(Folder {
            dir,
            top: path.canonicalize()?,
            hidden,
            follow,
        })
    }

    /// What it is called.
    pub fn name(&self) -> &OsStr {
        self.top.file_name().unwrap_or(OsStr::new("folder"))
    }

    /// The names that a path is made of; see [`names()`].
    pub fn names(&self, path: &str) -> Option<Vec<OsString>> {
        names(path, self.hidden)
    }

    /// Does it in the folder, or, when links may lead anywhere, in the one that they lead to,
    /// where there is no link left.
    fn at<T>(
        &self,
        relative: &Path,
        work: impl FnOnce(&Dir, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.follow {
            return work(&self.dir, relative);
        }
        let path = self.top.join(relative).canonicalize()?;
        let ambient = |path: &Path| Dir::open_ambient_dir(path, ambient_authority());
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => work(&ambient(parent)?, Path::new(name)),
            _ => work(&ambient(&path)?, Path::new(".")),
        }
    }

    fn metadata(&self, relative: &Path) -> io::Result<Metadata> {
        self.at(relative, |dir, path| dir.metadata(path))
    }

    /// When it was changed last, as far as the system knows.
    pub fn modified(&self, relative: &Path) -> Option<SystemTime> {
        let modified = self.metadata(relative).and_then(|meta| meta.modified());
        modified.ok().map(cap_std::time::SystemTime::into_std)
    }

    /// What the path of a request, still percent-encoded and without the query, leads to.
    pub fn find(&self, path: &str) -> Result<Found, Refusal> {
        let names = self.names(path).ok_or(Refusal::NotFound)?;
        if names.is_empty() {
            return self.folder(Path::new("."));
        }
        let relative: PathBuf = names.iter().collect();
        match (self.metadata(&relative)?.is_dir(), path.ends_with('/')) {
            (true, true) => self.folder(&relative),
            (true, false) => Ok(Found::NeedsSlash),
            (false, false) => self.file(&relative).map(Found::File),
            // "file.txt/" is not "file.txt".
            (false, true) => Err(Refusal::NotFound),
        }
    }

    /// The page of a program that has only one.
    pub fn top_page(&self) -> Result<FoundFile, Refusal> {
        self.file(Path::new("index.html"))
    }

    fn folder(&self, relative: &Path) -> Result<Found, Refusal> {
        match self.file(&relative.join("index.html")) {
            Ok(index) => Ok(Found::File(index)),
            Err(Refusal::Busy) => Err(Refusal::Busy),
            Err(_) => Ok(Found::Listing(self.entries(relative)?)),
        }
    }

    /// What the folder has to show.
    pub fn entries(&self, relative: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in self.at(relative, |dir, path| dir.read_dir(path))? {
            let entry = entry?;
            let name = entry.file_name();
            if !self.hidden && names::is_hidden(&name) {
                continue;
            }
            // Follows links; what leads to where it may not is not shown.
            let Ok(meta) = self.metadata(&relative.join(&name)) else {
                continue;
            };
            if meta.is_dir() || meta.is_file() {
                let modified = meta.modified().ok();
                entries.push(Entry {
                    is_dir: meta.is_dir(),
                    is_link: entry.file_type().is_ok_and(|kind| kind.is_symlink()),
                    size: meta.len(),
                    modified: modified.map(cap_std::time::SystemTime::into_std),
                    name,
                });
            }
        }
        Ok(entries)
    }

    fn file(&self, relative: &Path) -> Result<FoundFile, Refusal> {
        let file = self.open_file(relative)?;
        let place = relative.to_owned();
        Ok(FoundFile { file, place })
    }

    /// Opens a regular file. Others are not opened, which has effects for some, and a pipe that
    /// took the file's place meanwhile is not waited for.
    pub fn open_file(&self, relative: &Path) -> io::Result<File> {
        let regular = |is_file: bool| match is_file {
            true => Ok(()),
            false => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        regular(self.metadata(relative)?.is_file())?;
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        }
        let file = self.at(relative, |dir, path| dir.open_with(path, &options))?;
        let file = file.into_std();
        regular(file.metadata()?.is_file())?;
        Ok(file)
    }

    /// Where a folder in it is to the system, for those that write there; the way there leads out
    /// of this folder only if links may.
    pub fn real(&self, relative: &Path) -> io::Result<PathBuf> {
        let path = self.top.join(relative).canonicalize()?;
        if !self.follow && !path.starts_with(&self.top) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(path)
    }
}
