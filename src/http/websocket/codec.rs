//! From bytes to messages and back: the crate tungstenite, without its own reading and writing.

use super::screen::{Flaw, HEAD, Screen};
use super::{WebSocketOptions, code};
use crate::stream::BufferEventRef;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Error};

/// How much is taken from the input at once.
const CHUNK: usize = 4 << 10;

pub(super) struct Codec {
    context: WebSocketContext,
    role: Role,
    intake: Intake,
}

/// What was looked at of the input.
struct Intake {
    screen: Screen,
    /// Bytes of the present frame that were not taken yet.
    left: u64,
    flaw: Option<Flaw>,
}

/// The stream as tungstenite sees it. It gets no more than the frame that it is at: what follows
/// stays in the input of the stream, where it can wait.
struct Pipe<'a> {
    stream: &'a BufferEventRef,
    intake: &'a mut Intake,
}

impl Read for Pipe<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let (input, intake) = (self.stream.input(), &mut *self.intake);
        if intake.left == 0 {
            let mut head = [0; HEAD];
            let seen = input.copy_to(&mut head);
            match intake.screen.frame(&head[..seen]) {
                Ok(Some(length)) => intake.left = length,
                Ok(None) => return Err(ErrorKind::WouldBlock.into()),
                Err(flaw) => {
                    intake.flaw = Some(flaw);
                    return Err(ErrorKind::InvalidData.into());
                }
            }
        }
        let most = usize::try_from(intake.left).unwrap_or(usize::MAX);
        let most = most.min(space.len());
        match input.read(&mut space[..most]) {
            0 => Err(ErrorKind::WouldBlock.into()),
            count => {
                intake.left -= count as u64;
                Ok(count)
            }
        }
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Codec {
    pub(super) fn new(role: Role, options: &WebSocketOptions) -> Self {
        let mut config = WebSocketConfig::default();
        config.read_buffer_size = CHUNK;
        // Nothing waits here: it waits in the output of the stream.
        config.write_buffer_size = 0;
        config.max_message_size = Some(options.message_bytes);
        config.max_frame_size = Some(options.message_bytes.max(125));
        let masked = role == Role::Server;
        Codec {
            context: WebSocketContext::new(role, Some(config)),
            role,
            intake: Intake {
                screen: Screen::new(masked, options.frame_bytes, options.message_bytes),
                left: 0,
                flaw: None,
            },
        }
    }

    fn parts<'a>(&'a mut self, stream: &'a BufferEventRef) -> (&'a mut WebSocketContext, Pipe<'a>) {
        let intake = &mut self.intake;
        (&mut self.context, Pipe { stream, intake })
    }

    /// The next message, if all of it is there. What has to be answered is.
    pub(super) fn next(&mut self, stream: &BufferEventRef) -> Result<Option<Message>, Flaw> {
        let (context, mut pipe) = self.parts(stream);
        let result = context.read(&mut pipe);
        let flaw = pipe.intake.flaw.take();
        match result {
            Ok(message) => {
                if matches!(message, Message::Ping(_) | Message::Close(_)) {
                    // After a Close it says that this is the end, which we know.
                    let _ = context.flush(&mut pipe);
                }
                Ok(Some(message))
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(None),
            Err(Error::Utf8(_)) => Err(Flaw::new(code::INVALID_DATA, "text that is not UTF-8")),
            Err(Error::Capacity(error)) => Err(Flaw::new(code::TOO_BIG, error.to_string())),
            Err(error) => {
                Err(flaw.unwrap_or_else(|| Flaw::new(code::PROTOCOL_ERROR, error.to_string())))
            }
        }
    }

    /// Sends a message in one frame. False when nothing can be sent any more.
    pub(super) fn send(&mut self, stream: &BufferEventRef, message: super::Message<'_>) -> bool {
        if !self.context.can_write() {
            return false;
        }
        if self.role == Role::Client {
            let message = match message {
                super::Message::Text(text) => Message::text(text),
                super::Message::Binary(bytes) => Message::binary(Bytes::copy_from_slice(bytes)),
            };
            return self.write(stream, message);
        }
        // Without a mask the payload is sent as it is, and not copied twice.
        let payload = message.as_bytes();
        let data = match message {
            super::Message::Text(_) => Data::Text,
            super::Message::Binary(_) => Data::Binary,
        };
        let header = FrameHeader {
            is_final: true,
            opcode: OpCode::Data(data),
            ..FrameHeader::default()
        };
        let mut head = Vec::with_capacity(HEAD);
        header
            .format(payload.len() as u64, &mut head)
            .expect("a Vec takes everything");
        let slices = [IoSlice::new(&head), IoSlice::new(payload)];
        stream.output().append_vectored(&slices).is_ok()
    }

    pub(super) fn ping(&mut self, stream: &BufferEventRef, payload: &[u8]) -> bool {
        self.context.can_write()
            && self.write(stream, Message::Ping(Bytes::copy_from_slice(payload)))
    }

    /// Says that it is the end, unless that was said.
    pub(super) fn close(&mut self, stream: &BufferEventRef, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        let (context, mut pipe) = self.parts(stream);
        // Whether it could be said or not, it is the end.
        let _ = context.close(&mut pipe, Some(frame));
    }

    fn write(&mut self, stream: &BufferEventRef, message: Message) -> bool {
        let (context, mut pipe) = self.parts(stream);
        let result = context.write(&mut pipe, message);
        result.and_then(|()| context.flush(&mut pipe)).is_ok()
    }
}
