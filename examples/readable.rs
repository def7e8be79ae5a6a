//! Reads from a descriptor when there is something to read: what a child process prints, with a
//! timeout.
//!
//! `cargo run --example readable`; it ends with the child.

use libevent2::{EventBase, EventBuilder, Interest, Ready};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let script = "for i in 1 2 3; do echo line $i; sleep 0.05; done";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().expect("it is piped");

    let mut base = EventBase::new()?;
    // The event owns the pipe: its number cannot be reused while it is watched.
    let _reader = EventBuilder::new(Interest::READ)
        .timeout(Duration::from_secs(5))
        .build(&base, File::from(OwnedFd::from(output)), |event, ready| {
            if ready.contains(Ready::TIMEOUT) {
                println!("silent for five seconds");
                event.close();
                return Ok(());
            }
            let mut bytes = [0; 4096];
            match event.source().read(&mut bytes)? {
                0 => event.close(),
                n => io::stdout().write_all(&bytes[..n])?,
            }
            Ok::<(), io::Error>(())
        })?;

    // Nothing is left to wait for when the event is closed.
    base.run()?;
    println!("the child ended: {}", child.wait()?);
    Ok(())
}
