//! Crates that insist on tokio's runtime, in a program that libevent's loop runs: reqwest makes its
//! sockets and timers by tokio, and spawns tasks there. async-compat has a runtime on a thread of
//! its own that looks after those, and lets the crate find it; our futures are polled by our loop,
//! among its callbacks, and may hold what stays on this thread.
//!
//!     tokio_only_crates http://127.0.0.1:8000/ http://example.org/

use async_compat::Compat;
use libevent2::{EventBase, Timer};
use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

async fn size(client: &reqwest::Client, url: &str, total: &Cell<usize>) -> reqwest::Result<usize> {
    let answer = client.get(url).send().await?.error_for_status()?;
    let len = answer.bytes().await?.len();
    total.set(total.get() + len);
    Ok(len)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()?;
    let total = Rc::new(Cell::new(0));
    let _progress = Timer::every(&base, Duration::from_millis(100), {
        let total = Rc::clone(&total);
        move |_| eprint!("\r{} bytes", total.get())
    })?;

    let downloads = std::env::args().skip(1).map(|url| {
        let (client, total) = (client.clone(), Rc::clone(&total));
        base.spawn(Compat::new(async move {
            match size(&client, &url, &total).await {
                Ok(len) => println!("{url}: {len} bytes"),
                Err(error) => println!("{url}: {error}"),
            }
        }))
    });
    let downloads: Vec<_> = downloads.collect();
    base.block_on(async {
        for download in downloads {
            download.await?;
        }
        Ok(())
    })?
}
