//! An HTTP server with three routes.
//!
//! `cargo run --example hello_http`; it listens on 127.0.0.1:8080 and ends on Ctrl-C.

use libevent2::http::{Response, Server, StatusCode};
use libevent2::{EventBase, Result, Signal, Timer};
use std::time::Duration;

/// Runs the example.
pub fn main() -> Result<()> {
    let mut base = EventBase::new()?;
    let server = serve(&base, "127.0.0.1:8080")?;
    for address in server.local_addrs() {
        println!("http://{address}/hello/you, http://{address}/slow; Ctrl-C ends");
    }
    let _interrupt = Signal::new(&base, libc::SIGINT, |signal| signal.handle().exit())?;
    base.run()?;
    Ok(())
}

/// Makes the server.
pub fn serve(base: &EventBase, address: &str) -> Result<Server> {
    let server = Server::bind(base, address)?;
    server.route("/hello/{name}", |request| {
        let text = format!("Hello, {}!\n", request.param("name").unwrap_or("you"));
        request.reply(StatusCode::OK, text);
    })?;
    // A request is a value: it can wait for something else, and is answered when it is there.
    server.route("/slow", |request| {
        let handle = request.handle().clone();
        let answer = move |_: &_| request.reply(StatusCode::OK, "That took a while.\n");
        Timer::after(&handle, Duration::from_millis(500), answer).map(Timer::detach)
    })?;
    server.fallback(|request| {
        let text = format!("There is no {}.\n", request.path());
        request.respond(Response::text(text).status(StatusCode::NOT_FOUND));
    });
    Ok(server)
}
