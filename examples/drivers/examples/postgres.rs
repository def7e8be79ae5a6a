//! tokio-postgres on the loop, by TCP or a Unix socket, against a real PostgreSQL.
//!
//!     cargo run --example postgres -- 'host=127.0.0.1 user=me password=secret dbname=postgres'
//!     cargo run --example postgres -- 'host=/run/postgresql user=me dbname=postgres'

use futures_util::future::try_join_all;
use libevent2::net::{TcpStream, UnixStream};
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Connects by our own streams. The connection is a task of the loop, which ends when the client
/// is dropped; its errors are also those of the client.
pub async fn connect(handle: &LoopHandle, config: &Config) -> Result<Client> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first().ok_or("no host")? {
        Host::Tcp(host) => {
            let stream = TcpStream::connect_host(handle, host, port).await?;
            stream.set_nodelay(true)?;
            let (client, connection) = config.connect_raw(stream, NoTls).await?;
            handle.spawn(connection);
            Ok(client)
        }
        Host::Unix(folder) => {
            let path = folder.join(format!(".s.PGSQL.{port}"));
            let stream = UnixStream::connect(handle, path).await?;
            let (client, connection) = config.connect_raw(stream, NoTls).await?;
            handle.spawn(connection);
            Ok(client)
        }
    }
}

fn main() -> Result<()> {
    let config = std::env::args().nth(1).ok_or("usage: postgres CONFIG")?;
    let config: Config = config.parse()?;
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(async {
        let mut client = connect(&handle, &config).await?;

        let create = "CREATE TEMP TABLE seeds (id serial, name text, year int)";
        client.batch_execute(create).await?;
        let transaction = client.transaction().await?;
        let insert = "INSERT INTO seeds (name, year) VALUES ($1, $2)";
        let insert = transaction.prepare(insert).await?;
        for (name, year) in [("libevent", 2000), ("tokio", 2016), ("liböv", 2026)] {
            transaction.execute(&insert, &[&name, &year]).await?;
        }
        transaction.commit().await?;

        for row in client
            .query("SELECT name, year FROM seeds ORDER BY id", &[])
            .await?
        {
            println!(
                "{} {}",
                row.get::<_, &str>("name"),
                row.get::<_, i32>("year")
            );
        }

        // Sent one after the other without waiting, answered in order.
        let square = client.prepare("SELECT $1::int8 * $1::int8").await?;
        let numbers: Vec<i64> = (1..=10).collect();
        let asked = numbers.iter().map(|number| {
            let (client, square) = (&client, &square);
            async move { client.query_one(square, &[number]).await }
        });
        let rows = try_join_all(asked).await?;
        let squares: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        println!("{squares:?}");

        // An error is an error, where it is awaited.
        let error = client
            .query("SELECT * FROM nowhere", &[])
            .await
            .unwrap_err();
        println!(
            "{}",
            error
                .as_db_error()
                .map_or("no answer", |error| error.message())
        );
        Ok(())
    })?
}
