//! Crates that insist on tokio's runtime, in futures that libevent's loop polls.

mod support;

use async_compat::Compat;
use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use libevent2::Timer;
use std::cell::Cell;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;
use support::{Program, base, bounded, example, program, python, serve};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

fn files() -> Option<(Program, u16, TempDir)> {
    let mut python = program("python3")?;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), vec![b'x'; 4 << 20]).unwrap();
    python.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]);
    let server = Program::start(python.arg("--directory").arg(folder.path()), "KILL");
    let line = server.line_with("Serving HTTP on");
    let port = line.split_once(" port ").unwrap().1;
    let port = port.split_whitespace().next().unwrap().parse().unwrap();
    Some((server, port, folder))
}

#[test]
fn the_example_downloads_by_reqwest() {
    let _bounded = bounded();
    let Some((_server, port, _folder)) = files() else {
        return;
    };
    let url = |name: &str| format!("http://127.0.0.1:{port}/{name}");
    let mut program = example("tokio_only_crates");
    program.args([url("large"), url("none"), url("large")]);
    let output = program.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let large = format!("{}: {} bytes\n", url("large"), 4 << 20);
    assert_eq!(shown.matches(&large).count(), 2, "{shown}");
    assert!(shown.contains("404"), "{shown}");
}

/// Two tasks of sockets and timers of tokio's, beside a timer of the loop.
async fn tokios_own(ticks: Rc<Cell<usize>>) {
    let here = thread::current().id();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    // A task that tokio spawns runs on tokio's thread.
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        thread::current().id()
    });
    let sent = vec![b'x'; 1 << 20];
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let send = async {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (_, len) = tokio::join!(send, reader.read_to_end(&mut back));
    assert!(len.unwrap() == sent.len() && back == sent);
    assert_ne!(echo.await.unwrap(), here);

    let before = ticks.get();
    while ticks.get() < before + 3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let never = tokio::time::sleep(Duration::from_secs(1000));
    let timed = tokio::time::timeout(Duration::from_millis(1), never).await;
    assert!(timed.is_err());
    // This future has stayed on the loop's thread, with its Rc.
    assert_eq!(thread::current().id(), here);
}

#[test]
fn sockets_and_timers_of_tokios_work_beside_the_loops_own() {
    let _bounded = bounded();
    let mut base = base();
    let ticks = Rc::new(Cell::new(0));
    let counted = Rc::clone(&ticks);
    let _timer = Timer::every(&base, Duration::from_millis(1), move |_| {
        counted.set(counted.get() + 1);
    });
    base.block_on(Compat::new(tokios_own(ticks))).unwrap();
}

#[test]
fn a_runtime_that_is_entered_does_what_the_crate_does() {
    let _bounded = bounded();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let mut base = base();
    let ticks = Rc::new(Cell::new(0));
    let counted = Rc::clone(&ticks);
    let _timer = Timer::every(&base, Duration::from_millis(1), move |_| {
        counted.set(counted.get() + 1);
    });
    let task = base.spawn(tokios_own(ticks));
    base.block_on(task).unwrap().unwrap();
}

#[test]
fn without_either_tokio_says_what_is_missing() {
    let _bounded = bounded();
    let mut base = base();
    let connect = async { TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map(drop) };
    let task = base.spawn(connect);
    let end = base.block_on(task).unwrap();
    let payload = end.unwrap_err().into_panic().unwrap();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    assert!(
        message.unwrap().contains("no reactor running"),
        "{message:?}"
    );
    // And in the future of `block_on` itself.
    let sleep = async { tokio::time::sleep(Duration::ZERO).await };
    assert!(catch_unwind(AssertUnwindSafe(|| base.block_on(sleep))).is_err());
}

const MAIL: &str = r#"
import asyncio
from aiosmtpd.smtp import SMTP

class Show:
    async def handle_DATA(self, server, session, envelope):
        print("mail", envelope.content.decode().splitlines()[-1])
        return "250 OK"

async def main():
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Show()), "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1])
    await server.serve_forever()

asyncio.run(main())
"#;

#[test]
fn lettres_own_transport_sends_mail() {
    let _bounded = bounded();
    let Some(mut python) = python("aiosmtpd") else {
        return;
    };
    let (server, port) = serve(&mut python, MAIL, &[]);
    let mut base = base();
    let mails = Compat::new(async {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1");
        let transport = transport.port(port).build();
        for n in 0..3 {
            let mail = Message::builder()
                .from("ada@example.org".parse().unwrap())
                .to("bob@example.org".parse().unwrap())
                .header(ContentType::TEXT_PLAIN)
                .body(format!("number {n}"))
                .unwrap();
            transport.send(mail).await.unwrap();
        }
    });
    base.block_on(mails).unwrap();
    for n in 0..3 {
        server.line_with(&format!("mail number {n}"));
    }
}
