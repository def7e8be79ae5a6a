//! The server under test, as http.c is in C: this program runs itself as one.

use super::support::process;
use libevent2::http::{Request, Response, Route, Server, StatusCode};
use libevent2::{Event, EventBase, Interest, Result};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::rc::Rc;

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
    server.route(
        Route::new("POST /upload").body_bytes(2 << 30).streamed(),
        upload,
    )?;

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

/// Counts what comes, and holds nothing of it.
fn upload(request: Request) {
    let count = Rc::new(Cell::new(0));
    let incoming = request.incoming().expect("a streamed route");
    let counted = Rc::clone(&count);
    incoming.on_data(move |bytes| counted.set(counted.get() + bytes.len()));
    incoming.on_end(move |end| match end {
        Ok(_) => request.respond(Response::text(count.get().to_string())),
        Err(error) => panic!("the body: {error}"),
    });
}
