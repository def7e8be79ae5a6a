//! How far it is, on standard error.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// The width of the bar.
const WIDTH: usize = 30;

#[derive(Default)]
pub struct Count(Cell<usize>);

impl Count {
    pub fn bump(&self) {
        self.0.set(self.0.get() + 1);
    }
}

pub struct Progress {
    begun: Instant,
    all: usize,
    pub found: Count,
    pub not_found: Count,
    pub failed: Count,
    quiet: bool,
    has_bar: bool,
    /// Whether the results are printed where the bar is.
    in_the_way: bool,
    is_drawn: Cell<bool>,
}

impl Progress {
    /// For so many names.
    pub fn new(all: usize, quiet: bool) -> Self {
        let has_bar = !quiet && io::stderr().is_terminal();
        Progress {
            begun: Instant::now(),
            all,
            found: Count::default(),
            not_found: Count::default(),
            failed: Count::default(),
            quiet,
            has_bar,
            in_the_way: has_bar && io::stdout().is_terminal(),
            is_drawn: Cell::new(false),
        }
    }

    fn done(&self) -> usize {
        self.found.0.get() + self.not_found.0.get() + self.failed.0.get()
    }

    fn rate(&self) -> f64 {
        self.done() as f64 / self.begun.elapsed().as_secs_f64()
    }

    /// Whether each name was found, or is known not to exist.
    pub fn is_complete(&self) -> bool {
        self.found.0.get() + self.not_found.0.get() == self.all
    }

    /// Draws the bar.
    pub fn show(&self) {
        if self.has_bar && self.all > 0 {
            let (done, all) = (self.done(), self.all);
            let bar = "#".repeat(done * WIDTH / all);
            self.draw(&format!(
                "[{bar:-<WIDTH$}] {done}/{all}, {:.0}/s",
                self.rate()
            ));
            self.is_drawn.set(true);
        }
    }

    /// Takes the bar away for the next result.
    pub fn make_room(&self) {
        if self.in_the_way && self.is_drawn.replace(false) {
            self.draw("");
        }
    }

    /// In the place of what was drawn before. A terminal that is gone is not worth an error.
    fn draw(&self, text: &str) {
        let _ = write!(io::stderr(), "\r{text}\x1b[K");
    }

    pub fn end(&self) {
        self.show();
        if self.is_drawn.get() {
            let _ = writeln!(io::stderr());
        }
        if self.quiet {
            return;
        }
        let left = self.all - self.done();
        let left = match left {
            0 => String::new(),
            _ => format!(", {left} not looked up"),
        };
        let _ = writeln!(
            io::stderr(),
            "{} found, {} not found, {} failed{left}; {:.2} s, {:.0}/s",
            self.found.0.get(),
            self.not_found.0.get(),
            self.failed.0.get(),
            self.begun.elapsed().as_secs_f64(),
            self.rate()
        );
    }
}
