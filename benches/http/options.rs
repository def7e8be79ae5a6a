//! What the command line asks for.

use lexopt::prelude::*;

pub struct Options {
    /// Cases by name; none for all.
    cases: Vec<String>,
    pub quick: bool,
    pub rounds: Option<usize>,
    pub count: bool,
    /// To be the server under test, with this file.
    pub serve: Option<String>,
}

impl Options {
    pub fn read() -> Result<Options, lexopt::Error> {
        let mut options = Options {
            cases: Vec::new(),
            quick: false,
            rounds: None,
            count: false,
            serve: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                // Cargo's own.
                Long("bench") => {}
                Long("quick") => options.quick = true,
                Long("rounds") => options.rounds = Some(parser.value()?.parse()?),
                Value(word) if word == "count" => options.count = true,
                Value(word) if word == "serve" => options.serve = Some(parser.value()?.string()?),
                Value(word) => options.cases.push(word.string()?),
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(options)
    }

    pub fn has(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|name| name == case)
    }
}
