//! Bufferevents that are awaited: what comes and goes over every kind of stream.
#![cfg(all(feature = "async", unix))]

mod async_stream_common;
mod common;

use async_stream_common::{EACH, MOMENT, bytes, polled, run};
use common::bounded;
use libevent2::buffer::{Eol, FileSegment};
use libevent2::stream::{AsyncStream, Direction};
use libevent2::task::{promise, yield_now};
use std::io::{self, Write as _};
use std::rc::Rc;

/// Answers each line in capitals.
async fn shout(stream: AsyncStream) -> io::Result<()> {
    while let Some(line) = stream.read_line(Eol::Lf).await? {
        stream.write(&line.to_ascii_uppercase()).await?;
        stream.write(b"\n").await?;
    }
    stream.close().await
}

#[test]
fn lines_are_answered_and_both_hear_the_end_over_every_kind_of_stream() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            let server = handle.spawn(shout(far));
            near.connected().await.unwrap();
            for word in ["one", "two", "three"] {
                near.write(word.as_bytes()).await.unwrap();
                near.write(b"\n").await.unwrap();
                let line = near.read_line(Eol::Lf).await.unwrap().unwrap();
                assert_eq!(line, word.to_uppercase().as_bytes(), "{over:?}");
            }
            near.shutdown().await.unwrap();
            assert_eq!(near.read_line(Eol::Lf).await.unwrap(), None, "{over:?}");
            assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0, "{over:?}");
            assert_eq!(near.fill(1).await.unwrap(), 0, "{over:?}");
            server.await.unwrap().unwrap();
        });
    }
}

#[test]
fn two_megabytes_arrive_whole_and_little_of_them_is_in_memory_at_a_time() {
    const TOTAL: usize = 2 * 1024 * 1024;
    const BOUND: usize = 64 * 1024;
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            let echo = handle.spawn(async move {
                while far.fill(1).await? > 0 {
                    // TLS decrypts whole records.
                    assert!(far.input().len() <= BOUND + 17 * 1024, "{over:?}");
                    far.writable().await?;
                    assert!(far.output().len() < BOUND, "{over:?}");
                    far.output().append_from(&far.input())?;
                }
                far.close().await
            });
            let near = Rc::new(near);
            let writer = handle.spawn({
                let near = near.clone();
                async move {
                    for part in bytes(TOTAL).chunks(10_007) {
                        near.write(part).await?;
                        assert!(near.output().len() < BOUND + part.len(), "{over:?}");
                    }
                    near.shutdown().await
                }
            });
            let mut got = Vec::new();
            let mut part = vec![0; 30_011];
            loop {
                match near.read(&mut part).await.unwrap() {
                    0 => break,
                    count => got.extend_from_slice(&part[..count]),
                }
                assert!(near.input().len() <= BOUND + 17 * 1024, "{over:?}");
            }
            assert!(got == bytes(TOTAL), "{over:?}");
            writer.await.unwrap().unwrap();
            echo.await.unwrap().unwrap();
        });
    }
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            let written = Rc::new(std::cell::Cell::new(0));
            let writer = handle.spawn({
                let written = written.clone();
                async move {
                    let part = [7; 10_000];
                    while near.write(&part).await.is_ok() {
                        written.set(written.get() + part.len());
                    }
                }
            });
            let mut before = usize::MAX;
            while written.get() != before {
                before = written.get();
                handle.sleep(MOMENT * 5).await;
            }
            // What the buffers of the system hold is not ours to say.
            assert!((60_000..8_000_000).contains(&before), "{over:?}: {before}");
            assert!(far.input().len() <= 80 * 1024, "{over:?}");
            drop(far);
            writer.await.unwrap();
        });
    }
}

#[test]
fn an_operation_dropped_after_any_number_of_polls_has_lost_no_byte() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            // By and by, so that each operation has to wait.
            let server = handle.spawn(async move {
                for byte in b"line one\nabcdefghijABCDEFGHIJrest that is read to the end" {
                    far.write(&[*byte]).await?;
                    far.flush().await?;
                    yield_now().await;
                }
                far.close().await
            });
            let mut dropped = 0;
            // Each loop drops the operation after 0, 1, 2 … polls, and begins it anew.
            macro_rules! insist {
                ($operation:expr) => {{
                    let mut times = 0;
                    loop {
                        if let Some(value) = polled(times, $operation).await {
                            break value.unwrap();
                        }
                        dropped += 1;
                        times += 1;
                        if times > 5 {
                            // Else nothing would ever have to be waited for again.
                            near.fill(near.input().len() + 1).await.unwrap();
                            times = 0;
                        }
                    }
                }};
            }
            let line = insist!(near.read_line(Eol::Lf));
            assert_eq!(line.as_deref(), Some(&b"line one"[..]), "{over:?}");
            assert_eq!(insist!(near.read_exact(10)), b"abcdefghij", "{over:?}");
            let mut got = Vec::new();
            while got.len() < 10 {
                let mut bytes = [0; 3];
                let room = (10 - got.len()).min(3);
                let count = insist!(near.read(&mut bytes[..room]));
                got.extend_from_slice(&bytes[..count]);
            }
            assert_eq!(got, b"ABCDEFGHIJ", "{over:?}");
            let rest = insist!(near.read_to_end());
            assert_eq!(rest, b"rest that is read to the end", "{over:?}");
            assert!(dropped > 3, "{over:?}: {dropped}");
            server.await.unwrap().unwrap();
        });
    }
}

#[test]
fn a_write_dropped_while_it_waits_has_written_nothing() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            near.connected().await.unwrap();
            let part = bytes(20_000);
            let mut accepted = 0;
            let mut dropped = 0;
            while dropped < 5 {
                match polled(dropped, near.write(&part)).await {
                    Some(result) => {
                        result.unwrap();
                        accepted += 1;
                    }
                    None => {
                        dropped += 1;
                        handle.sleep(MOMENT / 10).await;
                    }
                }
            }
            let writer = handle.spawn(async move { near.close().await });
            let all = far.read_to_end().await.unwrap();
            assert_eq!(all.len(), accepted * part.len(), "{over:?}");
            assert!(all.chunks(part.len()).all(|got| got == part), "{over:?}");
            writer.await.unwrap().unwrap();
        });
    }
}

#[test]
fn what_is_longer_than_the_input_holds_is_waited_for_and_the_bound_is_put_back() {
    const LONG: usize = 300_000;
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            let (go, go_on) = promise();
            let writer = handle.spawn(async move {
                far.write(&bytes(LONG)).await?;
                far.write(&[b'x'; LONG]).await?;
                far.write(b"\n").await?;
                go_on.await.unwrap();
                far.write(&bytes(LONG)).await?;
                far.close().await
            });
            let bound = || near.get_ref().watermarks(Direction::READ).unwrap();
            assert_eq!(bound(), (0, 65_536));
            assert!(near.read_exact(LONG).await.unwrap() == bytes(LONG));
            assert_eq!(bound(), (0, 65_536), "{over:?}");
            let line = near.read_line(Eol::Lf).await.unwrap().unwrap();
            assert_eq!((line.len(), bound()), (LONG, (0, 65_536)), "{over:?}");
            // Also when it is dropped.
            assert!(polled(3, near.read_exact(LONG + 1)).await.is_none());
            assert_eq!(bound(), (0, 65_536), "{over:?}");
            go.resolve(());
            assert!(near.read_to_end().await.unwrap() == bytes(LONG));
            writer.await.unwrap().unwrap();
        });
    }
}

#[test]
fn a_high_watermark_that_was_set_before_is_the_bound() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.buffer_events(&handle);
            near.set_watermarks(Direction::READ, 0, 1000).unwrap();
            let (near, far) = (
                AsyncStream::new(near).unwrap(),
                AsyncStream::new(far).unwrap(),
            );
            let writer = handle.spawn(async move {
                far.write(&bytes(10_000)).await?;
                far.close().await
            });
            near.fill(1).await.unwrap();
            handle.sleep(MOMENT).await;
            // OpenSSL decrypts whole records.
            assert!(near.input().len() <= 17 * 1024, "{over:?}");
            assert!(near.read_exact(10_000).await.unwrap() == bytes(10_000));
            writer.await.unwrap().unwrap();
            let stream = near.into_inner();
            assert_eq!(stream.watermarks(Direction::READ).unwrap(), (0, 1000));
        });
    }
}

#[test]
fn fill_waits_for_as_many_bytes_as_it_is_told_and_takes_none() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            far.write(b"abc").await.unwrap();
            assert_eq!(near.fill(1).await.unwrap(), 3, "{over:?}");
            assert_eq!(near.fill(0).await.unwrap(), 3, "{over:?}");
            assert!(polled(3, near.fill(4)).await.is_none(), "{over:?}");
            far.write(b"de").await.unwrap();
            assert_eq!(near.fill(4).await.unwrap(), 5, "{over:?}");
            assert_eq!(near.input().to_vec(), b"abcde", "{over:?}");
            // Beyond what the input usually holds, in one step and in small ones.
            far.write(&bytes(250_000)).await.unwrap();
            assert!(near.fill(100_000).await.unwrap() >= 100_000, "{over:?}");
            let mut steps = 0;
            while near.input().len() < 250_005 {
                near.fill(near.input().len() + 1).await.unwrap();
                steps += 1;
            }
            assert!(steps < 200, "{over:?}: {steps}");
            // What goes over a pair waits until the other one has room for it.
            let closing = handle.spawn(far.close());
            assert_eq!(near.fill(300_000).await.unwrap(), 250_005, "{over:?}");
            closing.await.unwrap().unwrap();
        });
    }
}

#[test]
fn many_tasks_may_wait_for_one_stream_and_each_line_is_for_one_of_them() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = async_stream_common::Over::Tcp.ends(&handle);
        let near = Rc::new(near);
        let readers: Vec<_> = (0..50)
            .map(|_| {
                let near = near.clone();
                handle.spawn(async move { near.read_line(Eol::Lf).await.unwrap().unwrap() })
            })
            .collect();
        let writer = handle.spawn(async move {
            for n in 0..50 {
                far.write(format!("{n}\n").as_bytes()).await.unwrap();
                yield_now().await;
            }
            far
        });
        let mut lines = Vec::new();
        for reader in readers {
            lines.push(String::from_utf8(reader.await.unwrap()).unwrap());
        }
        lines.sort_by_key(|line| line.parse::<u32>().unwrap());
        assert!(
            lines
                .iter()
                .enumerate()
                .all(|(n, line)| *line == n.to_string())
        );
        drop(writer.await.unwrap());
    });
}

#[test]
fn a_file_is_sent_by_the_system_with_room_waited_for() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes(500_000)).unwrap();
            let segment = FileSegment::new(file, 0..500_000).unwrap();
            let (near, far) = over.ends(&handle);
            let sender = handle.spawn(async move {
                for start in (0..500_000).step_by(50_000) {
                    near.writable().await?;
                    let range = start..start + 50_000;
                    near.output().append_segment(&segment, range)?;
                }
                near.close().await
            });
            assert!(
                far.read_to_end().await.unwrap() == bytes(500_000),
                "{over:?}"
            );
            sender.await.unwrap().unwrap();
        });
    }
}

#[test]
fn a_stream_that_is_always_ready_keeps_no_timer_waiting() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = async_stream_common::Over::Pair.ends(&handle);
        let busy = handle.spawn(async move {
            loop {
                far.write(b"x").await.unwrap();
                near.read_exact(1).await.unwrap();
                // What is there is read without waiting.
                far.write(&[1; 64]).await.unwrap();
                near.fill(1).await.unwrap();
                while !near.input().is_empty() {
                    near.read_exact(1).await.unwrap();
                }
            }
        });
        let start = std::time::Instant::now();
        for _ in 0..5 {
            handle.sleep(MOMENT).await;
        }
        assert!(start.elapsed() < MOMENT * 50, "{:?}", start.elapsed());
        busy.cancel();
        assert!(busy.await.unwrap_err().is_cancelled());
    });
}
