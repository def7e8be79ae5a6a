//! Against beanstalkd.

use crate::client::{Client, Error};
use crate::common::bounded;
use crate::common::peers::peer;
use libevent2::stream::AsyncStream;
use libevent2::{EventBase, LoopHandle};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

struct Beanstalkd {
    process: Child,
    address: SocketAddr,
}

impl Beanstalkd {
    /// None when it is not installed.
    fn start() -> Option<Self> {
        let mut command = peer("beanstalkd")?;
        // It takes no port 0: one that was free a moment ago.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let port = address.port().to_string();
        let command = command.args(["-l", "127.0.0.1", "-p", &port, "-z", "1000"]);
        let process = command.stderr(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(address).is_err() {
            thread::sleep(Duration::from_millis(5));
        }
        Some(Beanstalkd { process, address })
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Beanstalkd {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn connect(handle: &LoopHandle, server: &Beanstalkd) -> Client {
    let stream = AsyncStream::connect(handle, server.address).await;
    Client::new(handle, stream.unwrap())
}

/// Runs a test with a server, where there is one.
fn with_server(test: impl AsyncFnOnce(LoopHandle, &mut Beanstalkd)) {
    let _bounded = bounded();
    let Some(mut server) = Beanstalkd::start() else {
        return;
    };
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    base.block_on(test(handle, &mut server)).unwrap();
}

/// Row 65: a job from its beginning to its end.
#[test]
fn row_65_a_job_is_put_reserved_and_deleted() {
    with_server(async |handle, server| {
        let client = connect(&handle, server).await;
        client.use_tube("mail").await.unwrap();
        assert_eq!(client.watch("mail").await.unwrap().number, 2);
        let text = "a line\r\nand\0 ä";
        let id = client.put(text.as_bytes(), 5, 0, 60).await.unwrap().number;
        let job = client.reserve(0).await.unwrap();
        assert_eq!((job.number, &*job.body), (id, text.as_bytes()));
        let stats = client.stats_job(id).await.unwrap();
        let stats = String::from_utf8_lossy(&stats.body);
        for line in ["tube: mail", "state: reserved", "pri: 5", "ttr: 60"] {
            assert!(
                stats
                    .lines()
                    .any(|found| found.trim_matches('"') == line || found.replace('"', "") == line),
                "{line}: {stats}"
            );
        }
        job.delete().await.unwrap();
        assert_eq!(client.stats_job(id).await.err(), Some(Error::NotFound));
        assert_eq!(client.reserve(0).await.err(), Some(Error::TimedOut));
    });
}

#[test]
fn row_65_a_job_that_is_released_or_buried_waits_for_others() {
    with_server(async |handle, server| {
        let (one, two) = (
            connect(&handle, server).await,
            connect(&handle, server).await,
        );
        one.put(b"x", 0, 0, 60).await.unwrap();
        let job = one.reserve(0).await.unwrap();
        assert_eq!(two.reserve(0).await.err(), Some(Error::TimedOut));
        job.release(7, 0).await.unwrap();
        let job = two.reserve(0).await.unwrap();
        job.bury(9).await.unwrap();
        assert_eq!(one.reserve(0).await.err(), Some(Error::TimedOut));
        assert_eq!(one.ask("kick 10", &[], "KICKED").await.unwrap().number, 1);
        assert_eq!(one.reserve(0).await.unwrap().body, b"x");
    });
}

/// Each command of the protocol can be given.
#[test]
fn row_65_every_command_is_understood() {
    with_server(async |handle, server| {
        let client = connect(&handle, server).await;
        let put = async || client.put(b"x", 0, 0, 60).await.unwrap().number;
        let id = put().await;
        let commands = [
            ("use default", "USING"),
            ("watch other", "WATCHING"),
            ("ignore other", "WATCHING"),
            ("list-tubes", "OK"),
            ("list-tube-used", "USING"),
            ("list-tubes-watched", "OK"),
            ("stats", "OK"),
            ("stats-tube default", "OK"),
            ("peek-ready", "FOUND"),
            (&format!("peek {id}"), "FOUND"),
            ("pause-tube default 0", "PAUSED"),
            ("kick 1", "KICKED"),
        ];
        for (command, word) in commands {
            let reply = client.ask(command, &[], word).await;
            assert!(reply.is_ok(), "{command}: {:?}", reply.err());
        }
        for empty in [
            "peek-delayed",
            "peek-buried",
            "kick-job 99",
            "delete 99",
            "touch 99",
        ] {
            assert_eq!(
                client.ask(empty, &[], "").await.err(),
                Some(Error::NotFound),
                "{empty}"
            );
        }
        let job = client.reserve(0).await.unwrap();
        client
            .ask(&format!("touch {id}"), &[], "TOUCHED")
            .await
            .unwrap();
        drop(job);
        // The other two ways to reserve; neither job is kept.
        drop(client.ask("reserve", &[], "RESERVED").await.unwrap());
        drop(
            client
                .ask(&format!("reserve-job {id}"), &[], "RESERVED")
                .await
                .unwrap(),
        );
        client
            .ask(&format!("delete {id}"), &[], "DELETED")
            .await
            .unwrap();
    });
}

#[test]
fn what_the_server_refuses_is_an_error_and_the_connection_goes_on() {
    with_server(async |handle, server| {
        let client = connect(&handle, server).await;
        let refused = |error: &str| Some(Error::Refused(error.to_owned()));
        let too_big = client.put(&[0; 1001], 0, 0, 60).await.err();
        assert_eq!(too_big, refused("JOB_TOO_BIG"));
        let last = client.ask("ignore default", &[], "WATCHING").await.err();
        assert_eq!(last, refused("NOT_IGNORED"));
        assert_eq!(
            client.ask("fly", &[], "").await.err(),
            refused("UNKNOWN_COMMAND")
        );
        assert_eq!(client.use_tube("a b").await.err(), refused("BAD_FORMAT"));
        // A name cannot smuggle a command in.
        let smuggled = client.use_tube("a\r\nput 0 0 1 1\r\nx").await.err();
        assert!(matches!(smuggled, Some(Error::Refused(_))));
        assert_eq!(client.put(b"x", 0, 0, 60).await.unwrap().number, 1);
    });
}

/// All on one connection, at the same time.
#[test]
fn a_thousand_tasks_share_a_connection() {
    with_server(async |handle, server| {
        let client = connect(&handle, server).await;
        let begin = |number: usize| {
            let client = client.clone();
            let body = number.to_string();
            handle.spawn(async move { (client.put(body.as_bytes(), 0, 0, 60).await, body) })
        };
        let tasks: Vec<_> = (0..1000).map(begin).collect();
        for task in tasks {
            let (put, body) = task.await.unwrap();
            let id = put.unwrap().number;
            let found = client
                .ask(&format!("peek {id}"), &[], "FOUND")
                .await
                .unwrap();
            assert_eq!(found.body, body.as_bytes());
        }
    });
}

/// Whoever stops waiting for a job does not keep it from others.
#[test]
fn a_job_for_somebody_who_has_gone_is_given_back() {
    with_server(async |handle, server| {
        let (gone, other) = (
            connect(&handle, server).await,
            connect(&handle, server).await,
        );
        let short = Duration::from_millis(20);
        assert!(handle.timeout(short, gone.reserve(30)).await.is_err());
        other.put(b"x", 0, 0, 60).await.unwrap();
        let job = other.reserve(10).await.unwrap();
        job.delete().await.unwrap();
        // And the answers still belong to their commands.
        assert_eq!(gone.use_tube("mine").await.unwrap().line, "USING mine");
    });
}

#[test]
fn a_job_that_is_dropped_is_given_back() {
    with_server(async |handle, server| {
        let (one, other) = (
            connect(&handle, server).await,
            connect(&handle, server).await,
        );
        one.put(b"x", 0, 0, 60).await.unwrap();
        drop(one.reserve(0).await.unwrap());
        other.reserve(10).await.unwrap().delete().await.unwrap();
        // So it is when the one who has it goes altogether.
        one.put(b"y", 0, 0, 60).await.unwrap();
        let job = one.reserve(0).await.unwrap();
        drop((one, job));
        assert_eq!(other.reserve(10).await.unwrap().body, b"y");
    });
}

#[test]
fn a_server_that_ends_is_told_to_all_who_wait() {
    with_server(async |handle, server| {
        let client = connect(&handle, server).await;
        let waiting = [0, 1].map(|_| {
            let client = client.clone();
            handle.spawn(async move { client.reserve(30).await.err() })
        });
        handle.sleep(Duration::from_millis(20)).await;
        server.stop();
        for task in waiting {
            let error = task.await.unwrap();
            assert!(matches!(error, Some(Error::Lost(_))), "{error:?}");
        }
        let later = client.use_tube("x").await.err();
        assert!(matches!(later, Some(Error::Lost(_))), "{later:?}");
    });
}
