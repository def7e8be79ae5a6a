//! The resolver that a base has for connections by name, which follows the system's configuration.

use crate::LoopHandle;
use crate::dns::{Config, Resolver, ResolverRef};
use crate::error::Result;
use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often to look whether the configuration has changed.
const INTERVAL: Duration = Duration::from_secs(1);

/// Made when it is first needed, and closed with its base.
pub(crate) struct SharedResolver {
    resolver: Resolver,
    source: Source,
    /// What the files were like when they were read.
    stamps: RefCell<Vec<Stamp>>,
    checked: Cell<Instant>,
}

/// Where a configuration comes from.
pub(super) struct Source {
    pub(super) files: Vec<PathBuf>,
    pub(super) read: Box<dyn Fn() -> Result<Config>>,
}

/// What is another when a file was written, or replaced; nothing when there is none.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

impl Source {
    fn system() -> Self {
        Source {
            files: vec!["/etc/resolv.conf".into(), "/etc/hosts".into()],
            read: Box::new(Config::system),
        }
    }

    fn stamps(&self) -> Vec<Stamp> {
        let stamp = |path| {
            let file = fs::metadata(path).ok()?;
            let (seconds, nanoseconds) = (file.mtime(), file.mtime_nsec());
            Some((file.dev(), file.ino(), seconds, nanoseconds, file.len()))
        };
        self.files.iter().map(stamp).collect()
    }
}

impl SharedResolver {
    /// As this system is configured.
    ///
    /// # Errors
    /// As [`Resolver::system`].
    pub(crate) fn system(base: &LoopHandle) -> Result<Self> {
        Self::new(base, Source::system())
    }

    pub(super) fn new(base: &LoopHandle, source: Source) -> Result<Self> {
        // Before the files are read: what changes in between is then seen.
        let stamps = RefCell::new(source.stamps());
        let resolver = Resolver::new(base, (source.read)()?)?;
        resolver.hide();
        Ok(SharedResolver {
            resolver,
            source,
            stamps,
            checked: Cell::new(Instant::now()),
        })
    }

    /// Configured as the files are now, or were a moment ago.
    pub(crate) fn resolver(&self) -> Rc<ResolverRef> {
        if self.checked.get().elapsed() >= INTERVAL {
            self.checked.set(Instant::now());
            self.reload();
        }
        self.resolver.node().clone()
    }

    /// Reads the files, if they are others. While that fails, the old configuration will do.
    pub(super) fn reload(&self) {
        let stamps = self.source.stamps();
        if stamps == *self.stamps.borrow() {
            return;
        }
        let set = (self.source.read)().and_then(|config| self.resolver.set_config(config));
        if set.is_ok() {
            self.stamps.replace(stamps);
        }
    }
}
