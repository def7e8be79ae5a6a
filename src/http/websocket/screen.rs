//! Looks at the heads of frames before their payloads are there, let alone in memory: what must
//! not come is refused at once, and lengths that are longer than they need to be are refused at all.

use super::code;

/// The longest head: two bytes, eight of length, four of mask.
pub(super) const HEAD: usize = 14;

/// Why the connection cannot go on, and with what code it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) code: u16,
    pub(super) why: String,
}

impl Flaw {
    pub(super) fn new(code: u16, why: impl Into<String>) -> Self {
        let why = why.into();
        Flaw { code, why }
    }

    fn protocol(why: &str) -> Self {
        Flaw::new(code::PROTOCOL_ERROR, why)
    }
}

#[derive(Debug)]
pub(super) struct Screen {
    /// Whether the other end has to mask what it sends: clients have to, servers must not.
    masked: bool,
    frame_bytes: u64,
    message_bytes: u64,
    /// Bytes of the message that came in the frames before; None between messages.
    message: Option<u64>,
}

impl Screen {
    pub(super) fn new(masked: bool, frame_bytes: usize, message_bytes: usize) -> Self {
        Screen {
            masked,
            frame_bytes: frame_bytes as u64,
            message_bytes: message_bytes as u64,
            message: None,
        }
    }

    /// The length of the frame that begins here, head and payload; None when not all of the head is
    /// there.
    pub(super) fn frame(&mut self, bytes: &[u8]) -> Result<Option<u64>, Flaw> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
        let is_control = opcode & 8 != 0;
        let short = second & 0x7f;
        if first & 0x70 != 0 {
            return Err(Flaw::protocol("reserved bits without an extension"));
        }
        if !matches!(opcode, 0..=2 | 8..=10) {
            return Err(Flaw::protocol("a reserved opcode"));
        }
        if is_control && !last {
            return Err(Flaw::protocol("a control frame in fragments"));
        }
        if is_control && short > 125 {
            return Err(Flaw::protocol("a control frame of more than 125 bytes"));
        }
        if (second & 0x80 != 0) != self.masked {
            return Err(Flaw::protocol(match self.masked {
                true => "a frame without a mask",
                false => "a frame with a mask",
            }));
        }
        match (opcode, self.message) {
            (0, None) => return Err(Flaw::protocol("a continuation of nothing")),
            (1 | 2, Some(_)) => return Err(Flaw::protocol("a message in the middle of another")),
            _ => {}
        }
        let (extra, length) = match short {
            126 => match *rest {
                [a, b, ..] => (2, u64::from(u16::from_be_bytes([a, b]))),
                _ => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(&length) => (8, u64::from_be_bytes(length)),
                None => return Ok(None),
            },
            short => (0, u64::from(short)),
        };
        let least = match extra {
            0 => 0,
            2 => 126,
            _ => 1 << 16,
        };
        if length < least || length >> 63 != 0 {
            return Err(Flaw::protocol("a length that is written wrong"));
        }
        let head = 2 + extra + if self.masked { 4 } else { 0 };
        if bytes.len() < head {
            return Ok(None);
        }
        if !is_control {
            let whole = self.message.unwrap_or(0).saturating_add(length);
            if length > self.frame_bytes || whole > self.message_bytes {
                return Err(Flaw::new(code::TOO_BIG, "the message is too long"));
            }
            self.message = (!last).then_some(whole);
        }
        Ok(Some(head as u64 + length))
    }
}
