//! The driver in futures: a client that asks one thing at a time.

use crate::protocol::{self, Error, Fields, LONGEST};
use libevent2::buffer::Eol;
use libevent2::stream::AsyncStream;
use std::io::{self, ErrorKind};

pub struct Client {
    stream: AsyncStream,
    /// How many answers are to come: more than one when somebody did not wait for theirs.
    owed: usize,
}

impl Client {
    pub async fn new(stream: AsyncStream) -> Result<Self, Error> {
        let client = Client { stream, owed: 0 };
        protocol::greeting(&client.line().await?)?;
        Ok(client)
    }

    pub async fn ping(&mut self) -> Result<(), Error> {
        self.ask("ping").await.map(drop)
    }

    /// Any command. The future may be dropped at any time.
    pub async fn ask(&mut self, command: &str) -> Result<Fields, Error> {
        // All of it or, dropped while it waits, nothing; then an answer more is owed.
        self.stream.write(&protocol::command(command)?).await?;
        self.owed += 1;
        loop {
            let answer = self.answer().await;
            self.owed -= 1;
            if self.owed == 0 || matches!(answer, Err(Error::Lost(_))) {
                return answer;
            }
        }
    }

    /// The next answer, or what is left of it when somebody has stopped waiting in its middle.
    async fn answer(&self) -> Result<Fields, Error> {
        let mut fields = Fields::new();
        while !protocol::line(&self.line().await?, &mut fields)? {}
        Ok(fields)
    }

    async fn line(&self) -> io::Result<Vec<u8>> {
        let line = self.stream.read_line_limited(Eol::Lf, LONGEST).await?;
        line.ok_or(ErrorKind::UnexpectedEof.into())
    }
}
