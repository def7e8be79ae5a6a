//! Several processes: each worker tells the first process what it does, over a pair of sockets
//! that is its standard input, and ends when that is closed.

use super::{Arguments, SECOND, Server, Statistics, Terminal};
use libevent2::buffer::Eol;
use libevent2::stream::{BufferEvent, Callbacks};
use libevent2::{EventBase, Listener, LoopHandle, Timer};
use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::rc::Rc;
use std::time::Duration;

/// What is known of each worker; nothing until it listens.
type Reports = Rc<RefCell<Vec<Option<Statistics>>>>;

/// Runs the workers, and prints what they do together.
pub fn run(base: &mut EventBase, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    // Whoever asks for any port has to know it before the workers do. A socket that listened on
    // would get connections.
    let any = (Ipv4Addr::UNSPECIFIED, arguments.port).into();
    let listener = Listener::options()
        .reuse_port()
        .bind(base, any, |_, client| drop(client))?;
    let address = listener.local_addr()?;
    let port = address
        .ip()
        .map_or(arguments.port, |address| address.port());
    drop(listener);

    let reports = Reports::default();
    reports.borrow_mut().resize(arguments.workers, None);
    let mut children = Vec::new();
    for worker in 0..arguments.workers {
        let (ours, theirs) = UnixStream::pair()?;
        children.push(start(theirs, port, arguments.delay)?);
        listen_to(base, ours, worker, &reports)?.detach();
    }

    let mut terminal = None;
    let _every_second = Timer::every(base, SECOND, move |_| {
        let reports = reports.borrow();
        let all: Option<Vec<_>> = reports.iter().map(Option::as_ref).collect();
        let Some(all) = all else { return };
        terminal
            .get_or_insert_with(|| {
                println!("listening on {address}");
                Terminal::default()
            })
            .print(&all.into_iter().sum());
    })?;
    base.run()?;

    for mut child in children {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

fn start(control: UnixStream, port: u16, delay: Duration) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("--worker")
        .arg(format!("--port={port}"))
        .arg(format!("--delay={}", delay.as_secs_f64()))
        .stdin(OwnedFd::from(control))
        .spawn()
}

/// Takes a worker's reports. When one ends, all do.
fn listen_to(
    base: &LoopHandle,
    control: UnixStream,
    worker: usize,
    reports: &Reports,
) -> libevent2::Result<BufferEvent> {
    let reports = reports.clone();
    let handler = Callbacks::new()
        .on_read(move |control| {
            while let Some(line) = control.input().read_line(Eol::Lf) {
                let report = String::from_utf8_lossy(&line).parse()?;
                reports.borrow_mut()[worker] = Some(report);
            }
            Ok::<(), String>(())
        })
        .on_event(|control, _| {
            eprintln!("delay_server: a worker has ended");
            control.handle().exit();
        });
    BufferEvent::from_socket(base, control, handler)
}

/// What a worker does.
pub fn be_one(port: u16, delay: Duration) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    base.on_error(|_, error| eprintln!("delay_server: {error}"));
    let server = Server::bind(&base, port, delay)?;

    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let handler = Callbacks::new().on_event(|control, _| control.handle().exit());
    let control = BufferEvent::from_socket(&base, control, handler)?;
    let report = move || control.write(format!("{}\n", server.statistics()).as_bytes());
    report()?;
    let _every_second = Timer::every(&base, SECOND, move |_| report())?;
    base.run()?;
    Ok(())
}
