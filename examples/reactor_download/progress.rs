//! What came, on standard output, and on a terminal how far the rest is.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::rc::{Rc, Weak};
use std::time::Instant;

/// The width of a bar; with what stands beside it it fits into 80 columns.
const WIDTH: usize = 20;
/// How many bars are shown at a time.
const ROWS: usize = 16;

pub struct Progress {
    all: usize,
    begun: Instant,
    bars: RefCell<Vec<Weak<Bar>>>,
    /// How many lines are drawn below what was printed.
    drawn: Cell<usize>,
    on_terminal: bool,
    received: Cell<usize>,
    failed: Cell<usize>,
    bytes: Cell<u64>,
}

/// One download.
pub struct Bar {
    url: String,
    bytes: Cell<u64>,
    length: Option<u64>,
    begun: Instant,
}

impl Bar {
    pub fn add(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes as u64);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    fn line(&self) -> String {
        let bytes = self.bytes();
        let rate = bytes as f64 / self.begun.elapsed().as_secs_f64() / 1024.0;
        let url: String = self
            .url
            .chars()
            .filter(|c| !c.is_control())
            .take(24)
            .collect();
        match self.length {
            Some(length) if length > 0 => {
                let done =
                    (bytes.min(length) as u128 * WIDTH as u128 / u128::from(length)) as usize;
                let bar = "#".repeat(done);
                format!("[{bar:-<WIDTH$}] {bytes:>10} bytes, {rate:.0} KiB/s {url}")
            }
            _ => format!(
                "[{:-<WIDTH$}] {bytes:>10} bytes, {rate:.0} KiB/s {url}",
                "?"
            ),
        }
    }
}

impl Progress {
    pub fn new(all: usize) -> Self {
        Progress {
            all,
            begun: Instant::now(),
            bars: RefCell::default(),
            drawn: Cell::new(0),
            on_terminal: io::stdout().is_terminal(),
            received: Cell::new(0),
            failed: Cell::new(0),
            bytes: Cell::new(0),
        }
    }

    /// The bar is shown as long as somebody has it.
    pub fn begin(&self, url: &str, length: Option<u64>, begun: Instant) -> Rc<Bar> {
        let bar = Rc::new(Bar {
            url: url.to_owned(),
            bytes: Cell::new(0),
            length,
            begun,
        });
        self.bars.borrow_mut().push(Rc::downgrade(&bar));
        bar
    }

    pub fn received(&self, url: &str, bytes: u64) {
        self.received.set(self.received.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        self.erase();
        // Nobody is left to be told that nobody reads.
        let _ = writeln!(io::stdout(), "Received {bytes} bytes from {url}");
    }

    pub fn failed(&self, error: &dyn Error) {
        self.failed.set(self.failed.get() + 1);
        self.erase();
        let _ = writeln!(io::stderr(), "reactor_download: {error}");
    }

    /// Draws the bars in the place of those that were there.
    pub fn draw(&self) {
        if !self.on_terminal {
            return;
        }
        self.erase();
        let mut bars = self.bars.borrow_mut();
        bars.retain(|bar| bar.strong_count() > 0);
        let lines: Vec<_> = bars.iter().filter_map(Weak::upgrade).take(ROWS).collect();
        for bar in &lines {
            let _ = writeln!(io::stdout(), "{}", bar.line());
        }
        self.drawn.set(lines.len());
    }

    fn erase(&self) {
        match self.drawn.take() {
            0 => {}
            lines => drop(write!(io::stdout(), "\x1b[{lines}A\x1b[J")),
        }
    }

    /// Sums it up. Returns whether everything came.
    pub fn end(&self) -> bool {
        self.erase();
        let _ = writeln!(
            io::stderr(),
            "{} of {} downloads, {} bytes, {:.2} s",
            self.received.get(),
            self.all,
            self.bytes.get(),
            self.begun.elapsed().as_secs_f64()
        );
        self.failed.get() == 0
    }
}
