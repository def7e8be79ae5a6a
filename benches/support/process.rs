//! A server as a process of its own: started on one core, asked for its port, measured, killed.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The core of the servers.
const SERVER_CORE: usize = 0;
/// The core of the load.
const LOAD_CORE: usize = 1;

/// How to start a server.
#[derive(Clone)]
pub struct Program {
    pub name: &'static str,
    pub path: PathBuf,
    pub args: Vec<String>,
    /// A variable that is set in its environment.
    pub environment: Option<&'static str>,
    /// Whether it answers [`Server::allocated`], and ends when nothing can be asked any more.
    pub answers: bool,
}

/// A server that runs until this is dropped.
pub struct Server {
    child: Child,
    /// None once it is to end.
    questions: Option<ChildStdin>,
    ends_by_itself: bool,
    answers: BufReader<ChildStdout>,
    pub port: u16,
}

impl Server {
    pub fn start(program: &Program) -> Server {
        Server::try_start(program).unwrap_or_else(|| panic!("no {}", program.path.display()))
    }

    /// `None` when there is no such program.
    pub fn try_start(program: &Program) -> Option<Server> {
        let mut command = Command::new(&program.path);
        command
            .args(&program.args)
            .envs(program.environment.map(|name| (name, "1")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // SAFETY: between fork and exec this makes one system call, and allocates nothing.
        unsafe {
            command.pre_exec(|| {
                pin(SERVER_CORE);
                Ok(())
            })
        };
        let mut child = match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            child => child.unwrap_or_else(|error| panic!("{}: {error}", program.path.display())),
        };
        let questions = child.stdin.take().expect("it is piped");
        let answers = child.stdout.take().expect("it is piped");
        let mut server = Server {
            child,
            questions: Some(questions),
            ends_by_itself: program.answers,
            answers: BufReader::new(answers),
            port: 0,
        };
        server.port = server.number().expect("it prints its port");
        Some(server)
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) {
        self.questions = None;
        if !self.ends_by_itself {
            // SAFETY: the child has not been waited for.
            unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        }
        let _ = self.child.wait();
    }

    /// The CPU time of the process so far. To be asked when the server waits: the scheduler brings
    /// its count up to date when a thread stops running.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        tasks
            .map(|task| task.expect("a thread").path().join("schedstat"))
            .map(|path| {
                let text = fs::read_to_string(path).expect("a kernel with CONFIG_SCHED_INFO");
                let spent = text.split(' ').next().expect("three numbers");
                Duration::from_nanos(spent.parse().expect("nanoseconds"))
            })
            .sum()
    }

    /// The bytes of the process that are in memory.
    pub fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that [`resident`](Self::resident) ever was.
    pub fn most_resident(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, label: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(label));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        1024 * kib.and_then(|kib| kib.parse::<u64>().ok()).expect("KiB")
    }

    /// The bytes that its allocator has given out.
    pub fn allocated(&mut self) -> u64 {
        let questions = self.questions.as_mut().expect("it runs");
        questions.write_all(b"?").expect("it reads");
        self.number().expect("it answers with a number")
    }

    fn number<N: std::str::FromStr>(&mut self) -> Option<N> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        line.trim().parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts the load, which is this process, on a core of its own, and allows it all the descriptors
/// that it may have. Returns how many that are; servers inherit it.
pub fn prepare() -> u64 {
    if !pin(LOAD_CORE) {
        println!("with one core, the load competes with the servers");
    }
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for both calls.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    limit.rlim_cur
}

/// Whether this thread runs on that core alone from now on.
fn pin(core: usize) -> bool {
    // SAFETY: a set of cores is plain bits, and is passed with its size.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut cores);
        libc::sched_setaffinity(0, size_of_val(&cores), &cores) == 0
    }
}

/// What [`Server::allocated`] asks for, of this process.
pub fn answer() -> io::Result<()> {
    // SAFETY: it has no conditions.
    let info = unsafe { libc::mallinfo2() };
    println!("{}", info.uordblks + info.hblkhd);
    io::stdout().flush()
}
