//! Prints what is added to files, like `tail -F`.
//!
//! `cargo run --example tail_files /var/log/syslog /var/log/auth.log`. Ctrl-C ends it.

use lexopt::prelude::*;
use libevent2::buffer::Eol;
use libevent2::{Buffer, EventBase, LoopHandle, Signal, Timer};
use std::cell::RefCell;
use std::error::Error;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::Duration;

const HELP: &str = "\
Usage: tail_files [--all] FILE...

Prints each line that is added to a file, with the file's name in front. A file
may become shorter, be replaced by another one, go, and come later.

  -a, --all  begins with what is in the files already

SIGINT ends it.
";

/// How often the files are looked at, whatever the system says of them: not all file systems tell.
const LOOK: Duration = Duration::from_secs(1);
/// As much is read at once.
const CHUNK: usize = 64 * 1024;

fn main() -> ExitCode {
    match arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tail_files: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The files, and whether to begin at the front.
fn arguments() -> Result<(Vec<PathBuf>, bool), lexopt::Error> {
    let (mut files, mut all) = (Vec::new(), false);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => {
                print!("{HELP}");
                exit(0);
            }
            Short('a') | Long("all") => all = true,
            Value(value) => files.push(value.into()),
            _ => return Err(argument.unexpected()),
        }
    }
    match files.is_empty() {
        true => Err("FILE is missing; see --help".into()),
        false => Ok((files, all)),
    }
}

fn run((paths, all): (Vec<PathBuf>, bool)) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let _interrupt = Signal::new(&base, libc::SIGINT, |signal| signal.handle().exit())?;
    let followed = paths.iter().map(|path| Followed::new(path.clone(), all));
    let followed = Rc::new(RefCell::new(followed.collect::<Vec<_>>()));
    let look = move |_: &LoopHandle| {
        followed
            .borrow_mut()
            .iter_mut()
            .try_for_each(Followed::look)
    };
    look(&base)?;

    #[cfg(target_os = "linux")]
    let _changes = inotify::watch(&base, &paths, look.clone())?;
    let _every_second = Timer::every(&base, LOOK, move |timer| look(timer.handle()))?;
    base.run()?;
    Ok(())
}

/// One of the files.
struct Followed {
    path: PathBuf,
    file: Option<File>,
    /// How much of it was read.
    position: u64,
    /// The beginning of a line whose end is not there yet.
    rest: Buffer,
    /// What was said last of why there is no file.
    missing: Option<io::ErrorKind>,
}

impl Followed {
    fn new(path: PathBuf, all: bool) -> Self {
        let mut this = Followed {
            path,
            file: None,
            position: 0,
            rest: Buffer::new(),
            missing: None,
        };
        if !all && let Ok(mut file) = File::open(&this.path) {
            this.position = file.seek(SeekFrom::End(0)).unwrap_or(0);
            this.file = Some(file);
        }
        this
    }

    fn say(&self, what: impl std::fmt::Display) {
        eprintln!("tail_files: {}: {what}", self.path.display());
    }

    /// Prints what is new, and finds out whether there is another file by this name.
    fn look(&mut self) -> io::Result<()> {
        self.read()?;
        let found = File::open(&self.path).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        match (found, &self.file) {
            (Err(error), _) => {
                if self.missing.replace(error.kind()) != Some(error.kind()) {
                    self.say(error);
                }
            }
            (Ok((_, new)), _) if new.is_dir() => {
                if self.missing.replace(io::ErrorKind::IsADirectory).is_none() {
                    self.say("is a directory");
                }
            }
            (Ok((_, new)), Some(old)) if is_same(&new, &old.metadata()?) => self.missing = None,
            (Ok((file, _)), old) => {
                if old.is_some() {
                    self.say("is another file now");
                } else if self.missing.take().is_some() {
                    self.say("is there now");
                }
                self.begin(file)?;
                self.read()?;
            }
        }
        Ok(())
    }

    /// Goes over to a file, from its beginning.
    fn begin(&mut self, file: File) -> io::Result<()> {
        self.end_line()?;
        self.file = Some(file);
        self.position = 0;
        self.missing = None;
        Ok(())
    }

    /// Reads up to the present end of the file.
    fn read(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        if file.metadata()?.len() < self.position {
            self.say("has become shorter");
            let mut file = file.try_clone()?;
            file.seek(SeekFrom::Start(0))?;
            return self.begin(file).and_then(|()| self.read());
        }
        loop {
            let count = match &self.file {
                Some(file) => self.rest.read_from(file, CHUNK)?,
                None => 0,
            };
            self.position += count as u64;
            while let Some(line) = self.rest.read_line(Eol::Lf)? {
                self.print(&line)?;
            }
            // A line without end is not kept for ever.
            if self.rest.len() >= CHUNK {
                self.end_line()?;
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// Prints what is left of the last line, if there is something.
    fn end_line(&mut self) -> io::Result<()> {
        let mut line = vec![0; self.rest.len()];
        self.rest.copy_to(&mut line);
        self.rest.clear()?;
        match line.is_empty() {
            true => Ok(()),
            false => self.print(&line),
        }
    }

    fn print(&self, line: &[u8]) -> io::Result<()> {
        let mut output = io::stdout().lock();
        write!(output, "{}: ", self.path.display())?;
        output.write_all(line)?;
        output.write_all(b"\n")
    }
}

fn is_same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The system says at once when something happens in the files' directories.
#[cfg(target_os = "linux")]
mod inotify {
    use libevent2::{CallbackResult, Event, Interest, LoopHandle};
    use std::collections::BTreeSet;
    use std::ffi::CString;
    use std::fs::File;
    use std::io::{self, Read};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    const CHANGES: u32 = libc::IN_MODIFY
        | libc::IN_CREATE
        | libc::IN_DELETE
        | libc::IN_MOVED_FROM
        | libc::IN_MOVED_TO;

    /// Calls `look` after each change. What has changed is found by looking.
    pub fn watch<O: CallbackResult + 'static>(
        base: &LoopHandle,
        files: &[PathBuf],
        look: impl Fn(&LoopHandle) -> O + 'static,
    ) -> Result<Event<File>, Box<dyn std::error::Error>> {
        let queue = open()?;
        let directories: BTreeSet<_> = files.iter().map(|file| directory(file)).collect();
        for directory in directories {
            // One that is not there yet is left to the timer.
            if let Err(error) = add(&queue, directory) {
                eprintln!("tail_files: {}: {error}", directory.display());
            }
        }
        let event = Event::new(base, queue, Interest::READ, move |event, _| {
            let mut changes = [0; 4096];
            while event
                .source()
                .read(&mut changes)
                .is_ok_and(|count| count > 0)
            {}
            look(event.handle())
        })?;
        Ok(event)
    }

    fn directory(file: &Path) -> &Path {
        match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn open() -> io::Result<File> {
        // SAFETY: no memory is passed; the descriptor is new, and nobody else's.
        let fd = unsafe {
            match libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) {
                -1 => return Err(io::Error::last_os_error()),
                fd => OwnedFd::from_raw_fd(fd),
            }
        };
        Ok(fd.into())
    }

    fn add(queue: &File, directory: &Path) -> io::Result<()> {
        let path = CString::new(directory.as_os_str().as_bytes())?;
        // SAFETY: the path ends with NUL and lives until the call is over.
        match unsafe { libc::inotify_add_watch(queue.as_raw_fd(), path.as_ptr(), CHANGES) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}
