//! The socket of a server, and what must not reach it.
//!
//! libevent 2.1 reads through a null pointer when a datagram is shorter than a header (12 bytes),
//! so that anybody who can send one ends the process. 2.2 does not. Both take any kind of message
//! for a question, as they mask its kind away before they look at it. On Linux the kernel keeps
//! both from the socket, by a filter that cannot be taken away.

use crate::error::{Error, Result};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

/// A UDP socket on `addr`.
pub(super) fn bind(addr: SocketAddr) -> Result<(OwnedFd, SocketAddr)> {
    let made = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP));
    let os = |source| Error::Os {
        op: format!("a UDP socket on {addr}"),
        source,
    };
    let socket = made.map_err(os)?;
    // Before anything can come.
    filter::attach(&socket, false)?;
    socket.bind(&addr.into()).map_err(os)?;
    own(socket.into())
}

/// The socket that somebody has bound. What has come already is lost.
pub(super) fn take(fd: OwnedFd) -> Result<(OwnedFd, SocketAddr)> {
    let socket = SockRef::from(&fd);
    let os = |source| Error::Os {
        op: format!("taking descriptor {} for a UDP socket", fd.as_raw_fd()),
        source,
    };
    // C takes 0 bytes for a datagram, which from a stream they are not.
    let is_udp = socket.r#type().map_err(os)? == Type::DGRAM && is_internet(&socket).map_err(os)?;
    let addr = socket.local_addr().map_err(os)?.as_socket();
    if !is_udp || addr.is_none_or(|addr| addr.port() == 0) {
        let why = format!("descriptor {} is no UDP socket with a port", fd.as_raw_fd());
        return Err(Error::invalid("socket", why));
    }
    filter::attach(&socket, true)?;
    own(fd)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_internet(socket: &Socket) -> std::io::Result<bool> {
    Ok(socket.protocol()? == Some(Protocol::UDP))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_internet(socket: &Socket) -> std::io::Result<bool> {
    let addr = socket.local_addr()?;
    Ok(addr.is_ipv4() || addr.is_ipv6())
}

fn own(fd: OwnedFd) -> Result<(OwnedFd, SocketAddr)> {
    let os = |source| Error::Os {
        op: "a UDP socket".to_owned(),
        source,
    };
    // C does not close descriptor 0; this one is 3 or more.
    let fd = match fd.as_raw_fd() {
        0 => fd.try_clone().map_err(os)?,
        _ => fd,
    };
    let socket = SockRef::from(&fd);
    socket.set_nonblocking(true).map_err(os)?;
    socket.set_cloexec(true).map_err(os)?;
    let addr = socket.local_addr().map_err(os)?;
    let addr = addr
        .as_socket()
        .ok_or_else(|| Error::invalid("socket", "it has no address of the Internet"))?;
    Ok((fd, addr))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod filter {
    use crate::error::{Error, Result};
    use socket2::{SockFilter, Socket};
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;
    use std::os::raw::c_void;

    /// Takes nothing.
    const NOTHING: &[libc::sock_filter] = &[instruction(libc::BPF_RET, 0, 0, 0)];

    /// Takes standard queries. In front of a datagram there are 8 bytes of UDP; the byte at 2 of
    /// a message has the flag for answers and the kind of question, which is 0 for a query.
    const QUERIES: &[libc::sock_filter] = &[
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 3, 8 + 12),
        instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 8 + 2),
        instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 1, 0, 0xf8),
        instruction(libc::BPF_RET, 0, 0, u32::MAX),
        instruction(libc::BPF_RET, 0, 0, 0),
    ];

    const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        }
    }

    /// Lets nothing but queries be read from now on.
    pub(super) fn attach(socket: &Socket, is_bound: bool) -> Result<()> {
        // A filter that cannot be changed is that of another server on this socket.
        if is_screened(socket) {
            return Ok(());
        }
        let emptied = if is_bound { empty(socket) } else { Ok(()) };
        let attached = emptied.and_then(|()| set(socket, QUERIES));
        attached
            .and_then(|()| lock(socket))
            .map_err(|source| Error::Os {
                op: format!("a filter on the UDP socket {}", socket.as_raw_fd()),
                source,
            })
    }

    /// Takes away what has come without a filter.
    fn empty(socket: &Socket) -> io::Result<()> {
        // Nothing more is to come, so that there is an end.
        set(socket, NOTHING)?;
        // SAFETY: takes no pointers. It returns when no other processor is about to queue what it
        // has looked at before there was a filter; where the kernel does not know it, that time
        // is over long ago.
        unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
        loop {
            let mut byte = [MaybeUninit::uninit()];
            match socket.recv_with_flags(&mut byte, libc::MSG_DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // What a connected socket is told of its peer.
                Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }

    fn lock(socket: &Socket) -> io::Result<()> {
        let on: libc::c_int = 1;
        // SAFETY: an open socket; C reads an int there.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LOCK_FILTER,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn set(socket: &Socket, filter: &[libc::sock_filter]) -> io::Result<()> {
        let filter: Vec<SockFilter> = filter
            .iter()
            .map(|one| SockFilter::new(one.code, one.jt, one.jf, one.k))
            .collect();
        socket.attach_filter(&filter)
    }

    /// Whether our filter is there for ever.
    fn is_screened(socket: &Socket) -> bool {
        let mut found = [instruction(0, 0, 0, 0); QUERIES.len()];
        let mut locked: libc::c_int = 0;
        // SAFETY: the kernel writes at most as many instructions as there is room for, and refuses
        // when there are more; it counts them, not bytes. Then it writes an int.
        let ours = unsafe {
            get(
                socket,
                libc::SO_GET_FILTER,
                found.as_mut_ptr().cast(),
                found.len(),
            ) == Some(found.len())
                && get(socket, libc::SO_LOCK_FILTER, (&raw mut locked).cast(), 4).is_some()
        };
        let same = |(a, b): (&libc::sock_filter, &libc::sock_filter)| {
            (a.code, a.jt, a.jf, a.k) == (b.code, b.jt, b.jf, b.k)
        };
        ours && locked != 0 && found.iter().zip(QUERIES).all(same)
    }

    /// # Safety
    /// As much of the option as `room` stands for can be written to `to`.
    unsafe fn get(socket: &Socket, option: i32, to: *mut c_void, room: usize) -> Option<usize> {
        let mut length = room as libc::socklen_t;
        // SAFETY: an open socket; the rest is what the caller promises.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                to,
                &mut length,
            )
        };
        (result == 0).then_some(length as usize)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod filter {
    use crate::error::{Error, Result};
    use socket2::Socket;

    pub(super) fn attach(_: &Socket, _: bool) -> Result<()> {
        if cfg!(libevent_2_2) {
            return Ok(());
        }
        Err(Error::Unsupported {
            what: "a name server",
            why: "a datagram under 12 bytes ends a process with libevent 2.1, and only Linux keeps \
                  them away",
        })
    }
}
