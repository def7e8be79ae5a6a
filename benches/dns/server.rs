//! The server in Rust, as dns.c is in C: this program runs itself as one.

use libevent2::dns::{Record, RecordType, Reply, Request, Server};
use libevent2::{Event, EventBase, Interest, Result};
use std::fs::File;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(300);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

pub fn run() {
    serve().expect("it serves");
}

fn serve() -> Result<()> {
    let mut base = EventBase::new()?;
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let server = Server::bind(&base, any, |request: Request| {
        let question = request.question();
        let mut reply = Reply::new().authoritative(true);
        if question.record_type() == RecordType::A {
            reply = reply.answer(Record::a(question.name(), ADDRESS, TTL)?);
        }
        request.respond(reply)
    })?;
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().expect("a pipe"));
    let _input = Event::new(&base, input, Interest::READ, |event, _| {
        if event.source().read(&mut [0])? == 0 {
            event.handle().exit();
        }
        io::Result::Ok(())
    })?;
    println!("{}", server.local_addr().port());
    base.run()?;
    Ok(())
}
