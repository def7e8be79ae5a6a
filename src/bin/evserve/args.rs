//! The command line.

use clap::{Arg, Command, value_parser};
use std::path::PathBuf;
use std::process;

/// What was asked for.
pub struct Args {
    pub dir: PathBuf,
    pub bind: String,
    pub port: u16,
}

impl Args {
    /// Reads the command line, or says in a line what is wrong with it. `--help` and `--version`
    /// end the process.
    pub fn parse() -> Result<Self, String> {
        let mut found = command().try_get_matches().map_err(|error| {
            if !error.use_stderr() {
                let _ = error.print();
                process::exit(0);
            }
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        })?;
        let bind: String = found.remove_one("bind").expect("it has a default");
        Ok(Args {
            dir: found.remove_one("DIR").expect("it has a default"),
            // As in a URL.
            bind: bind.trim_matches(['[', ']']).to_owned(),
            port: found.remove_one("port").expect("it has a default"),
        })
    }
}

fn command() -> Command {
    Command::new("evserve")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serves a folder over HTTP: for a quick look, not for the public")
        .arg(
            Arg::new("DIR")
                .help("The folder to serve")
                .default_value(".")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("bind")
                .long("bind")
                .short('b')
                .value_name("ADDR")
                .help("The address to listen on; 0.0.0.0 or :: for the whole network")
                .default_value("127.0.0.1"),
        )
        .arg(
            Arg::new("port")
                .long("port")
                .short('p')
                .value_name("N")
                .help("The port to listen on; 0 picks a free one")
                .default_value("8000")
                .value_parser(value_parser!(u16)),
        )
        .after_help(
            "Examples:\n  evserve ./public\n  evserve --port 0 --bind ::1 ./public\n\n\
             SIGINT and SIGTERM: no new connections, what is being sent is finished, exit code 0.\n\
             A second signal ends at once, with exit code 130 (SIGINT) or 143 (SIGTERM).",
        )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
