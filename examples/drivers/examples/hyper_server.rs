//! hyper's server on the loop: HTTP/1 and HTTP/2 on one port, a task for each connection.
//!
//!     cargo run --example hyper_server -- 127.0.0.1:8080
//!     curl http://127.0.0.1:8080/
//!     curl --http2-prior-knowledge --data-binary @file http://127.0.0.1:8080/echo

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::server::conn::auto::Builder;
use libevent2::net::TcpListener;
use libevent2::task::OnLoop;
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::time::Duration;

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn answer(request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let body = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => Full::from("hello from libevent\n")
            .map_err(|e| match e {})
            .boxed(),
        // Sent back while it comes, whatever its size.
        (&Method::POST, "/echo") => request.into_body().boxed(),
        _ => {
            let mut answer = Response::new(BoxBody::default());
            *answer.status_mut() = StatusCode::NOT_FOUND;
            return Ok(answer);
        }
    };
    Ok(Response::new(body))
}

pub async fn serve(handle: &LoopHandle, listener: TcpListener) -> std::io::Result<()> {
    // The loop runs hyper's tasks, and its timers keep hyper's time.
    let mut http = Builder::new(handle.clone());
    let timer = OnLoop::new(handle, handle.clone());
    let patience = Duration::from_secs(10);
    http.http1()
        .timer(timer.clone())
        .header_read_timeout(patience);
    http.http2().timer(timer).keep_alive_interval(patience);
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let http = http.clone();
        handle.spawn(async move {
            if let Err(error) = http.serve_connection(stream, service_fn(answer)).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, address)?;
    println!("listening on http://{}", listener.local_addr()?);
    base.block_on(serve(&handle, listener))??;
    Ok(())
}
