//! An axum router, served by hyper on the loop, until SIGINT: then what has begun is finished.
//!
//!     cargo run --example axum_server -- 127.0.0.1:8080
//!     curl http://127.0.0.1:8080/hello/world
//!     curl -H 'content-type: application/json' -d '{"a": 40, "b": 2}' http://127.0.0.1:8080/add

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::future::{Either, select};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use libevent2::net::TcpListener;
use libevent2::task::OnLoop;
use libevent2::{EventBase, LoopHandle};
use serde_json::{Value, json};
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

/// The loop as a part of axum's state. axum asks for `Send`, so it is kept `OnLoop`.
type Loop = OnLoop<LoopHandle>;

async fn add(Json(numbers): Json<Value>) -> Json<Value> {
    let [a, b] = ["a", "b"].map(|name| numbers[name].as_i64().unwrap_or(0));
    Json(json!({ "sum": a + b }))
}

async fn after(State(on_loop): State<Loop>, Path(millis): Path<u64>) -> String {
    let pause = Duration::from_millis(millis);
    on_loop.future(|handle| handle.sleep(pause)).await;
    format!("after {millis} ms\n")
}

pub fn router(handle: &LoopHandle) -> Router {
    Router::new()
        .route(
            "/hello/{name}",
            get(async |Path(name): Path<String>| format!("hello, {name}\n")),
        )
        .route("/add", post(add))
        .route("/after/{millis}", get(after))
        .with_state(OnLoop::new(handle, handle.clone()))
}

/// Serves until `stop` is done, and then until no request is left, for a while.
pub async fn serve(
    handle: &LoopHandle,
    listener: TcpListener,
    router: Router,
    stop: impl Future,
) -> Result<(), Box<dyn Error>> {
    let http = Builder::new(handle.clone());
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    while let Either::Left((accepted, _)) = select(pin!(listener.accept()), &mut stop).await {
        let (stream, peer) = accepted?;
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(stream, service).into_owned();
        let connection = connections.watch(connection);
        handle.spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
    drop(listener);
    let patience = Duration::from_secs(10);
    Ok(handle.timeout(patience, connections.shutdown()).await?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    let mut signals = handle.signals(&[libc::SIGINT, libc::SIGTERM])?;
    let listener = TcpListener::bind(&handle, address)?;
    println!("listening on http://{}", listener.local_addr()?);
    base.block_on(serve(&handle, listener, router(&handle), signals.next()))?
}
