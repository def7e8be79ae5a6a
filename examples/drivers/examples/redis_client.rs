//! The redis crate's asynchronous client on the loop: commands, pipelines, and pub/sub.
//!
//!     cargo run --example redis_client -- 127.0.0.1:6379

use libevent2::net::TcpStream;
use libevent2::task::OnLoop;
use libevent2::{EventBase, LoopHandle};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A connection, which any number of tasks may share by cloning it, and what the server sends
/// unasked: the messages of the channels that are subscribed to.
pub async fn connect(
    handle: &LoopHandle,
    address: SocketAddr,
) -> Result<(MultiplexedConnection, UnboundedReceiver<PushInfo>)> {
    let stream = TcpStream::connect(handle, address).await?;
    stream.set_nodelay(true)?;
    let (push, pushed) = unbounded_channel();
    // RESP3 carries messages and answers side by side. The crate would measure its timeouts by
    // another runtime: ours are `handle.timeout`.
    let info = redis::RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_push_sender(push);
    // The crate asks for a stream that is `Send`. The connection is a task of the loop, so ours
    // stays where it is.
    let stream = OnLoop::new(handle, stream);
    let (connection, driver) =
        MultiplexedConnection::new_with_config(&info, stream, config).await?;
    handle.spawn(driver);
    Ok((connection, pushed))
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:6379").parse()?;
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(async {
        let connecting = connect(&handle, address);
        let (mut redis, mut pushed) = handle.timeout(Duration::from_secs(5), connecting).await??;

        let () = redis.set("greeting", "héllo").await?;
        let greeting: String = redis.get("greeting").await?;
        println!("{greeting}");

        // One write, one answer for all.
        let (one, two): (i64, i64) = redis::pipe()
            .atomic()
            .del("counter")
            .ignore()
            .incr("counter", 1)
            .incr("counter", 1)
            .query_async(&mut redis)
            .await?;
        println!("{one} {two}");

        redis.subscribe("news").await?;
        let heard: i64 = redis.publish("news", "it works").await?;
        println!("heard by {heard}");
        while let Some(PushInfo { kind, data }) = pushed.recv().await {
            if kind == PushKind::Message {
                println!("{}", redis::from_redis_value::<String>(data[1].clone())?);
                break;
            }
        }
        Ok(())
    })?
}
