//! The server under test, as http.c is in C: this program runs itself as one.

use super::support::process;
use libevent2::http::{Limits, Request, Response, Server, StatusCode};
use libevent2::{Event, EventBase, Interest, Result};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

static MIB: [u8; 1 << 20] = [b'x'; 1 << 20];

/// Prints its port, and answers what C's server answers.
pub fn run(file: &str) -> Result<()> {
    let mut base = EventBase::new()?;
    let server = Server::bind(&base, "127.0.0.1:0")?;
    server.route("/hello", |request| request.respond(Response::text("hello")))?;
    server.route("/mib", |request| {
        request.respond(Response::new(StatusCode::OK).body(&MIB[..]));
    })?;
    let file = file.to_owned();
    server.route("/file", move |request| -> io::Result<()> {
        request.respond(Response::file(File::open(&file)?)?);
        Ok(())
    })?;
    server.set_limits(Limits::new().body_bytes(2 << 30));
    server.route("/upload", upload)?;

    let questions = File::from(io::stdin().as_fd().try_clone_to_owned().expect("a pipe"));
    let _questions = Event::new(&base, questions, Interest::READ, |event, _| {
        if event.source().read(&mut [0])? == 0 {
            event.handle().exit();
            return Ok(());
        }
        process::answer()
    })?;
    println!("{}", server.local_addrs()[0].port());
    base.run()?;
    Ok(())
}

fn upload(request: Request) {
    let count = request.body().len().to_string();
    request.respond(Response::text(count));
}
