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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventBase;
    use crate::dns::Hosts;
    use std::path::Path;

    /// Two files that are removed at the end.
    struct Files(PathBuf);

    impl Files {
        fn new(name: &str) -> Self {
            let name = format!("libevent2-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            Files(folder)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        fn source(&self) -> Source {
            let files = vec![self.path("resolv.conf"), self.path("hosts")];
            let folder = self.0.clone();
            let read = move || {
                let file = |name: &str| Path::new(&folder).join(name);
                let mut config = Config::from_file(file("resolv.conf"))?;
                config.hosts = Hosts::from_file(file("hosts"))?;
                Ok(config)
            };
            Source {
                files,
                read: Box::new(read),
            }
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_cannot_be_read_changes_nothing() {
        let files = Files::new("reload");
        files.write("resolv.conf", "nameserver 192.0.2.1\nsearch example.com");
        files.write("hosts", "192.0.2.7 one");
        let base = EventBase::new().unwrap();
        let shared = SharedResolver::new(&base, files.source()).unwrap();
        assert_eq!(base.stats().live_total(), 0);
        let resolver = shared.resolver();
        let servers = || resolver.config().servers[0].ip().to_string();
        assert_eq!(servers(), "192.0.2.1");

        files.write("resolv.conf", "nameserver 192.0.2.21\nsearch example.com");
        files.write("hosts", "192.0.2.7 one two");
        // It is not looked at the files at every use.
        shared.resolver();
        assert_eq!(servers(), "192.0.2.1");
        let before = Instant::now().checked_sub(INTERVAL).unwrap();
        shared.checked.set(before);
        assert!(Rc::ptr_eq(&resolver, &shared.resolver()));
        assert_eq!(servers(), "192.0.2.21");
        assert_eq!(resolver.config().hosts.addresses("two").len(), 1);

        fs::remove_file(files.path("resolv.conf")).unwrap();
        shared.reload();
        assert_eq!(servers(), "192.0.2.21");
        files.write("resolv.conf", "nameserver 192.0.2.3");
        shared.reload();
        assert_eq!(servers(), "192.0.2.3");
    }

    #[test]
    fn a_base_has_one_which_is_closed_and_freed_with_it() {
        let base = EventBase::new().unwrap();
        let handle = base.handle().clone();
        let resolver = handle.inner().resolver().unwrap();
        assert!(Rc::ptr_eq(&resolver, &handle.inner().resolver().unwrap()));
        assert_eq!(base.stats().live_total(), 0);
        drop(base);
        assert!(resolver.is_closed());
        assert!(handle.inner().resolver().is_err());
        let inner = Rc::downgrade(handle.inner());
        drop((resolver, handle));
        assert_eq!(inner.strong_count(), 0);
    }
}
