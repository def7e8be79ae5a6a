//! Readiness of any descriptor.

use super::Direction;
use super::doubt::Doubtful;
use super::readiness::{Readiness, State};
use crate::base::Features;
use crate::error::{Error, Result};
use crate::{Event, EventBuilder, Interest, LoopHandle};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};

/// A descriptor of any kind on the loop, whose readiness can be awaited: a pipe, a terminal, the
/// socket of a C library.
///
/// One event watches it as long as the value lives; waiting adds nothing to the system's back end
/// and removes nothing. So what is known is kept: the descriptor counts as ready until an
/// operation would block, which has to be told, by making operations through
/// [`io`](Self::io), [`try_io`](Self::try_io) or [`poll_io`](Self::poll_io). As with any such
/// event, the loop has something to run for as long as the value lives.
///
/// Any number of futures may wait for it, also in one direction: all are woken.
///
/// ```
/// use libevent2::EventBase;
/// use libevent2::net::{AsyncFd, Direction};
/// use std::os::unix::net::UnixDatagram;
///
/// let (here, there) = UnixDatagram::pair().unwrap();
/// here.set_nonblocking(true).unwrap();
/// let mut base = EventBase::new()?;
/// let here = AsyncFd::new(&base, here)?;
/// there.send(b"hello").unwrap();
///
/// let mut text = [0; 16];
/// let received = here.io(Direction::Read, |socket| socket.recv(&mut text));
/// let n = base.block_on(received)?.unwrap();
/// assert_eq!(&text[..n], b"hello");
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// When the base is dropped, what waits fails with [`NotConnected`](io::ErrorKind::NotConnected).
pub struct AsyncFd<T: AsFd + 'static> {
    // First: the event is gone before the descriptor is closed.
    watch: Watch<T>,
    shared: Rc<Shared<T>>,
}

enum Watch<T: 'static> {
    /// Tells of each change, for good.
    Edge(#[expect(dead_code, reason = "held")] Event<Rc<Shared<T>>>),
    /// For reading and for writing, each added when somebody has to wait: the back end tells of
    /// what is so, again and again.
    Level(Event<Rc<Shared<T>>>, Event<Rc<Shared<T>>>),
}

struct Shared<T> {
    readiness: Readiness,
    base: LoopHandle,
    source: T,
}

impl<T: AsFd> AsFd for Shared<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl<T> Doubtful for Shared<T> {
    fn readiness(&self) -> &Readiness {
        &self.readiness
    }
}

/// Part of the event's closure, and so dropped with the event.
struct WithEvent<T>(Rc<Shared<T>>);

impl<T> Drop for WithEvent<T> {
    fn drop(&mut self) {
        // Otherwise it goes because its owner does.
        let base = self.0.base.inner();
        if base.open().is_err() {
            self.0.readiness.gone();
        } else if self.0.readiness.has(State::LISTED)
            && let Ok(doubts) = base.doubts()
        {
            self.0.readiness.clear(State::LISTED);
            doubts.forget();
        }
    }
}

impl<T: AsFd + 'static> AsyncFd<T> {
    /// Watches `source`, which should be non-blocking.
    ///
    /// # Errors
    /// [`Error::Os`] when the back end refuses the descriptor (epoll: a regular file),
    /// [`Error::Invalid`] when an [`Event`] watches it already that is not edge-triggered,
    /// [`Error::Closed`] when the base is gone.
    pub fn new(base: &LoopHandle, source: T) -> Result<Self> {
        let shared = Rc::new(Shared {
            readiness: Readiness::new(),
            base: base.clone(),
            source,
        });
        if base.inner().is_watched(shared.as_fd().as_raw_fd()) {
            // The edge that tells how it stands was another event's: it has to be tried.
            shared.readiness.set(State::READ | State::WRITE);
        }
        let make = |builder: EventBuilder| {
            let with_event = WithEvent(Rc::clone(&shared));
            builder.build(base, Rc::clone(&shared), move |_, ready| {
                with_event.0.readiness.fire(ready);
            })
        };
        let features = base.features();
        let watch = if features.contains(Features::EDGE) {
            let mut interest = Interest::READ | Interest::WRITE | Interest::EDGE;
            interest.set(Interest::CLOSED, features.contains(Features::EARLY_CLOSE));
            Watch::Edge(make(EventBuilder::new(interest))?)
        } else {
            let once = |interest| make(EventBuilder::new(interest).once().paused());
            Watch::Level(once(Interest::READ)?, once(Interest::WRITE)?)
        };
        Ok(AsyncFd { watch, shared })
    }

    /// What is watched. An operation on it that would block should be made by
    /// [`try_io`](Self::try_io), so that it is noted.
    #[inline]
    pub fn get_ref(&self) -> &T {
        &self.shared.source
    }

    /// The loop that it lives on.
    pub fn handle(&self) -> &LoopHandle {
        &self.shared.base
    }

    /// Ends the watching and gives back what was watched.
    ///
    /// # Panics
    /// When the loop is waking somebody on account of this very descriptor: in a
    /// [`Wake`](std::task::Wake) of one's own.
    pub fn into_inner(self) -> T {
        let AsyncFd { watch, shared } = self;
        drop(watch);
        let shared = Rc::into_inner(shared);
        shared
            .expect("the descriptor is taken back while the loop is busy with it")
            .source
    }

    /// Waits until there is something to read, or the peer has closed.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Direction::Read).await
    }

    /// Waits until there is room to write, or writing fails.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Direction::Write).await
    }

    pub(super) async fn ready(&self, direction: Direction) -> io::Result<()> {
        let mut place = self.shared.readiness.waiters(direction).place();
        poll_fn(|cx| self.poll_ready(cx, direction, |waker| place.wait(waker))).await
    }

    /// Makes an operation until it does not say
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and waits before each attempt. One that is
    /// interrupted by a signal is made again.
    ///
    /// Dropped before it is done, it has made none that succeeded.
    ///
    /// # Errors
    /// That of the operation, and [`NotConnected`](io::ErrorKind::NotConnected) when the base is
    /// gone.
    pub async fn io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut place = self.shared.readiness.waiters(direction).place();
        poll_fn(|cx| self.poll_made(cx, direction, |waker| place.wait(waker), &mut operation)).await
    }

    /// Makes an operation at once, whether it can be known to be ready or not.
    ///
    /// # Errors
    /// That of the operation: [`WouldBlock`](io::ErrorKind::WouldBlock) when it is not ready.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            match operation(&self.shared.source) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.would_block(direction);
                    return Err(error);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// As [`readable`](Self::readable). Only the task that polled last is woken, beside the
    /// futures that wait.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Direction::Read, |waker| {
            self.shared.readiness.waiters(Direction::Read).wait(waker);
        })
    }

    /// As [`writable`](Self::writable). Only the task that polled last is woken, beside the
    /// futures that wait.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Direction::Write, |waker| {
            self.shared.readiness.waiters(Direction::Write).wait(waker);
        })
    }

    /// As [`io`](Self::io). Only the task that polled last in this direction is woken, beside the
    /// futures that wait.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let wait = |waker: &Waker| self.shared.readiness.waiters(direction).wait(waker);
        self.poll_made(cx, direction, wait, operation)
    }

    fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: impl FnOnce(&Waker),
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_known(cx, direction, wait))?;
        self.shared.base.inner().spend(cx).map(Ok)
    }

    #[inline]
    fn poll_made<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut wait: impl FnMut(&Waker),
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            ready!(self.poll_known(cx, direction, &mut wait))?;
            ready!(self.shared.base.inner().spend(cx));
            match self.try_io(direction, &mut operation) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Ready when the loop has said so and nothing has shown otherwise since.
    #[inline]
    fn poll_known(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: impl FnOnce(&Waker),
    ) -> Poll<io::Result<()>> {
        let readiness = &self.shared.readiness;
        if readiness.has(State::GONE) {
            return Poll::Ready(Err(Error::Closed { what: "event base" }.into()));
        }
        if readiness.has(direction.into()) {
            return Poll::Ready(Ok(()));
        }
        wait(cx.waker());
        if direction == Direction::Read && readiness.has(State::DOUBTED) {
            self.doubt();
        }
        self.arm(direction)?;
        Poll::Pending
    }

    /// Has the loop look, where it does not do so anyway.
    fn arm(&self, direction: Direction) -> Result<()> {
        match (&self.watch, direction) {
            (Watch::Edge(_), _) => Ok(()),
            (Watch::Level(read, _), Direction::Read) => read.add(),
            (Watch::Level(_, write), Direction::Write) => write.add(),
        }
    }

    /// Has it looked at again; see `doubt.rs`.
    fn doubt(&self) {
        let readiness = &self.shared.readiness;
        if readiness.has(State::LISTED) {
            return;
        }
        let shared: Weak<Shared<T>> = Rc::downgrade(&self.shared);
        // An error means that the base is gone, of which the stream hears anyway.
        if let Ok(doubts) = self.shared.base.inner().doubts() {
            doubts.add(shared);
            readiness.set(State::LISTED);
        }
    }

    #[inline]
    fn would_block(&self, direction: Direction) {
        self.shared.readiness.clear(direction.into());
    }

    /// An operation moved less than it wanted to, so the next one would block.
    #[inline]
    pub(super) fn used_up(&self, direction: Direction) {
        let level = matches!(self.watch, Watch::Level(..));
        let readiness = &self.shared.readiness;
        if level || direction == Direction::Write {
            self.would_block(direction);
        } else if !readiness.has(State::ENDED) {
            self.would_block(direction);
            readiness.set(State::DOUBTED);
        }
    }

    /// A write has succeeded, so that no error of the socket is left to be heard of.
    #[inline]
    pub(super) fn trusted(&self) {
        self.shared.readiness.clear(State::DOUBTED);
    }
}

impl<T: AsFd + 'static> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd + 'static> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + fmt::Debug + 'static> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd")
            .field("source", self.get_ref())
            .field("readiness", &self.shared.readiness)
            .finish_non_exhaustive()
    }
}
