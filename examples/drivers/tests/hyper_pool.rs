//! hyper-util's pool of connections on the loop.

mod support;

#[allow(dead_code, reason = "its main is the example's")]
#[path = "../examples/hyper_pool.rs"]
mod hyper_pool;

use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, Uri};
use libevent2::net::TcpListener;
use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use support::{Program, base, bounded, example};

#[test]
fn connections_are_kept_and_used_again() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, ([127, 0, 0, 1], 0).into()).unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let uri: Uri = uri.parse().unwrap();
    let accepted = Rc::new(Cell::new(0));
    let (server, count) = (handle.clone(), Rc::clone(&accepted));
    handle.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.set(count.get() + 1);
            let page = service_fn(async |_| {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("page"))))
            });
            server.spawn(http1::Builder::new().serve_connection(stream, page));
        }
    });
    base.block_on(async {
        let client = hyper_pool::client(&handle);
        let ask = async || {
            let answer = client.get(uri.clone()).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        };
        for _ in 0..50 {
            assert_eq!(ask().await, "page");
        }
        assert_eq!(accepted.get(), 1, "one after the other");
        let pages = join_all((0..50).map(|_| ask())).await;
        assert!(pages.iter().all(|page| page == "page"));
        assert!((2..=51).contains(&accepted.get()), "{}", accepted.get());
        // A server that is not there is an error.
        let nowhere = "http://127.0.0.1:1/".parse().unwrap();
        assert!(client.get(nowhere).await.unwrap_err().is_connect());
    })
    .unwrap();
}

#[test]
fn the_example_runs() {
    let _bounded = bounded();
    let server = Program::start(example("hyper_server").arg("127.0.0.1:0"), "KILL");
    let line = server.line_with("listening on ");
    let address = line.strip_prefix("listening on ").unwrap();
    let output = example("hyper_pool")
        .args([address, "20"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let expected = "round 1: 20 answers, 400 bytes\nround 2: 20 answers, 400 bytes\n";
    assert_eq!(printed, expected, "{output:?}");
}
