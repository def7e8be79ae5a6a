//! Pages that load themselves again when a file has changed.

use libevent2::http::{HeaderValue, Outgoing, Request, Response, StatusCode, header};
use libevent2::{LoopHandle, Timer};
use std::cell::{Cell, RefCell};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Where the pages listen.
pub const PATH: &str = "/__live";

/// What is put at the end of each page. One that has lost its server loads again when there is one.
pub const SCRIPT: &str = "<script>(()=>{const s=new EventSource(\"/__live\");let lost;\
s.onmessage=()=>location.reload();s.onerror=()=>lost=1;s.onopen=()=>lost&&location.reload()})()</script>\n";

/// How often the files are looked at, and how often it is looked whether that has shown anything.
const LOOK: Duration = Duration::from_millis(250);
const TICK: Duration = Duration::from_millis(100);

/// How many files are looked at: more would take longer than the time between two looks.
const MOST: usize = 50_000;

/// The pages that listen, and the folder that is watched for them.
pub struct Live {
    folder: PathBuf,
    base: LoopHandle,
    pages: RefCell<Vec<Outgoing>>,
    timer: RefCell<Option<Timer>>,
    watch: RefCell<Option<Watch>>,
    known: Cell<u64>,
}

/// A thread that looks at files as long as this is there: a slow disk holds up nobody.
struct Watch {
    seen: Arc<AtomicU64>,
    wanted: Arc<AtomicBool>,
}

impl Live {
    pub fn new(base: &LoopHandle, folder: PathBuf) -> Rc<Self> {
        Rc::new(Live {
            folder,
            base: base.clone(),
            pages: RefCell::default(),
            timer: RefCell::default(),
            watch: RefCell::default(),
            known: Cell::new(0),
        })
    }

    /// A page listens from now on.
    pub fn listen(self: &Rc<Self>, request: Request, mut response: Response) {
        response = response.status(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let page = request.start(response);
        // It tries again soon when this server is gone.
        let _ = page.send("retry: 300\n\n");
        self.pages.borrow_mut().push(page);
        if self.watch.borrow().is_none() {
            self.begin();
        }
    }

    fn begin(self: &Rc<Self>) {
        self.known.set(0);
        self.watch.replace(Some(Watch::start(self.folder.clone())));
        let live = Rc::downgrade(self);
        let timer = Timer::every(&self.base, TICK, move |_| {
            if let Some(live) = live.upgrade() {
                live.look();
            }
        });
        self.timer.replace(timer.ok());
    }

    fn look(&self) {
        self.pages.borrow_mut().retain(Outgoing::is_open);
        if self.pages.borrow().is_empty() {
            self.watch.take();
            self.timer.take();
            return;
        }
        let seen = self
            .watch
            .borrow()
            .as_ref()
            .map_or(0, |watch| watch.seen.load(Ordering::Acquire));
        let known = self.known.replace(seen);
        if known != 0 && known != seen {
            for page in self.pages.borrow().iter() {
                // One that is gone is noticed the next time.
                let _ = page.send("data: changed\n\n");
            }
        }
    }

    /// Lets the pages go, so that the server can end.
    pub fn end(&self) {
        for page in self.pages.take() {
            page.finish();
        }
    }
}

impl Watch {
    fn start(folder: PathBuf) -> Self {
        let seen = Arc::new(AtomicU64::new(0));
        let wanted = Arc::new(AtomicBool::new(true));
        let (shown, goes_on) = (Arc::clone(&seen), Arc::clone(&wanted));
        thread::spawn(move || {
            while goes_on.load(Ordering::Acquire) {
                shown.store(look_at(&folder), Ordering::Release);
                thread::sleep(LOOK);
            }
        });
        Watch { seen, wanted }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Release);
    }
}

/// A number that is another one when anything in the folder is, and never 0. What programs keep for
/// themselves does not count.
fn look_at(folder: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut folders = vec![folder.to_owned()];
    let mut left = MOST;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten().take(left) {
            left -= 1;
            let name = entry.file_name();
            let is_kept = name.as_encoded_bytes().starts_with(b".") || name == "node_modules";
            let Some(meta) = entry.metadata().ok().filter(|_| !is_kept) else {
                continue;
            };
            // The order in a folder is that of the system, the same as long as nothing changes.
            name.hash(&mut hasher);
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                (meta.len(), meta.modified().ok()).hash(&mut hasher);
            }
        }
    }
    hasher.finish() | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen() {
        let folder = std::env::temp_dir().join(format!("libevent2-live-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("sub/a"), "1").unwrap();
        let mut known = look_at(&folder);
        assert_eq!(look_at(&folder), known);
        let mut changed = |what: &str| {
            let seen = look_at(&folder);
            assert_ne!(seen, known, "{what}");
            known = seen;
        };
        fs::write(folder.join("sub/a"), "22").unwrap();
        changed("a file is longer");
        fs::write(folder.join("b"), "").unwrap();
        changed("a file is new");
        fs::rename(folder.join("b"), folder.join("c")).unwrap();
        changed("a file has another name");
        fs::remove_file(folder.join("c")).unwrap();
        changed("a file is gone");
        fs::write(folder.join(".hidden"), "").unwrap();
        assert_eq!(look_at(&folder), known);
        fs::remove_dir_all(&folder).unwrap();
    }
}
