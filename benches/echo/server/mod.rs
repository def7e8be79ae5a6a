//! The echo servers in Rust: this program runs itself as one.

mod events;
mod streams;

use super::support::process;
use libevent2::{Event, EventConfig, Interest, LoopHandle, Result};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

/// Runs the server of that name; `false` if there is none.
pub fn run(name: &str) -> bool {
    let config = EventConfig::new();
    let served = match name {
        "bufferevents" => serve(config, streams::accepted),
        "bufferevents-left-to-c" => serve(config, streams::left_to_c),
        "bufferevents-no-lock" => serve(config.no_lock(), streams::accepted),
        // SAFETY: this process has one thread.
        "bufferevents-no-threads" => serve(unsafe { config.no_threads() }, streams::accepted),
        "events" => serve(config, events::accepted()),
        _ => return false,
    };
    served.expect("it serves");
    true
}

/// Prints its port, gives each connection to `accepted`, and answers what C's servers answer.
fn serve(
    config: EventConfig,
    mut accepted: impl FnMut(&LoopHandle, TcpStream) -> Result<()> + 'static,
) -> Result<()> {
    let mut base = config.build()?;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("it is bound");
    let _listener = Event::new(
        &base,
        listener,
        Interest::READ,
        move |event, _| -> Result<()> {
            loop {
                let stream = match event.source().accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => panic!("accepting: {error}"),
                };
                stream.set_nonblocking(true).expect("a socket");
                stream.set_nodelay(true).expect("an option of TCP");
                accepted(event.handle(), stream)?;
            }
        },
    )?;

    let questions = File::from(io::stdin().as_fd().try_clone_to_owned().expect("a pipe"));
    let _questions = Event::new(&base, questions, Interest::READ, |event, _| {
        if event.source().read(&mut [0])? == 0 {
            event.handle().exit();
            return Ok(());
        }
        process::answer()
    })?;
    println!("{}", address.port());
    base.run()?;
    Ok(())
}
