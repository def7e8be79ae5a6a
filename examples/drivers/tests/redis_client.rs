//! The redis crate on the loop, against a Redis of the test's own.

mod support;

#[allow(dead_code, reason = "its main is the example's")]
#[path = "../examples/redis_client.rs"]
mod redis_client;

use futures_util::future::join_all;
use libevent2::LoopHandle;
use libevent2::net::{TcpStream, UnixStream};
use libevent2::task::OnLoop;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, PushInfo, PushKind, RedisConnectionInfo, Value,
    from_redis_value,
};
use std::net::SocketAddr;
use std::time::Duration;
use support::{Redis, base, bounded, example};
use tokio::sync::mpsc::UnboundedReceiver;

fn address(server: &Redis) -> SocketAddr {
    ([127, 0, 0, 1], server.port()).into()
}

/// Runs `test` on a loop, beside a server of its own.
fn with_server(test: impl AsyncFnOnce(&LoopHandle, Redis)) {
    let _bounded = bounded();
    let Some(server) = Redis::start() else { return };
    let mut base = base();
    let handle = base.handle().clone();
    base.block_on(test(&handle, server)).unwrap();
}

async fn connect(
    handle: &LoopHandle,
    server: &Redis,
) -> (MultiplexedConnection, UnboundedReceiver<PushInfo>) {
    redis_client::connect(handle, address(server))
        .await
        .unwrap()
}

/// The next message of a channel, with its text.
async fn message(pushed: &mut UnboundedReceiver<PushInfo>) -> (String, String) {
    loop {
        let PushInfo { kind, data } = pushed.recv().await.expect("a connection");
        if matches!(kind, PushKind::Message | PushKind::PMessage) {
            let [.., channel, text] = &data[..] else {
                panic!("{data:?}")
            };
            let string = |value: &Value| from_redis_value(value.clone()).unwrap();
            return (string(channel), string(text));
        }
    }
}

#[test]
fn values_of_any_size_come_back() {
    with_server(async |handle, server| {
        let (mut redis, _pushed) = connect(handle, &server).await;
        for size in [0, 1, 1000, 8 << 20] {
            let bytes: Vec<u8> = (0..size).map(|i: u32| (i ^ (i >> 8)) as u8).collect();
            let () = redis.set("key", &bytes).await.unwrap();
            let back: Vec<u8> = redis.get("key").await.unwrap();
            assert!(back == bytes, "{size} bytes");
        }
    });
}

#[test]
fn over_a_unix_socket() {
    with_server(async |handle, server| {
        let stream = UnixStream::connect(handle, server.socket()).await.unwrap();
        let (mut redis, driver) = MultiplexedConnection::new_with_config(
            &RedisConnectionInfo::default(),
            OnLoop::new(handle, stream),
            AsyncConnectionConfig::new().set_response_timeout(None),
        )
        .await
        .unwrap();
        let driver = handle.spawn(driver);
        let answer: String = redis::cmd("PING").query_async(&mut redis).await.unwrap();
        assert_eq!(answer, "PONG");
        drop(redis);
        // Nobody is left to ask: the connection ends.
        driver.await.unwrap();
    });
}

#[test]
fn a_pipeline_of_ten_thousand_commands() {
    with_server(async |handle, server| {
        let (mut redis, _pushed) = connect(handle, &server).await;
        let mut pipe = redis::pipe();
        for _ in 0..10_000 {
            pipe.incr("counter", 1);
        }
        let counts: Vec<u32> = pipe.query_async(&mut redis).await.unwrap();
        assert!(counts.into_iter().eq(1..=10_000));
    });
}

#[test]
fn a_thousand_tasks_share_a_connection() {
    with_server(async |handle, server| {
        let (redis, _pushed) = connect(handle, &server).await;
        let tasks = (0..1000_u32).map(|number| {
            let mut redis = redis.clone();
            handle.spawn(async move {
                let () = redis.set(number, number * 2).await.unwrap();
                redis.get::<_, u32>(number).await.unwrap()
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let doubles = join_all(tasks).await.into_iter().map(Result::unwrap);
        assert!(doubles.eq((0..1000).map(|number| number * 2)));
    });
}

#[test]
fn messages_arrive_beside_answers() {
    with_server(async |handle, server| {
        let (mut listener, mut pushed) = connect(handle, &server).await;
        let (mut speaker, _pushed) = connect(handle, &server).await;
        listener.subscribe("news").await.unwrap();
        listener.psubscribe("wea*").await.unwrap();
        for (channel, text) in [("news", "one"), ("weather", "fine"), ("news", "two")] {
            let heard: u32 = speaker.publish(channel, text).await.unwrap();
            assert_eq!(heard, 1);
            // The same connection goes on answering.
            let () = listener.set("last", text).await.unwrap();
            assert_eq!(message(&mut pushed).await, (channel.into(), text.into()));
        }
        listener.unsubscribe("news").await.unwrap();
        let heard: u32 = speaker.publish("news", "three").await.unwrap();
        assert_eq!(heard, 0);
    });
}

#[test]
fn an_error_of_the_server_is_the_commands_own() {
    with_server(async |handle, server| {
        let (mut redis, _pushed) = connect(handle, &server).await;
        let () = redis.set("text", "x").await.unwrap();
        let error = redis.incr::<_, _, i64>("text", 1).await.unwrap_err();
        assert!(error.to_string().contains("not an integer"), "{error}");
        let text: String = redis.get("text").await.unwrap();
        assert_eq!(text, "x");
    });
}

#[test]
fn a_server_that_goes_away_ends_what_waits() {
    with_server(async |handle, server| {
        let (mut redis, _pushed) = connect(handle, &server).await;
        let waiting = handle.spawn(async move {
            let first = redis.blpop::<_, Value>("nothing", 0.0).await.unwrap_err();
            (first, redis.get::<_, Value>("key").await.unwrap_err())
        });
        let (mut other, _pushed) = connect(handle, &server).await;
        // Until the server has begun to wait for it.
        let blocked = async |redis: &mut MultiplexedConnection| {
            let mut info = redis::cmd("INFO");
            let info = info.arg("clients").query_async::<String>(redis).await;
            info.unwrap().contains("blocked_clients:1")
        };
        while !blocked(&mut other).await {}
        server.stop();
        let (first, second) = waiting.await.unwrap();
        assert!(first.is_connection_dropped(), "{first:?}");
        assert!(second.is_connection_dropped(), "{second:?}");
    });
}

/// The crate's own timeouts are kept by the runtime it was built for; smol's has a thread for
/// that, so they work here too, as they work anywhere.
#[test]
fn the_crates_own_timeout_works_by_a_thread_of_smols() {
    with_server(async |handle, server| {
        let stream = TcpStream::connect(handle, address(&server)).await.unwrap();
        let (mut redis, driver) = MultiplexedConnection::new_with_config(
            &RedisConnectionInfo::default(),
            OnLoop::new(handle, stream),
            AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(20))),
        )
        .await
        .unwrap();
        handle.spawn(driver);
        let error = redis.blpop::<_, Value>("nothing", 0.0).await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
    });
}

/// What connects by itself does so by smol, on smol's threads; its answers are awaited here.
#[test]
fn a_connection_manager_lives_on_smols_threads_and_is_awaited_here() {
    with_server(async |handle, server| {
        let client = Client::open(format!("redis://{}", address(&server))).unwrap();
        let config = ConnectionManagerConfig::new().set_min_delay(Duration::from_millis(1));
        let mut managed = ConnectionManager::new_with_config(client, config)
            .await
            .unwrap();
        let () = managed.set("key", 42).await.unwrap();
        // Its connection is ended; it makes another one.
        let (mut direct, _pushed) = connect(handle, &server).await;
        let kill = redis::cmd("CLIENT")
            .arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .to_owned();
        let _: u32 = kill.query_async(&mut direct).await.unwrap();
        let again = async {
            loop {
                if let Ok(value) = managed.get::<_, u32>("key").await {
                    return value;
                }
            }
        };
        assert_eq!(again.await, 42);
    });
}

#[test]
fn the_example_runs() {
    let _bounded = bounded();
    let Some(server) = Redis::start() else { return };
    let output = example("redis_client")
        .arg(address(&server).to_string())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(printed, "héllo\n1 2\nheard by 1\nit works\n", "{output:?}");
}
