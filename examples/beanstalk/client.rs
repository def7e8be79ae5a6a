//! A client of beanstalkd, the work queue (<https://beanstalkd.github.io>).

use libevent2::task::{JoinHandle, Promise, Promised, promise};
use libevent2::{LoopHandle, buffer::Eol, stream::AsyncStream};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::rc::{Rc, Weak};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("there is no such job, or it is not ours")]
    NotFound,
    #[error("no job has come in time")]
    TimedOut,
    #[error("refused: {0:?}")]
    Refused(String),
    #[error("the connection to the server is lost: {0}")]
    Lost(ErrorKind),
}
pub type Result<T = Reply> = std::result::Result<T, Error>;

/// A connection, and every clone is the same one. Commands do not wait for each other's answers.
#[derive(Clone)]
pub struct Client(Rc<Connection>);

struct Connection {
    stream: Rc<AsyncStream>,
    /// Who waits, in the order of the commands, which is that of the answers.
    waiting: RefCell<VecDeque<Promise<Reply>>>,
    lost: Cell<Option<ErrorKind>>,
    _reader: JoinHandle<()>,
}

/// An answer. One to `reserve` is a job, which is the server's again when this is dropped.
pub struct Reply {
    pub line: String,
    pub number: u64,
    pub body: Vec<u8>,
    holds: Option<Client>,
}

impl Client {
    pub fn new(handle: &LoopHandle, stream: AsyncStream) -> Self {
        let stream = Rc::new(stream);
        Client(Rc::new_cyclic(|weak| Connection {
            stream: stream.clone(),
            waiting: RefCell::default(),
            lost: Cell::default(),
            _reader: handle.spawn(read(stream, weak.clone())).cancel_on_drop(),
        }))
    }

    /// Puts a job into the tube that is used; 0 is the most urgent, times are in seconds.
    pub async fn put(&self, body: &[u8], priority: u32, delay: u32, to_run: u32) -> Result {
        let command = format!("put {priority} {delay} {to_run} {}", body.len());
        self.ask(&command, &[body, b"\r\n"], "INSERTED").await
    }

    /// Waits so long for a job; until then the server answers nothing else on this connection.
    pub async fn reserve(&self, seconds: u32) -> Result {
        let command = format!("reserve-with-timeout {seconds}");
        self.ask(&command, &[], "RESERVED").await
    }

    pub async fn use_tube(&self, tube: &str) -> Result {
        self.ask(&format!("use {tube}"), &[], "USING").await
    }

    pub async fn watch(&self, tube: &str) -> Result {
        self.ask(&format!("watch {tube}"), &[], "WATCHING").await
    }

    pub async fn stats_job(&self, id: u64) -> Result {
        self.ask(&format!("stats-job {id}"), &[], "OK").await
    }

    /// Any command, what follows its line, and the word that its answer has to begin with. Dropped
    /// at whatever time, it is sent whole or not at all.
    pub async fn ask(&self, command: &str, body: &[&[u8]], word: &str) -> Result {
        if command.contains(['\r', '\n']) {
            return Err(Error::Refused(command.to_owned()));
        }
        let writable = self.0.stream.writable().await;
        writable.map_err(|error| Error::Lost(error.kind()))?;
        self.exchange(command, body, word).await
    }

    async fn exchange(&self, command: &str, body: &[&[u8]], word: &str) -> Result {
        let lost = |_| Error::Lost(self.0.lost.get().unwrap_or(ErrorKind::NotConnected));
        let reply = self.send(command, body).await.map_err(lost)?;
        match reply.line.split(' ').next() {
            first if first == Some(word) => Ok(reply),
            Some("NOT_FOUND") => Err(Error::NotFound),
            Some("TIMED_OUT") => Err(Error::TimedOut),
            _ => Err(Error::Refused(reply.line.clone())),
        }
    }

    /// Between a command and its place among those who wait there is no `await`.
    fn send(&self, command: &str, body: &[&[u8]]) -> Promised<Reply> {
        let (promise, answer) = promise();
        let bytes = [&[command.as_bytes(), b"\r\n"], body].concat().concat();
        if self.0.lost.get().is_none() && self.0.stream.get_ref().write(&bytes).is_ok() {
            self.0.waiting.borrow_mut().push_back(promise);
        }
        answer
    }
}

impl Reply {
    pub async fn delete(self) -> Result {
        self.end("delete", "", "DELETED").await
    }

    pub async fn bury(self, priority: u32) -> Result {
        self.end("bury", &format!(" {priority}"), "BURIED").await
    }

    pub async fn release(self, priority: u32, delay: u32) -> Result {
        let how = format!(" {priority} {delay}");
        self.end("release", &how, "RELEASED").await
    }

    async fn end(mut self, verb: &str, how: &str, word: &str) -> Result {
        let client = self.holds.take().ok_or(Error::NotFound)?;
        let command = format!("{verb} {}{how}", self.number);
        client.exchange(&command, &[], word).await
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(client) = self.holds.take() {
            drop(client.send(&format!("release {} 0 0", self.number), &[]));
        }
    }
}

/// Gives each answer to who waits for it; one for somebody who has gone is dropped.
async fn read(stream: Rc<AsyncStream>, weak: Weak<Connection>) {
    loop {
        let reply = read_reply(&stream).await;
        let Some(this) = weak.upgrade() else { return };
        let waiting = this.waiting.borrow_mut().pop_front();
        match (reply, waiting) {
            (Ok(mut reply), Some(promise)) => {
                let is_job = reply.line.starts_with("RESERVED ");
                reply.holds = is_job.then_some(Client(this));
                promise.resolve(reply);
            }
            (reply, _) => {
                let why = reply.map_or_else(|error| error.kind(), |_| ErrorKind::InvalidData);
                this.lost.set(Some(why));
                // Who waits is woken by a promise that breaks.
                return this.waiting.take().clear();
            }
        }
    }
}

/// An answer is a line; some have a body, whose length is the last word.
async fn read_reply(stream: &AsyncStream) -> io::Result<Reply> {
    let line = stream.read_line_limited(Eol::CrlfStrict, 1024).await?;
    let line = String::from_utf8(line.ok_or(ErrorKind::UnexpectedEof)?);
    let line = line.map_err(|_| ErrorKind::InvalidData)?;
    let (mut words, mut body) = (line.split(' '), Vec::new());
    if let Some("RESERVED" | "FOUND" | "OK") = words.next() {
        let length = words.next_back().and_then(|word| word.parse::<u32>().ok());
        let length = length.ok_or(ErrorKind::InvalidData)? as usize;
        body = stream.read_exact(length + 2).await?;
        body.truncate(length);
    }
    Ok(Reply {
        number: words.next().map_or(0, |word| word.parse().unwrap_or(0)),
        line,
        body,
        holds: None,
    })
}
