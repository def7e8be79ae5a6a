//! What needs addresses of the test's own choice, or threads that have no time.

use super::race::{Loss, Race};
use super::system::{Lookup, THREADS, WORKERS};
use crate::stream::{BufferEvent, Callbacks, Peer, Resolve, StreamError, StreamEvent};
use crate::util::AddrHints;
use crate::{Error, EventBase, Timer, sync};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// For tests that look up, or change what lookups have: they share the threads.
static LOOKUPS: Mutex<()> = Mutex::new(());

/// Makes it look as if all threads were busy.
fn saturate() {
    loop {
        let mut workers = sync::lock(&WORKERS);
        if workers.running == 0 {
            workers.running = THREADS;
            workers.process = std::process::id();
            return;
        }
        drop(workers);
        thread::yield_now();
    }
}

/// Undoes that, and drops the lookups that wait. Returns how many.
fn relax() -> usize {
    let mut workers = sync::lock(&WORKERS);
    workers.running = 0;
    let jobs = mem::take(&mut workers.waiting);
    drop(workers);
    jobs.len()
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn refusing() -> SocketAddr {
    listening().1
}

/// An address that does not answer: its queue is full.
struct Silent {
    address: SocketAddr,
    _sockets: Vec<socket2::Socket>,
    _queue: Vec<TcpStream>,
}

fn silent() -> Silent {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
    }
    Silent {
        address,
        _sockets: vec![listener],
        _queue: queue,
    }
}

/// Runs a race of these to its end.
fn race(addresses: &[SocketAddr]) -> Result<SocketAddr, (SocketAddr, io::ErrorKind)> {
    let mut base = EventBase::new().unwrap();
    let result = Rc::new(Cell::new(None));
    let slot = result.clone();
    let race = Race::start(&base, addresses, false, move |outcome| {
        let outcome = outcome.map(|(_, address)| address);
        slot.set(Some(
            outcome.map_err(|Loss { address, error }| (address, error.kind())),
        ));
    })
    .unwrap();
    base.run().unwrap();
    assert!(race.is_over());
    result.take().expect("the race has an end")
}

#[test]
fn families_take_turns_and_the_first_address_begins() {
    let ordered = |addresses: &[&str]| {
        let parsed = addresses.iter().map(|a| format!("{a}:1").parse().unwrap());
        let order: VecDeque<SocketAddr> = super::race::interleaved(parsed.collect(), None);
        order.iter().map(|a| a.ip().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        ordered(&["[::1]", "[::2]", "[::3]", "1.1.1.1"]),
        ["::1", "1.1.1.1", "::2", "::3"]
    );
    assert_eq!(
        ordered(&["1.1.1.1", "[::1]", "[::2]", "2.2.2.2", "3.3.3.3"]),
        ["1.1.1.1", "::1", "2.2.2.2", "::2", "3.3.3.3"]
    );
    assert_eq!(ordered(&["1.1.1.1", "2.2.2.2"]), ["1.1.1.1", "2.2.2.2"]);
    assert!(ordered(&[]).is_empty());
    // What comes when one was asked already begins with the other family.
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let rest = vec![address("1.1.1.1:1"), address("[::1]:1")];
    let order = super::race::interleaved(rest, Some(&address("2.2.2.2:1")));
    assert!(order[0].is_ipv6() && order[1].is_ipv4());
}

#[test]
fn an_address_that_does_not_answer_holds_up_the_next_one_for_a_moment_only() {
    let (silent, (_listener, good)) = (silent(), listening());
    let begin = Instant::now();
    assert_eq!(race(&[silent.address, good]), Ok(good));
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(249), "{took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn an_address_that_refuses_does_not_hold_up_the_next_one() {
    let (_listener, good) = listening();
    let refusing = refusing();
    let quickest = (0..10)
        .map(|_| {
            let begin = Instant::now();
            assert_eq!(race(&[refusing, good]), Ok(good));
            begin.elapsed()
        })
        .min();
    assert!(quickest < Some(Duration::from_millis(250)), "{quickest:?}");
}

#[test]
fn one_that_fails_late_lets_the_next_one_begin_at_once() {
    // The first is silent, the second refuses, the third is there: one delay, not two.
    let (silent, (_listener, good)) = (silent(), listening());
    let quickest = (0..5)
        .map(|_| {
            let begin = Instant::now();
            assert_eq!(race(&[silent.address, refusing(), good]), Ok(good));
            begin.elapsed()
        })
        .min();
    assert!(quickest < Some(Duration::from_millis(500)), "{quickest:?}");
}

#[test]
fn it_does_not_matter_in_which_family_somebody_listens() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        // This machine has no IPv6: there is no way, and that is no delay.
        let (_listener, v4) = listening();
        return assert_eq!(race(&["[::1]:1".parse().unwrap(), v4]), Ok(v4));
    };
    let v6 = listener.local_addr().unwrap();
    let v4 = SocketAddr::from(([127, 0, 0, 1], v6.port()));
    assert_eq!(race(&[v4, v6]), Ok(v6));
    drop(listener);
    let (_listener, v4) = listening();
    let v6 = format!("[::1]:{}", v4.port()).parse().unwrap();
    assert_eq!(race(&[v6, v4]), Ok(v4));
}

/// A race to which `late` comes after `wait`, or the news that nothing does.
fn late_race(
    early: &[SocketAddr],
    wait: Duration,
    all: &[SocketAddr],
) -> Result<SocketAddr, SocketAddr> {
    let mut base = EventBase::new().unwrap();
    let result = Rc::new(Cell::new(None));
    let slot = result.clone();
    let race = Race::start(&base, early, true, move |outcome| {
        let outcome = outcome.map(|(_, address)| address);
        slot.set(Some(outcome.map_err(|loss| loss.address)));
    })
    .unwrap();
    let (race, all) = (Rc::new(race), all.to_vec());
    let later = race.clone();
    let _timer = Timer::after(&base, wait, move |_| later.all(&all)).unwrap();
    base.run().unwrap();
    result.take().expect("the race has an end")
}

#[test]
fn a_race_to_which_more_may_come_is_lost_only_when_it_has() {
    let (first, second) = (refusing(), refusing());
    let wait = Duration::from_millis(100);
    let (_listener, good) = listening();
    assert_eq!(late_race(&[first], wait, &[first, good]), Ok(good));
    assert_eq!(late_race(&[first], wait, &[first, second]), Err(first));
    assert_eq!(late_race(&[first], wait, &[first]), Err(first));
    // One that answers is taken before the rest is there.
    let mut base = EventBase::new().unwrap();
    let race = Race::start(&base, &[first, good], true, move |outcome| {
        assert!(outcome.is_ok_and(|(_, address)| address == good));
    });
    base.run().unwrap();
    assert!(race.unwrap().is_over());
}

#[test]
fn addresses_that_come_late_keep_the_distance_to_the_one_that_is_being_tried() {
    let (silent, (_listener, good)) = (silent(), listening());
    let begin = Instant::now();
    // The first attempt begins after 50 ms, the second one 250 ms later, in whatever time its
    // address has come. The loop's clock may be behind by some milliseconds.
    let wait = Duration::from_millis(100);
    let won = late_race(&[silent.address], wait, &[silent.address, good]);
    assert_eq!(won, Ok(good));
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(280), "{took:?}");
    // Or at once, when that is over.
    let wait = Duration::from_millis(400);
    let begin = Instant::now();
    let won = late_race(&[silent.address], wait, &[silent.address, good]);
    assert_eq!(won, Ok(good));
    let took = begin.elapsed();
    assert!(took >= wait - Duration::from_millis(20), "{took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn ipv4_waits_a_moment_for_ipv6_and_then_is_second() {
    let Ok(v6) = TcpListener::bind("[::1]:0") else {
        return;
    };
    let (v6, (_listener, v4)) = (v6.local_addr().unwrap(), listening());
    let wait = Duration::from_millis(1);
    assert_eq!(late_race(&[v4], wait, &[v6, v4]), Ok(v6));
    // IPv6 waits for nobody.
    let quickest = (0..3)
        .map(|_| {
            let begin = Instant::now();
            let mut base = EventBase::new().unwrap();
            let race = Race::start(&base, &[v6], true, |outcome| assert!(outcome.is_ok()));
            base.run().unwrap();
            assert!(race.is_ok());
            begin.elapsed()
        })
        .min();
    assert!(quickest < Some(Duration::from_millis(50)), "{quickest:?}");
}

#[test]
fn when_all_refuse_the_first_is_named() {
    let (first, second) = (refusing(), refusing());
    assert_eq!(
        race(&[first, second]),
        Err((first, io::ErrorKind::ConnectionRefused))
    );
}

#[test]
fn a_refusal_says_more_than_that_there_is_no_way() {
    let base = EventBase::new().unwrap();
    let address = refusing();
    let race = Race::start(&base, &[address], false, |_| {}).unwrap();
    let kept = |code| {
        let error = io::Error::from_raw_os_error(code);
        race.note(Loss { address, error })
    };
    let order = [
        (libc::ENETUNREACH, libc::ENETUNREACH),
        (libc::EHOSTUNREACH, libc::ENETUNREACH),
        (libc::EAFNOSUPPORT, libc::ENETUNREACH),
        (libc::ETIMEDOUT, libc::ETIMEDOUT),
        (libc::ENETUNREACH, libc::ETIMEDOUT),
        (libc::ECONNREFUSED, libc::ECONNREFUSED),
        (libc::ECONNRESET, libc::ECONNREFUSED),
    ];
    for (next, most) in order {
        assert_eq!(kept(next), Some(most));
    }
}

#[test]
fn a_race_that_is_dropped_calls_nobody_and_keeps_no_loop_running() {
    let silent = silent();
    let held = Rc::new(());
    let mut base = EventBase::new().unwrap();
    let inside = held.clone();
    let race = Race::start(&base, &[silent.address], false, move |_| drop(inside)).unwrap();
    // The attempt is under way.
    base.run_nonblocking().unwrap();
    assert!(!race.is_over());
    drop(race);
    assert_eq!(Rc::strong_count(&held), 1);
    base.run().unwrap();
}

#[test]
fn names_wait_for_a_thread_and_the_time_that_they_have_runs() {
    let _alone = sync::lock(&LOOKUPS);
    let mut base = EventBase::new().unwrap();
    saturate();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let events = heard.clone();
    let stream = BufferEvent::connect_host_by(
        &base,
        &Resolve::system(),
        "name.example",
        80,
        Callbacks::new().on_event(move |_, event| events.borrow_mut().push(event)),
    )
    .unwrap();
    stream
        .set_timeouts(None, Some(Duration::from_millis(5)))
        .unwrap();
    base.run().unwrap();
    assert_eq!(relax(), 1);
    let expected = Peer::Host("name.example:80".to_owned());
    assert!(
        matches!(
            &heard.borrow()[..],
            [StreamEvent::Failed(StreamError::ConnectTimedOut { peer })] if *peer == expected
        ),
        "{heard:?}"
    );
}

#[test]
fn a_lookup_that_is_broken_off_says_so() {
    let _alone = sync::lock(&LOOKUPS);
    let mut base = EventBase::new().unwrap();
    saturate();
    let answer = Rc::new(Cell::new(None));
    let slot = answer.clone();
    let _lookup = Lookup::start(&base, "name.example", 80, AddrHints::new(), move |found| {
        slot.set(Some(found));
    })
    .unwrap();
    assert_eq!(relax(), 1);
    base.run().unwrap();
    let error = answer.take().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Lookup { name, .. } if name == "name.example"));
    assert_eq!(
        error.to_string(),
        "looking up name.example: it was broken off"
    );
}

#[test]
fn a_child_of_fork_starts_threads_of_its_own() {
    let _alone = sync::lock(&LOOKUPS);
    saturate();
    // What such a child has: the parent's numbers.
    sync::lock(&WORKERS).process = 0;
    let mut base = EventBase::new().unwrap();
    let answer = Rc::new(Cell::new(None));
    let slot = answer.clone();
    let _lookup = Lookup::start(&base, "localhost", 80, AddrHints::new(), move |found| {
        slot.set(Some(found));
    });
    base.run().unwrap();
    assert!(answer.take().unwrap().is_ok());
}
