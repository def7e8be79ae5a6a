use super::super::ContentError;
use super::{Error, Event, Part};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// Writes the files of an upload to a folder, and keeps the other fields.
///
/// Each file is there whole or not at all: it is written under a name of its own, and gets the
/// client's name, made harmless, when all of it has come. A file that is there already is never
/// touched: the new one gets a number. What is not finished when this is dropped is removed.
///
/// Writing is done where [`take`](Self::take) is called, on the loop as a rule: a slow disk holds
/// up others.
///
/// ```
/// use libevent2::http::Request;
/// use libevent2::http::multipart::{Limits, SaveTo};
///
/// fn upload(request: Request) {
///     let mut folder = SaveTo::new("uploads");
///     let read = request.multipart(Limits::new(), |event| folder.take(event));
///     match read {
///         Ok(()) => {
///             let files = folder.finish().files;
///             let text = format!("{} files, thank you.\n", files.len());
///             request.reply(libevent2::http::StatusCode::CREATED, text);
///         }
///         Err(error) => request.respond(error.response()),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct SaveTo {
    folder: PathBuf,
    durable: bool,
    field_bytes: usize,
    writing: Writing,
    done: Uploaded,
}

/// What came of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// Names and values of the fields that are no files; what is not UTF-8 becomes U+FFFD.
    pub fields: Vec<(String, String)>,
    /// The files.
    pub files: Vec<Saved>,
}

/// A file that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// Its part.
    pub part: Part,
    /// Where it is.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
}

#[derive(Debug)]
enum Writing {
    Nothing,
    Field(String, Vec<u8>),
    File(Part, NamedTempFile, u64),
}

impl SaveTo {
    /// To this folder, which has to be there.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        SaveTo {
            folder: folder.into(),
            durable: false,
            field_bytes: 64 << 10,
            writing: Writing::Nothing,
            done: Uploaded::default(),
        }
    }

    /// Waits for the disk before a file gets its name, so that it is whole after a power failure
    /// too. That can take long.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Sets the most bytes of a field that is no file, which is held in memory: 64 KiB unless
    /// told.
    #[must_use]
    pub fn field_bytes(mut self, bytes: usize) -> Self {
        self.field_bytes = bytes;
        self
    }

    /// Takes what a [`Parser`](super::Parser) has found.
    ///
    /// # Errors
    /// [`Error::Io`] when something cannot be written, [`Error::Content`] when a field is longer
    /// than it may be.
    pub fn take(&mut self, event: Event<'_>) -> Result<(), Error> {
        match event {
            Event::Part(part) => self.writing = self.begin(part)?,
            Event::Data(bytes) => match &mut self.writing {
                Writing::Nothing => {}
                Writing::Field(_, value) if value.len() + bytes.len() > self.field_bytes => {
                    return Err(ContentError::TooLong { what: "a field" }.into());
                }
                Writing::Field(_, value) => value.extend_from_slice(bytes),
                Writing::File(_, file, len) => {
                    file.write_all(bytes)?;
                    *len += bytes.len() as u64;
                }
            },
            Event::End => match std::mem::replace(&mut self.writing, Writing::Nothing) {
                Writing::Nothing => {}
                Writing::Field(name, value) => {
                    let value = String::from_utf8_lossy(&value).into_owned();
                    self.done.fields.push((name, value));
                }
                Writing::File(part, file, bytes) => {
                    let path = self.keep(&part, file)?;
                    self.done.files.push(Saved { part, path, bytes });
                }
            },
        }
        Ok(())
    }

    /// What came of it. A file that has not come to its end is removed.
    pub fn finish(self) -> Uploaded {
        self.done
    }

    fn begin(&self, part: Part) -> io::Result<Writing> {
        Ok(match part.file_name() {
            None => Writing::Field(part.name().to_owned(), Vec::new()),
            // What a browser sends when no file was chosen.
            Some("") => Writing::Nothing,
            Some(_) => {
                let file = new_file(&self.folder)?;
                Writing::File(part, file, 0)
            }
        })
    }

    /// Gives the file the first name that is free.
    fn keep(&self, part: &Part, mut file: NamedTempFile) -> io::Result<PathBuf> {
        if self.durable {
            file.as_file().sync_all()?;
        }
        let name = part.safe_file_name().unwrap_or_else(|| "upload".into());
        let (stem, ending) = match name.rfind('.') {
            Some(dot) if dot > 0 => name.split_at(dot),
            _ => (name.as_str(), ""),
        };
        for number in 0..10_000 {
            let path = match number {
                0 => self.folder.join(&name),
                _ => self.folder.join(format!("{stem}-{number}{ending}")),
            };
            match file.persist_noclobber(&path) {
                Ok(_) => {
                    if self.durable {
                        sync_folder(&self.folder)?;
                    }
                    return Ok(path);
                }
                Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
                    file = failed.file;
                }
                Err(failed) => return Err(failed.error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// A hidden file with the rights of any other.
fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".upload-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Makes the name durable too, where folders can be opened.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Parser};
    use super::*;
    use std::fs;

    const BODY: &str = "--X\r\nContent-Disposition: form-data; name=title\r\n\r\nHello\r\n\
        --X\r\nContent-Disposition: form-data; name=f; filename=\"../a.txt\"\r\n\r\nfirst\r\n\
        --X\r\nContent-Disposition: form-data; name=f; filename=\"a.txt\"\r\n\r\nsecond\r\n\
        --X\r\nContent-Disposition: form-data; name=f; filename=\"\"\r\n\r\n\r\n\
        --X\r\nContent-Disposition: form-data; name=f; filename=\"..\"\r\n\r\n\r\n--X--\r\n";

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(name)
            .map(|n| n.into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn save(saver: &mut SaveTo, body: &str) -> Result<(), Error> {
        let mut parser = Parser::with_boundary("X", Limits::new())?;
        for piece in body.as_bytes().chunks(7) {
            parser.feed(piece, |event| saver.take(event))?;
        }
        Ok(parser.finish()?)
    }

    #[test]
    fn files_get_names_of_their_own_and_fields_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "old").unwrap();
        let mut saver = SaveTo::new(folder.path()).durable();
        save(&mut saver, BODY).unwrap();
        let done = saver.finish();
        assert_eq!(done.fields, [("title".to_owned(), "Hello".to_owned())]);
        assert_eq!(
            names(folder.path()),
            ["a-1.txt", "a-2.txt", "a.txt", "upload"]
        );
        let text = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(text("a.txt"), "old");
        assert_eq!(text("a-1.txt"), "first");
        assert_eq!(text("a-2.txt"), "second");
        assert_eq!(done.files[1].bytes, 6);
        assert_eq!(done.files[0].part.file_name(), Some("../a.txt"));
    }

    #[test]
    fn half_a_file_leaves_nothing() {
        for len in [
            BODY.find("first").unwrap() + 3,
            BODY.find("first").unwrap() + 6,
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut saver = SaveTo::new(folder.path());
            assert!(save(&mut saver, &BODY[..len]).is_err());
            assert_eq!(names(folder.path()).len(), 1);
            drop(saver);
            assert_eq!(names(folder.path()), [""; 0]);
        }
    }

    #[test]
    fn a_field_is_held_in_memory_only_so_far() {
        let folder = tempfile::tempdir().unwrap();
        let mut saver = SaveTo::new(folder.path()).field_bytes(4);
        let error = save(&mut saver, BODY).unwrap_err();
        assert_eq!(error.status(), 413);
    }

    #[test]
    fn a_folder_that_is_not_there_is_our_fault() {
        let mut saver = SaveTo::new("/nowhere/at/all");
        let error = save(&mut saver, BODY).unwrap_err();
        assert!(matches!(error, Error::Io(_)));
        assert_eq!(error.status(), 500);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_the_rights_of_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mut saver = SaveTo::new(folder.path());
        save(&mut saver, BODY).unwrap();
        fs::write(folder.path().join("plain"), "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        let saved = saver.finish().files.remove(0).path;
        assert_eq!(mode(&saved), mode(&folder.path().join("plain")));
    }
}
