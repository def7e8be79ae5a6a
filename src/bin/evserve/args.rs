//! The command line.

use clap::{Arg, Command, value_parser};
use std::path::PathBuf;

/// What was asked for.
pub struct Args {
    pub dir: PathBuf,
    pub bind: String,
    pub port: u16,
}

impl Args {
    /// Reads the command line; `--help` and mistakes end the process, the latter with code 2.
    pub fn parse() -> Self {
        let mut found = command().get_matches();
        Args {
            dir: found.remove_one("DIR").expect("it has a default"),
            bind: found.remove_one("bind").expect("it has a default"),
            port: found.remove_one("port").expect("it has a default"),
        }
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
             A second signal ends at once, with exit code 130.",
        )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
