//! Timers: after a delay, again and again, at a time, and a limit that is put off.
//!
//! `cargo run --example timers`; it ends after half a second.

use libevent2::{EventBase, LoopEnd, Result, Timer};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

const TENTH: Duration = Duration::from_millis(100);

/// Runs the example.
pub fn main() -> Result<()> {
    let mut base = EventBase::new()?;
    let begin = Instant::now();
    let at = move || format!("{:3} ms", begin.elapsed().as_millis());

    // Detached: the base owns it, and it runs although nobody holds it.
    Timer::after(&base, TENTH, move |_| println!("{}  once", at()))?.detach();
    Timer::at(&base, begin + TENTH * 2, move |_| {
        println!("{}  at a time", at())
    })?
    .detach();

    // A limit that each tick puts off: it runs 250 ms after the last one.
    let limit = Rc::new(Timer::new(&base, move |timer| {
        println!("{}  no tick for 250 ms", at());
        timer.handle().exit();
    })?);
    limit.set(TENTH * 5 / 2)?;

    let ticks = Cell::new(0);
    let put_off = Rc::clone(&limit);
    let _ticker = Timer::every(&base, TENTH * 3 / 4, move |ticker| {
        ticks.set(ticks.get() + 1);
        println!("{}  tick {}", at(), ticks.get());
        if ticks.get() == 3 {
            ticker.close();
        }
        put_off.set(TENTH * 5 / 2)
    })?;

    let end = base.run()?;
    assert_eq!(end, LoopEnd::Exit);
    println!("{}  the end", at());
    Ok(())
}
