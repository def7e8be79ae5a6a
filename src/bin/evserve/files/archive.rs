//! A folder as a tar, made piece by piece while it is sent.

use super::folder::{Entry, Folder};
use libevent2::http::{HeaderValue, Method, Outgoing, Request, Response, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;
use tar::{Builder, EntryType, Header};

/// How much waits for the client at most.
const WAITING: usize = 256 << 10;
const BLOCK: u64 = 512;

/// What is still to be sent of a folder.
pub struct Archive {
    folder: Rc<Folder>,
    /// Where it is, its name in the archive, and what it is; the next one at the end.
    waiting: Vec<(PathBuf, PathBuf, Entry)>,
    /// The file that is being sent, what is left of it, and what fills its last block.
    file: Option<(File, u64, usize)>,
    ended: bool,
}

/// Sends the folder at `relative` as `name.tar`.
pub fn send(
    folder: &Rc<Folder>,
    relative: &Path,
    name: &OsStr,
    request: Request,
    response: Response,
) {
    let is_head = request.method() == Method::HEAD;
    let mut response = response.status(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-tar"),
    );
    let encoded = percent_encode(name.as_encoded_bytes(), NON_ALPHANUMERIC);
    let disposition = format!("attachment; filename*=UTF-8''{encoded}.tar");
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    let out = request.start(response);
    if is_head {
        return out.finish();
    }
    let mut archive = Archive::new(folder, relative, name);
    out.on_drain(move |out: &Outgoing| {
        while out.is_open() && out.pending() < WAITING {
            match archive.next() {
                // It fails for a client that has gone, which is no failure of ours.
                Some(piece) => drop(out.send(piece)),
                None => return out.finish(),
            }
        }
    });
}

impl Archive {
    fn new(folder: &Rc<Folder>, relative: &Path, name: &OsStr) -> Self {
        let top = Entry {
            name: name.to_owned(),
            is_dir: true,
            is_link: false,
            size: 0,
            modified: folder.modified(relative),
        };
        Archive {
            folder: Rc::clone(folder),
            waiting: vec![(relative.to_owned(), name.into(), top)],
            file: None,
            ended: false,
        }
    }

    /// What cannot be read is left out, and a file that has become shorter is filled with zeros:
    /// its length was told before. Both are said on standard error.
    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some((file, left, padding)) = &mut self.file {
            let mut piece = vec![0; usize::try_from(*left).unwrap_or(WAITING).min(WAITING / 4)];
            if let Err(error) = read_full(file, &mut piece) {
                complain(&error);
            }
            *left -= piece.len() as u64;
            if *left == 0 {
                piece.resize(piece.len() + *padding, 0);
                self.file = None;
            }
            return Some(piece);
        }
        while let Some((relative, name, entry)) = self.waiting.pop() {
            match self.begin(&relative, &name, &entry) {
                Ok(head) => return Some(head),
                Err(error) => complain(&error),
            }
        }
        // Two empty blocks.
        (!std::mem::replace(&mut self.ended, true)).then(|| vec![0; 2 * BLOCK as usize])
    }

    fn begin(&mut self, relative: &Path, name: &Path, entry: &Entry) -> io::Result<Vec<u8>> {
        if entry.is_dir {
            let head = head(name, EntryType::Directory, 0, entry.modified)?;
            // A link to a folder may lead back to where we are.
            let mut inside = self.folder.entries(relative)?;
            inside.retain(|entry| !(entry.is_dir && entry.is_link));
            inside.sort_by(|a, b| b.name.cmp(&a.name));
            let inside = inside
                .into_iter()
                .map(|entry| (relative.join(&entry.name), name.join(&entry.name), entry));
            self.waiting.extend(inside);
            return Ok(head);
        }
        let file = self.folder.open_file(relative)?;
        let len = file.metadata()?.len();
        let head = head(name, EntryType::Regular, len, entry.modified)?;
        let padding = (BLOCK - len % BLOCK) % BLOCK;
        if len > 0 {
            self.file = Some((file, len, padding as usize));
        }
        Ok(head)
    }
}

/// The block before a file, and those for a name that is too long for it.
fn head(
    name: &Path,
    kind: EntryType,
    len: u64,
    modified: Option<SystemTime>,
) -> io::Result<Vec<u8>> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory {
        0o755
    } else {
        0o644
    });
    header.set_size(len);
    let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    header.set_mtime(since.map_or(0, |since| since.as_secs()));
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, name, io::empty())?;
    Ok(std::mem::take(builder.get_mut()))
}

/// Zeros stay where there is nothing more to read.
fn read_full(file: &mut File, mut space: &mut [u8]) -> io::Result<()> {
    while !space.is_empty() {
        match file.read(space) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => space = &mut space[read..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn complain(error: &io::Error) {
    let _ = writeln!(io::stderr(), "evserve: archive: {error}");
}
