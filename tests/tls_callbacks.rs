//! What the callbacks of a stream over TLS, and OpenSSL's own, may do to it; and that nothing
//! leaks.
#![cfg(feature = "openssl")]

#[path = "common/tls.rs"]
mod certificates;
mod common;
#[path = "common/tls_streams.rs"]
mod streams;

use certificates::{WORLD, client, ends, server};
use common::{Bump, Count, DropCount, bounded, count};
use libevent2::stream::tls::{Acceptor, Connector, Role, wrap_ssl};
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Direction, Handler, StreamEvent};
use libevent2::{BoxError, EventBase};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use streams::{ALL, Below, Log, listening};

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Connected,
    Read,
    Write,
    Eof,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Close,
    Drop,
    Replace,
    Write,
    Trigger,
    Finish,
    Disable,
    Panic,
}

/// Does one thing once.
struct Actor {
    when: When,
    act: Act,
    owner: Rc<RefCell<Option<BufferEvent>>>,
    acted: Count,
    running: bool,
    _dropped: DropCount,
}

impl Actor {
    fn act(&mut self, when: When, stream: &BufferEventRef) {
        assert!(!self.running, "entered twice");
        if when != self.when || self.acted.get() > 0 {
            return;
        }
        self.running = true;
        self.acted.bump();
        match self.act {
            Act::Close => stream.close(),
            Act::Drop => drop(self.owner.take()),
            Act::Replace => stream.set_handler(Callbacks::new()).unwrap(),
            Act::Write => stream.write(&[b'!'; 100_000]).unwrap(),
            Act::Trigger => {
                stream.trigger_always(Direction::BOTH).unwrap();
                stream.trigger_event(StreamEvent::Connected).unwrap();
            }
            Act::Finish => stream.close_when_flushed(),
            Act::Disable => {
                stream.disable(Direction::BOTH).unwrap();
                stream.enable(Direction::BOTH).unwrap();
            }
            Act::Panic => {
                self.running = false;
                panic!("on purpose")
            }
        }
        self.running = false;
    }
}

impl Handler for Actor {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        stream.input().clear();
        self.act(When::Read, stream);
        Ok(())
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        self.act(When::Write, stream);
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        match event {
            StreamEvent::Connected => self.act(When::Connected, stream),
            StreamEvent::Eof => self.act(When::Eof, stream),
            _ => {}
        }
        Ok(())
    }
}

fn play(below: Below, when: When, act: Act, actor_is_client: bool) {
    let dropped = count();
    let acted = count();
    let mut base = EventBase::new().unwrap();
    let (connector, acceptor) = ends();
    let (ours, theirs) = below.ends(&base);
    let owner: Rc<RefCell<Option<BufferEvent>>> = Rc::default();
    let actor = Actor {
        when,
        act,
        owner: owner.clone(),
        acted: acted.clone(),
        running: false,
        _dropped: DropCount(dropped.clone()),
    };
    // The other end says something, and then that it was all.
    let other = Callbacks::new().on_event(|stream, event| {
        if let StreamEvent::Connected = event {
            stream.write(b"hello").unwrap();
            stream.shutdown_write().unwrap();
        }
    });
    let (actor, other) = match actor_is_client {
        true => (
            connector.wrap(ours, "localhost", actor).unwrap(),
            acceptor.wrap(theirs, other).unwrap(),
        ),
        false => (
            acceptor.wrap(theirs, actor).unwrap(),
            connector.wrap(ours, "localhost", other).unwrap(),
        ),
    };
    actor.write(b"written before").unwrap();
    owner.replace(Some(actor));
    let mut panicked = false;
    while acted.get() == 0 {
        let turn = std::panic::AssertUnwindSafe(|| base.run_once().map(drop));
        match std::panic::catch_unwind(turn) {
            Ok(result) => result.unwrap(),
            Err(_) => panicked = true,
        }
    }
    for _ in 0..50 {
        base.run_nonblocking().unwrap();
    }
    assert_eq!(acted.get(), 1, "{below:?} {when:?} {act:?}");
    assert_eq!(panicked, act == Act::Panic);
    drop((owner.take(), other));
    base.run_nonblocking().unwrap();
    assert_eq!(dropped.get(), 1, "{below:?} {when:?} {act:?}");
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_handler_may_do_anything_to_its_stream() {
    let _watchdog = bounded();
    for below in ALL {
        for when in [When::Connected, When::Read, When::Write, When::Eof] {
            for act in [
                Act::Close,
                Act::Drop,
                Act::Replace,
                Act::Write,
                Act::Trigger,
                Act::Finish,
                Act::Disable,
                Act::Panic,
            ] {
                play(below, when, act, true);
                play(below, when, act, false);
            }
        }
    }
}

thread_local! {
    /// What OpenSSL's callbacks, which have to be `Send`, reach.
    static HERE: RefCell<Option<BufferEvent>> = const { RefCell::new(None) };
}

#[test]
fn openssls_callbacks_may_do_anything_to_the_stream() {
    let _watchdog = bounded();
    for below in ALL {
        for act in [Act::Close, Act::Drop, Act::Write, Act::Finish, Act::Disable] {
            for is_client in [true, false] {
                let mut base = EventBase::new().unwrap();
                let acted = Arc::new(AtomicUsize::new(0));
                let seen = acted.clone();
                let run = move || {
                    seen.fetch_add(1, SeqCst);
                    if act == Act::Drop {
                        drop(HERE.take());
                        return;
                    }
                    HERE.with_borrow(|here| {
                        let Some(stream) = here else { return };
                        match act {
                            Act::Close => stream.close(),
                            Act::Write => stream.write(b"from inside").unwrap(),
                            Act::Finish => stream.close_when_flushed(),
                            _ => {
                                stream.disable(Direction::BOTH).unwrap();
                                stream.enable(Direction::BOTH).unwrap();
                            }
                        }
                    });
                };
                let (mut connector, mut acceptor) = (client(), server(&WORLD.right));
                if is_client {
                    connector.set_verify_callback(SslVerifyMode::PEER, move |fine, _| {
                        run();
                        fine
                    });
                } else {
                    acceptor.set_servername_callback(move |_, _| {
                        run();
                        Ok(())
                    });
                }
                let connector = Connector::from(connector.build());
                let acceptor = Acceptor::from(acceptor.build());
                let (ours, theirs) = below.ends(&base);
                let ours = connector.wrap(ours, "localhost", Callbacks::new()).unwrap();
                let theirs = acceptor.wrap(theirs, Callbacks::new()).unwrap();
                let other = match is_client {
                    true => {
                        HERE.set(Some(ours));
                        theirs
                    }
                    false => {
                        HERE.set(Some(theirs));
                        ours
                    }
                };
                while acted.load(SeqCst) == 0 {
                    base.run_once().unwrap();
                }
                for _ in 0..30 {
                    base.run_nonblocking().unwrap();
                }
                drop((HERE.take(), other));
            }
        }
    }
}

#[test]
fn a_look_at_openssls_object_may_close_the_stream_and_run_the_loop() {
    let _watchdog = bounded();
    for below in ALL {
        let base = Rc::new(RefCell::new(EventBase::new().unwrap()));
        let handle = base.borrow().clone();
        let (ours, theirs) = below.ends(&handle);
        let stream = ends().0.wrap(ours, "localhost", Callbacks::new()).unwrap();
        let name = stream.tls().unwrap().ssl(|ssl| {
            stream.close();
            for _ in 0..5 {
                base.borrow_mut().run_nonblocking().unwrap();
            }
            ssl.version_str().to_owned()
        });
        assert!(name.unwrap().starts_with("TLS"));
        assert!(stream.tls().is_none());
        drop(theirs);
    }
}

#[test]
fn nothing_leaks_when_the_base_goes_first() {
    let _watchdog = bounded();
    for below in ALL {
        for turns in [0, 1, 3, 20] {
            let dropped = count();
            let [first, second] = [(); 2].map(|()| DropCount(dropped.clone()));
            let mut base = EventBase::new().unwrap();
            let (ours, theirs) = below.ends(&base);
            let (connector, acceptor) = ends();
            let handler = Callbacks::new().on_write(move |_| _ = &first);
            let ours = connector.wrap(ours, "localhost", handler).unwrap();
            let handler = Callbacks::new().on_write(move |_| _ = &second);
            acceptor.wrap(theirs, handler).unwrap().detach();
            ours.write(&[1; 100_000]).unwrap();
            for _ in 0..turns {
                base.run_nonblocking().unwrap();
            }
            drop(base);
            assert_eq!(dropped.get(), 2, "{below:?} {turns}");
            assert!(ours.is_closed());
        }
    }
}

#[test]
fn what_openssl_keeps_for_the_program_is_dropped_with_the_stream() {
    let _watchdog = bounded();
    struct Kept(Arc<AtomicUsize>);
    impl Drop for Kept {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let index = Ssl::new_ex_index::<Kept>().unwrap();
    let context = SslContext::builder(SslMethod::tls()).unwrap().build();
    let with_data = || {
        let mut ssl = Ssl::new(&context).unwrap();
        ssl.set_ex_data(index, Kept(dropped.clone()));
        ssl
    };
    let now = || dropped.load(SeqCst);
    for (round, below) in ALL.into_iter().enumerate() {
        let mut base = EventBase::new().unwrap();
        let (ours, theirs) = below.ends(&base);
        let stream = wrap_ssl(ours, with_data(), Role::Client, Callbacks::new()).unwrap();
        base.run_nonblocking().unwrap();
        drop((stream, theirs));
        drop(base);
        assert_eq!(now(), round * 2 + 1, "{below:?}");
        // A constructor that fails.
        let base = EventBase::new().unwrap();
        let (ours, _theirs) = below.ends(&base);
        ours.close();
        let failed = wrap_ssl(ours, with_data(), Role::Client, Callbacks::new());
        assert!(failed.is_err());
        assert_eq!(now(), round * 2 + 2, "{below:?}");
    }
}

#[test]
fn the_descriptor_is_closed_with_the_stream() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    for below in [Below::Socket, Below::BusySocket, Below::Filter, Below::Tls] {
        let (ours, theirs) = below.ends(&base);
        let log = Log::default();
        let stream = ends().0.wrap(ours, "localhost", listening(&log)).unwrap();
        let other = ends().1.wrap(theirs, Callbacks::new()).unwrap();
        while log.borrow().is_empty() {
            base.run_once().unwrap();
        }
        let open = || std::fs::read_dir("/proc/self/fd").map(Iterator::count);
        let sockets = || {
            let links = std::fs::read_dir("/proc/self/fd").ok()?;
            let is_socket = |entry: std::io::Result<std::fs::DirEntry>| {
                let link = std::fs::read_link(entry.ok()?.path()).ok()?;
                link.to_str()?.strip_prefix("socket:").map(str::to_owned)
            };
            Some(links.filter_map(is_socket).collect::<Vec<_>>())
        };
        if open().is_err() {
            return;
        }
        let fd = stream.raw_fd();
        let inode = fd.and_then(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok());
        drop(stream);
        // No turn of the loop is needed.
        if let Some(inode) = inode {
            let name = inode.to_str().unwrap().strip_prefix("socket:").unwrap();
            assert!(!sockets().unwrap().iter().any(|other| other == name));
        }
        drop(other);
    }
    base.run_nonblocking().unwrap();
}
