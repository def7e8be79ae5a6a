//! tokio-postgres on the loop, against a PostgreSQL of the test's own.

mod support;

#[allow(dead_code, reason = "its main is the example's")]
#[path = "../examples/postgres.rs"]
mod postgres;

use futures_util::future::{join_all, poll_fn};
use futures_util::{SinkExt, StreamExt, TryStreamExt, pin_mut};
use hyper::body::Bytes;
use libevent2::LoopHandle;
use libevent2::net::TcpStream;
use std::time::Duration;
use support::{PASSWORD, Postgres, USER, base, bounded, example};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

fn by_tcp(server: &Postgres) -> Config {
    let mut config = Config::new();
    config.user(USER).password(PASSWORD).dbname("postgres");
    config.host("127.0.0.1").port(server.port());
    config
}

fn by_unix_socket(server: &Postgres) -> Config {
    let mut config = Config::new();
    config.user(USER).password(PASSWORD).dbname("postgres");
    config.host_path(server.folder()).port(server.port());
    config
}

/// Runs `test` on a loop, beside a server and with a client of it.
fn with_client(test: impl AsyncFnOnce(&LoopHandle, &Postgres, Client)) {
    let _bounded = bounded();
    let Some(server) = Postgres::shared() else {
        return;
    };
    let mut base = base();
    let handle = base.handle().clone();
    base.block_on(async {
        let client = postgres::connect(&handle, &by_tcp(&server)).await.unwrap();
        test(&handle, &server, client).await;
    })
    .unwrap();
}

#[test]
fn queries_by_tcp_and_by_a_unix_socket() {
    with_client(async |handle, server, tcp| {
        let unix = postgres::connect(handle, &by_unix_socket(server))
            .await
            .unwrap();
        for client in [tcp, unix] {
            let row = client
                .query_one("SELECT $1::text || 'ö', 6 * 7", &[&"héll"])
                .await
                .unwrap();
            assert_eq!((row.get::<_, &str>(0), row.get::<_, i32>(1)), ("héllö", 42));
        }
    });
}

#[test]
fn a_wrong_password_is_refused() {
    with_client(async |handle, server, _| {
        let mut config = by_tcp(server);
        let error = postgres::connect(handle, config.password("wrong"))
            .await
            .unwrap_err();
        let error = error.downcast::<tokio_postgres::Error>().unwrap();
        assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD));
    });
}

#[test]
fn a_transaction_that_is_dropped_leaves_nothing() {
    with_client(async |_, _, mut client| {
        client
            .batch_execute("CREATE TEMP TABLE numbers (n int)")
            .await
            .unwrap();
        for (number, commit) in [(1, true), (2, false), (3, true)] {
            let transaction = client.transaction().await.unwrap();
            let insert = "INSERT INTO numbers VALUES ($1)";
            transaction.execute(insert, &[&number]).await.unwrap();
            if commit {
                transaction.commit().await.unwrap();
            }
        }
        let rows = client
            .query("SELECT n FROM numbers ORDER BY n", &[])
            .await
            .unwrap();
        let numbers: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(numbers, [1, 3]);
    });
}

#[test]
fn a_thousand_queries_at_once_on_one_connection() {
    with_client(async |_, _, client| {
        let square = client.prepare("SELECT $1::int8 * $1::int8").await.unwrap();
        let (client, square) = (&client, &square);
        let asked = (0..1000_i64).map(|number| async move {
            client
                .query_one(square, &[&number])
                .await
                .unwrap()
                .get::<_, i64>(0)
        });
        let squares = join_all(asked).await;
        assert!(squares.iter().copied().eq((0..1000).map(|n| n * n)));
    });
}

#[test]
fn rows_are_copied_in_and_out() {
    with_client(async |_, _, client| {
        client
            .batch_execute("CREATE TEMP TABLE lines (n int, text text)")
            .await
            .unwrap();
        let sink = client
            .copy_in::<_, Bytes>("COPY lines FROM STDIN")
            .await
            .unwrap();
        pin_mut!(sink);
        for number in 0..10_000 {
            let line = format!("{number}\tline {number} {}\n", "x".repeat(100));
            sink.send(line.into()).await.unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), 10_000);

        let copy = "COPY (SELECT n FROM lines ORDER BY n) TO STDOUT";
        let stream = client.copy_out(copy).await.unwrap();
        let out: Vec<Bytes> = stream.try_collect().await.unwrap();
        let numbers = out.concat();
        let numbers = String::from_utf8(numbers).unwrap();
        assert!(numbers.lines().eq((0..10_000).map(|n| n.to_string())));
    });
}

/// More than any buffer holds: the server has to wait for us.
#[test]
fn ten_megabytes_in_a_row() {
    with_client(async |_, _, client| {
        let text = "ab".repeat(5 << 20);
        let row = client
            .query_one("SELECT reverse($1::text)", &[&text])
            .await
            .unwrap();
        assert!(row.get::<_, &str>(0) == "ba".repeat(5 << 20));
    });
}

#[test]
fn notifications_arrive_on_another_connection() {
    with_client(async |handle, server, client| {
        let config = by_tcp(server);
        let stream = TcpStream::connect(handle, ([127, 0, 0, 1], server.port()).into());
        let stream = stream.await.unwrap();
        let (listener, mut connection) = config.connect_raw(stream, NoTls).await.unwrap();
        let heard = handle.spawn(async move {
            let mut heard = Vec::new();
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(notification) = message.unwrap() {
                    heard.push((
                        notification.channel().to_owned(),
                        notification.payload().to_owned(),
                    ));
                }
            }
            heard
        });
        listener.batch_execute("LISTEN news").await.unwrap();
        client
            .batch_execute("NOTIFY news, 'one'; NOTIFY news, 'two'")
            .await
            .unwrap();
        // Notifications come before the answer to what is asked after them.
        listener.batch_execute("SELECT").await.unwrap();
        drop(listener);
        let both = ["one", "two"].map(|text| ("news".to_owned(), text.to_owned()));
        assert_eq!(heard.await.unwrap(), both);
    });
}

#[test]
fn a_query_is_cancelled_over_a_second_connection() {
    with_client(async |handle, server, client| {
        let token = client.cancel_token();
        let query = handle.spawn(async move { client.batch_execute("SELECT pg_sleep(30)").await });
        let asker = postgres::connect(handle, &by_tcp(server)).await.unwrap();
        // Until the server has begun with it.
        let running = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        while asker.query(running, &[]).await.unwrap().is_empty() {}
        let stream = TcpStream::connect(handle, ([127, 0, 0, 1], server.port()).into());
        token
            .cancel_query_raw(stream.await.unwrap(), NoTls)
            .await
            .unwrap();
        let error = query.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    });
}

#[test]
fn a_query_that_is_dropped_harms_none_after_it() {
    with_client(async |handle, _, client| {
        for _ in 0..3 {
            let slow = client.batch_execute("SELECT pg_sleep(0.05)");
            let late = handle.timeout(Duration::from_millis(1), slow).await;
            assert!(late.is_err());
        }
        let row = client.query_one("SELECT 42", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 42);
    });
}

#[test]
fn the_loop_does_other_things_while_the_server_thinks() {
    with_client(async |handle, _, client| {
        let timers = handle.clone();
        let ticks = handle.spawn(async move {
            let mut interval = timers.interval(Duration::from_millis(5));
            for _ in 0..10 {
                interval.tick().await;
            }
        });
        let thinks = client.batch_execute("SELECT pg_sleep(30)");
        // Ten ticks, and the query is still thinking.
        let ticked = futures_util::future::select(ticks, Box::pin(thinks)).await;
        assert!(matches!(
            ticked,
            futures_util::future::Either::Left((Ok(()), _))
        ));
    });
}

#[test]
fn a_connection_that_the_server_ends_is_an_error_of_the_query() {
    with_client(async |handle, server, client| {
        let id = client
            .query_one("SELECT pg_backend_pid()", &[])
            .await
            .unwrap();
        let id: i32 = id.get(0);
        let other = postgres::connect(handle, &by_tcp(server)).await.unwrap();
        let query = handle.spawn(async move {
            let first = client
                .batch_execute("SELECT pg_sleep(30)")
                .await
                .unwrap_err();
            (first, client.batch_execute("SELECT").await.unwrap_err())
        });
        other
            .execute("SELECT pg_terminate_backend($1, 10000)", &[&id])
            .await
            .unwrap();
        let (first, second) = query.await.unwrap();
        assert!(
            first.code() == Some(&SqlState::ADMIN_SHUTDOWN) || first.is_closed(),
            "{first:?}"
        );
        assert!(second.is_closed(), "{second:?}");
    });
}

#[test]
fn rows_come_as_a_stream_as_fast_as_they_are_taken() {
    with_client(async |_, _, client| {
        let rows = client.query_raw("SELECT generate_series(1, $1::int8)", [100_000_i64]);
        let rows = rows.await.unwrap();
        pin_mut!(rows);
        let mut next = 1;
        while let Some(row) = rows.next().await {
            assert_eq!(row.unwrap().get::<_, i64>(0), next);
            next += 1;
        }
        assert_eq!(next, 100_001);
    });
}

#[test]
fn the_example_runs() {
    let _bounded = bounded();
    let Some(server) = Postgres::shared() else {
        return;
    };
    let (port, folder) = (server.port(), server.folder());
    for host in ["127.0.0.1", folder.to_str().unwrap()] {
        let config = format!("host={host} port={port} user={USER} password={PASSWORD}");
        let output = example("postgres")
            .arg(config + " dbname=postgres")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let expected = "libevent 2000\ntokio 2016\nliböv 2026\n\
                        [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]\n\
                        relation \"nowhere\" does not exist\n";
        assert_eq!(printed, expected, "{output:?}");
    }
}
