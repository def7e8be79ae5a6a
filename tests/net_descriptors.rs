//! Accepting while no descriptor is left. Alone in its process, whose limit it lowers.
#![cfg(feature = "async")]

mod async_common;
mod common;

use async_common::{local, run};
use common::bounded;
use libevent2::net::TcpListener;
use std::fs::File;
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Lowers the limit of this process.
fn limit_descriptors(most: u64) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: a limit of our own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

#[test]
fn without_descriptors_accepting_fails_now_and_then_and_goes_on_later() {
    let _bounded = bounded();
    run(async |handle| {
        let listener = TcpListener::bind(&handle, local()).unwrap();
        let addr = listener.local_addr().unwrap();
        limit_descriptors(64);
        let mut client = TcpStream::connect(addr).unwrap();
        let mut taken = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        let began = Instant::now();
        for _ in 0..3 {
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        }
        // A loop around it does not take the whole processor.
        assert!(began.elapsed() >= Duration::from_millis(200));

        // The connection has waited meanwhile, here for a stream of them.
        let mut incoming = listener.incoming();
        let error = incoming.next().await.unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        taken.clear();
        let stream = incoming.next().await.unwrap().unwrap();
        stream.write_all(b"at last").await.unwrap();
        drop(stream);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "at last");
    });
}
