use super::{Name, RecordType, Reply, ResponseCode, ServerRef};
use crate::error::{Error, Result};
use crate::util::written_addr;
use crate::{LoopHandle, ffi};
use std::ffi::CStr;
use std::fmt;
use std::iter;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

/// One question of a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(alias = "evdns_server_question")]
pub struct Question {
    name: Name,
    kind: RecordType,
    class: u16,
}

impl Question {
    /// The name, with its letters as the client sent them.
    ///
    /// C tells labels apart by dots and ends a name at a NUL: a dot or a NUL inside of a label is
    /// taken for that.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What is asked of the name.
    pub fn record_type(&self) -> RecordType {
        self.kind
    }

    /// The class: 1 for the Internet, 255 for any.
    #[doc(alias = "EVDNS_CLASS_INET")]
    pub fn class(&self) -> u16 {
        self.class
    }
}

/// A request, and the duty to answer it.
///
/// It is answered once, by [`respond`](Self::respond): in the callback, or at any later time on
/// the loop's thread. Dropped unanswered, it is [refused](ResponseCode::REFUSED).
#[must_use = "dropping it refuses"]
#[doc(alias = "evdns_server_request")]
pub struct Request {
    server: Rc<ServerRef>,
    /// Its place among the server's requests.
    key: usize,
    question: Question,
    /// Those after the first, which nearly no request has.
    more: Vec<Question>,
    peer: SocketAddr,
    flags: u16,
}

/// Flags of a message's header, recursion desired and checking disabled: all that C keeps.
const RD: u16 = 0x0100;
const CD: u16 = 0x0010;

/// No place: it is answered.
const ANSWERED: usize = usize::MAX;

impl Request {
    /// # Safety
    /// `raw` is alive, with at least one question, and has the place `key` at the server.
    pub(super) unsafe fn read(
        server: Rc<ServerRef>,
        key: usize,
        raw: *mut ffi::evdns_server_request,
    ) -> Self {
        // SAFETY: alive, says the caller.
        let ((question, more), peer, flags) = unsafe {
            let mut questions = questions(raw).map(|question| Question {
                name: Name::from_c(name(question)),
                kind: RecordType((*question).type_ as u16),
                class: (*question).class as u16,
            });
            let question = questions.next().expect("the caller's promise");
            let questions = (question, questions.collect());
            (questions, peer(raw), (*raw).flags as u16)
        };
        Request {
            server,
            key,
            question,
            more,
            peer,
            flags,
        }
    }

    /// The question. Nearly all requests have one; [`questions`](Self::questions) has all.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// The questions, at least one.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        iter::once(&self.question).chain(&self.more)
    }

    /// The address that it came from, which anybody can forge.
    #[doc(alias = "evdns_server_request_get_requesting_addr")]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether the client wants the server to ask others what it does not know itself (RD).
    pub fn recursion_desired(&self) -> bool {
        self.flags & RD != 0
    }

    /// Whether the client checks signatures itself (CD).
    pub fn checking_disabled(&self) -> bool {
        self.flags & CD != 0
    }

    /// The loop, to make timers and other objects on.
    pub fn handle(&self) -> &LoopHandle {
        self.server.handle()
    }

    /// The server that this came to.
    pub fn server(&self) -> &ServerRef {
        &self.server
    }

    /// Answers, with a [`Reply`] or just a [`ResponseCode`]. Like any datagram the answer may get
    /// lost, also when the system refuses to send it to that client.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "evdns_server_request_respond")]
    pub fn respond(mut self, reply: impl Into<Reply>) -> Result<()> {
        let key = mem::replace(&mut self.key, ANSWERED);
        self.server.answer(key, reply.into())
    }

    /// Does not answer: the client will ask again, or somebody else.
    #[doc(alias = "evdns_server_request_drop")]
    pub fn ignore(mut self) {
        let key = mem::replace(&mut self.key, ANSWERED);
        self.server.ignore(key);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.key != ANSWERED {
            let refused = self.server.answer(self.key, ResponseCode::REFUSED.into());
            // The base is gone, or memory is short.
            debug_assert!(matches!(
                refused,
                Ok(()) | Err(Error::Closed { .. } | Error::Libevent { .. })
            ));
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("question", &self.question)
            .field("more", &self.more)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// # Safety
/// `raw` is alive as long as what this returns.
pub(super) unsafe fn questions<'a>(
    raw: *mut ffi::evdns_server_request,
) -> impl Iterator<Item = *mut ffi::evdns_server_question> + Clone + 'a {
    // SAFETY: alive, says the caller; C has as many pointers there as it says.
    let (list, count) = unsafe { ((*raw).questions, (*raw).nquestions as usize) };
    (0..count).map(move |at| {
        // SAFETY: as above.
        unsafe { *list.add(at) }
    })
}

/// The name of a question, which C has with dots between its labels.
///
/// # Safety
/// `question` is alive as long as what this returns.
pub(super) unsafe fn name<'a>(question: *mut ffi::evdns_server_question) -> &'a CStr {
    // SAFETY: alive, says the caller. The name goes on behind the end of the struct, with a NUL.
    unsafe { CStr::from_ptr((&raw const (*question).name).cast()) }
}

/// # Safety
/// `raw` is alive.
unsafe fn peer(raw: *mut ffi::evdns_server_request) -> SocketAddr {
    let peer = written_addr(|out, room| {
        // SAFETY: alive, says the caller; C writes at most as much as there is room for.
        unsafe { ffi::evdns_server_request_get_requesting_addr(raw, out, room) }
    });
    // It is one: no other sockets are taken.
    peer.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
}
