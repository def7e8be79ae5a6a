//! The command line.

mod config;
mod values;

pub use values::{Bytes, Canned, CannedBody, Credentials, Proxied};

use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use libevent2::http::{HeaderName, HeaderValue};
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process;
use std::time::Duration;

/// Serves a folder over HTTP, and what a prototype needs beside it: for a quick look, not for the
/// public
#[derive(Debug, Parser)]
#[command(name = "evserve", version, after_help = AFTER, args_override_self = true)]
pub struct Args {
    /// The folder to serve [default: the current one, unless --mock, --respond, --proxy
    /// or --echo answer]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The folder, as a configuration file says it.
    #[arg(long, hide = true, value_name = "DIR")]
    dir: Option<PathBuf>,

    #[command(flatten)]
    pub network: Network,
    #[command(flatten)]
    pub folders: Folders,
    #[command(flatten)]
    pub prototype: Prototype,
    #[command(flatten)]
    pub operation: Operation,

    /// A TOML file with these flags by their names (port = 80, cors = true, header = ["A: b"]);
    /// those of the command line win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Prints what a shell needs to complete these flags
    #[arg(long, value_name = "SHELL")]
    completions: Option<clap_complete::Shell>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where")]
pub struct Network {
    /// The address to listen on; 0.0.0.0 or :: for the whole network
    #[arg(long, short, value_name = "ADDR", default_value = "127.0.0.1")]
    bind: String,
    /// The port to listen on; 0 picks a free one
    #[arg(long, short, value_name = "N", default_value_t = 8000)]
    pub port: u16,
    /// A Unix socket in the place of address and port
    #[arg(long, value_name = "PATH", conflicts_with_all = ["bind", "port"])]
    pub unix: Option<PathBuf>,
    /// https, with a certificate that is made on the spot unless --cert and --key name one
    #[arg(long)]
    pub tls: bool,
    /// The certificate chain, a PEM file
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its private key, a PEM file
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// How many bytes a second a connection may send and take, as 64K or 2M
    #[arg(long, value_name = "BYTES", value_parser = values::rate)]
    pub throttle: Option<Bytes>,
    /// A proxy in front says who the client is, by the PROXY protocol (HAProxy's send-proxy)
    #[arg(long)]
    pub proxy_protocol: bool,
    /// A proxy in front whose X-Forwarded-For, -Proto and -Host are believed: an address or a network
    #[arg(long, value_name = "NET")]
    pub trusted_proxy: Vec<String>,
    /// So many processes share the work (and the port, by SO_REUSEPORT)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::count)]
    pub workers: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Folder")]
pub struct Folders {
    /// Names that begin with a dot are shown and served too
    #[arg(long)]
    pub hidden: bool,
    /// Also symbolic links that lead out of the folder
    #[arg(long)]
    pub follow_symlinks: bool,
    /// A page that is not there is answered with the folder's index.html, for programs of one page
    #[arg(long)]
    pub spa: bool,
    /// Clients may bring files: by a form in the listing, and by PUT; none is ever overwritten
    #[arg(long)]
    pub upload: bool,
    /// How much they may bring at a time
    #[arg(long, value_name = "BYTES", default_value = "1G", requires = "upload")]
    pub upload_limit: Bytes,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Prototype")]
pub struct Prototype {
    /// REST over a JSON file: its arrays are collections, its objects single things
    #[arg(long, value_name = "FILE", conflicts_with = "workers")]
    pub mock: Option<PathBuf>,
    /// Always answers that there, BODY being text or @FILE; a method may stand before the path
    #[arg(long, value_name = "/PATH=STATUS:BODY")]
    pub respond: Vec<Canned>,
    /// Another server answers what is under that path; it keeps its path, unless the URL has one
    /// (http://HOST:PORT/) that takes its place
    #[arg(long, value_name = "/PATH=http://HOST:PORT")]
    pub proxy: Vec<Proxied>,
    /// Answers with the request itself
    #[arg(long)]
    pub echo: bool,
    /// Pages load themselves again when a file of the folder has changed
    #[arg(long)]
    pub live_reload: bool,
    /// Waits before each answer, so many milliseconds or as 2s
    #[arg(long, value_name = "MS", value_parser = values::time)]
    pub delay: Option<Duration>,
    /// Pages from anywhere may read the answers
    #[arg(long)]
    pub cors: bool,
    /// A header for every answer
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = values::header)]
    pub header: Vec<(HeaderName, HeaderValue)>,
    /// Asks for this name and password; @FILE has them in a file
    #[arg(long, value_name = "USER:PASSWORD")]
    pub auth: Option<Credentials>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Operation")]
pub struct Operation {
    /// How each request is told of on standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Human)]
    pub log: LogFormat,
    /// Tells of no request
    #[arg(long, short)]
    pub quiet: bool,
    /// How long what is in flight may take after a signal to end, as 30s
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub grace: Option<Duration>,
}

/// How a line of the access log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Human,
    /// As Apache and nginx write it (the common log format)
    Common,
    /// A JSON object for each line
    Json,
}

const AFTER: &str = "\
Examples:
  evserve ./public                       a folder, at http://127.0.0.1:8000/
  evserve --bind 0.0.0.0 --auth me:pw    the current one, for the network, with a password
  evserve --spa --port 3000 dist         what a web framework has built
  evserve --mock db.json --cors          a REST server; 'curl localhost:8000/posts?_limit=3'
  evserve --throttle 64K ./public        as over a slow line
  evserve --respond '/pay=503:{\"error\":\"down\"}' --delay 2s
  evserve dist --live-reload --proxy /api=http://localhost:3000
  evserve --echo --log json              what does my client send?
  evserve --tls --upload --auth me:pw    a place to put files, over https
  evserve --completions bash > ~/.local/share/bash-completion/completions/evserve

/__stats tells how it is doing (page, JSON, Prometheus), /__health that it is there.

SIGHUP: another process with the same sockets takes over, which reads the --config FILE again; no
client is refused or cut off. Sockets of systemd (LISTEN_FDS) are taken in the place of its own.
SIGINT and SIGTERM: no new connections, what is being sent is finished, exit code 0.
A second signal ends at once, with exit code 130 (SIGINT) or 143 (SIGTERM).
What cannot be served ends with code 2 and says why.";

impl Args {
    /// Reads the command line and the file it names, or says what is wrong with them. `--help`,
    /// `--version` and `--completions` end the process.
    pub fn parse() -> Result<Self, String> {
        let args = Self::from(env::args_os().collect())?;
        if let Some(shell) = args.completions {
            clap_complete::generate(shell, &mut Args::command(), "evserve", &mut io::stdout());
            process::exit(0);
        }
        Ok(args)
    }

    fn from(line: Vec<OsString>) -> Result<Self, String> {
        let Some(path) = config::named_by(&line) else {
            return understand(line).map_err(|error| said(&error));
        };
        let inside = |error| format!("{}: {error}", path.display());
        let flags = config::flags(&path).map_err(inside)?;
        let program = line.first().cloned().unwrap_or_default();
        let all = [program].into_iter().chain(flags.clone());
        understand(all.chain(line.iter().skip(1).cloned()).collect()).map_err(|error| {
            // Whose fault is it?
            let alone = [OsString::from("evserve")].into_iter().chain(flags);
            match understand(alone.collect()) {
                Err(error) => inside(said(&error)),
                Ok(_) => said(&error),
            }
        })
    }

    /// The folder to serve, if there is one.
    pub fn folder(&self) -> Option<PathBuf> {
        let Prototype {
            mock,
            respond,
            proxy,
            echo,
            ..
        } = &self.prototype;
        let named = self.folder.as_ref().or(self.dir.as_ref());
        let answers = mock.is_some() || !respond.is_empty() || !proxy.is_empty() || *echo;
        match named {
            None if answers => None,
            None => Some(PathBuf::from(".")),
            Some(folder) => Some(folder.clone()),
        }
    }
}

impl Network {
    /// The address, which may be written as in a URL.
    pub fn bind(&self) -> &str {
        self.bind.trim_matches(['[', ']'])
    }

    pub fn scheme(&self) -> &'static str {
        match self.tls || self.cert.is_some() {
            true => "https",
            false => "http",
        }
    }
}

fn understand(line: Vec<OsString>) -> Result<Args, clap::Error> {
    let matches = Args::command().try_get_matches_from(line)?;
    Args::from_arg_matches(&matches)
}

/// What is wrong, in words; what is no fault is printed, and ends the process.
fn said(error: &clap::Error) -> String {
    let text = error.to_string();
    if !error.use_stderr() {
        let _ = io::stdout().write_all(text.as_bytes());
        process::exit(0);
    }
    text.trim_start_matches("error: ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &[&str]) -> Result<Args, String> {
        let line = ["evserve"].iter().chain(line);
        Args::from(line.map(OsString::from).collect())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_current_folder_is_served_unless_something_else_answers() {
        assert_eq!(of(&[]).unwrap().folder(), Some(".".into()));
        assert_eq!(of(&["--echo"]).unwrap().folder(), None);
        let both = of(&["--mock", "db.json", "public"]).unwrap();
        assert_eq!(both.folder(), Some("public".into()));
    }

    #[test]
    fn what_is_wrong_names_the_flag() {
        for (line, named) in [
            (["--port", "65536"], "--port"),
            (["--delay", "soon"], "--delay"),
            (["--header", "nothing"], "--header"),
            (["--auth", "nobody"], "--auth"),
            (["--respond", "/a"], "--respond"),
            (["--log", "xml"], "--log"),
            (["--prot", "1"], "'--port'"),
            (["--config", "/no/such"], "/no/such: "),
        ] {
            let error = of(&line).unwrap_err();
            assert!(error.contains(named), "{line:?}: {error}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            &["--mock", "db.json", "--workers", "2"][..],
            &["--unix", "a", "--port", "1"],
            &["--cert", "a"],
            &["--upload-limit", "1M"],
        ] {
            let error = of(line).unwrap_err();
            assert!(
                error.contains(line[0]) || error.contains("--key"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let path = std::env::temp_dir().join(format!("libevent2-args-{}.toml", process::id()));
        let name = path.to_str().unwrap();
        std::fs::write(
            &path,
            "port = 1\ndir = 'a'\nheader = 'A: b'\nbind = '::1'\n",
        )
        .unwrap();
        let args = of(&["--config", name, "-p", "2", "-H", "C: d", "b"]);
        let args = args.unwrap();
        assert_eq!((args.network.port, args.network.bind()), (2, "::1"));
        assert_eq!(args.folder(), Some("b".into()));
        assert_eq!(args.prototype.header.len(), 2);
        std::fs::write(&path, "prot = 1\n").unwrap();
        let error = of(&["--config", name]).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(error.starts_with(name) && error.contains("prot"), "{error}");
    }
}
