//! Virtual hosts.
//!
//! C hands a request on by its host: to whom is for C to find, by names first and then by
//! patterns. Every host is a server of its own, which belongs to the one above it.

use super::{Server, ServerRef, ServerShare};
use crate::error::{Error, Result};
use crate::ffi;
use std::cell::RefCell;
use std::ffi::CString;
use std::rc::{Rc, Weak};

#[derive(Default)]
pub(super) struct Hosts {
    below: RefCell<Vec<(String, Server)>>,
    above: RefCell<Weak<ServerRef>>,
}

impl Hosts {
    pub(super) fn parent(&self) -> Option<Rc<ServerRef>> {
        self.above.borrow().upgrade()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.below.borrow().is_empty()
    }
}

impl ServerRef {
    /// Gives the requests for the hosts that `pattern` matches to another server, which belongs
    /// to this one from now on, with what it has of callbacks, names and hosts of its own. Limits,
    /// timeouts and allowed methods stay those of the server that has the connection.
    ///
    /// A `*` in the pattern stands for any letters, as in `*.example.org`. The first host whose
    /// pattern matches gets the request, after [names](Self::add_server_alias) were compared.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a pattern that is there already, that has more than one `*` (C could
    /// be made to search for seconds), or that ends with one (C would never match it); for a
    /// server that listens or has listened, that C made, that has this one below it, or that is on
    /// another base. [`Error::Closed`] when one of them is closed. The other server is closed then.
    #[doc(alias = "evhttp_add_virtual_host")]
    pub fn add_virtual_host(&self, pattern: &str, host: Server) -> Result<()> {
        let (above, below) = (self.open()?, host.open()?);
        let wrong = |why: &str| Err(Error::invalid("virtual host", why));
        let Ok(c_pattern) = CString::new(pattern) else {
            return wrong("there is a NUL in its pattern");
        };
        if pattern.matches('*').count() > 1 || pattern.ends_with('*') {
            return wrong("a pattern has one * at most, and not at its end");
        }
        if self.virtual_host(pattern).is_some() {
            return wrong("there is one with this pattern");
        }
        if host.next_socket.get() > 0 || host.from_c.get() {
            return wrong("it has connections of its own");
        }
        if !host.handle().same_base(self.handle()) {
            return wrong("it is on another base");
        }
        let mut ancestor = Some(self.me());
        while let Some(server) = ancestor {
            if Rc::ptr_eq(&server, &host.0) {
                return wrong("it has this server below it");
            }
            ancestor = server.hosts.parent();
        }
        // SAFETY: both are alive, on one base; the other one has no sockets and, as it is owned,
        // is nobody's host. The pattern is copied.
        if unsafe { ffi::evhttp_add_virtual_host(above, c_pattern.as_ptr(), below) } != 0 {
            return Err(Error::Libevent {
                op: "evhttp_add_virtual_host",
            });
        }
        host.hosts.above.replace(self.me.clone());
        let mut hosts = self.hosts.below.borrow_mut();
        hosts.push((pattern.to_owned(), host));
        Ok(())
    }

    /// The server that a pattern belongs to.
    pub fn virtual_host(&self, pattern: &str) -> Option<ServerShare> {
        let hosts = self.hosts.below.borrow();
        let mut found = hosts.iter().filter(|(known, _)| known == pattern);
        found.next().map(|(_, host)| host.share())
    }

    /// Takes a virtual host away, also from inside one of its handlers: it is a server of its own
    /// again.
    #[doc(alias = "evhttp_remove_virtual_host")]
    pub fn remove_virtual_host(&self, pattern: &str) -> Option<Server> {
        let mut hosts = self.hosts.below.borrow_mut();
        let at = hosts.iter().position(|(known, _)| known == pattern)?;
        let (_, host) = hosts.remove(at);
        drop(hosts);
        self.unlink(&host);
        Some(host)
    }

    /// Takes requests for this host, whatever the patterns say; letters may be of any case. A
    /// server without virtual hosts takes those for all hosts.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is a NUL in the name, [`Error::Closed`] when the server is.
    #[doc(alias = "evhttp_add_server_alias")]
    pub fn add_server_alias(&self, name: &str) -> Result<()> {
        let raw = self.open()?;
        let nul = |_| Error::invalid("server alias", "there is a NUL in it");
        let name = CString::new(name).map_err(nul)?;
        // SAFETY: alive; the name is copied.
        match unsafe { ffi::evhttp_add_server_alias(raw, name.as_ptr()) } {
            0 => Ok(()),
            _ => Err(Error::Libevent {
                op: "evhttp_add_server_alias",
            }),
        }
    }

    /// Forgets such a name; whether it was there.
    #[doc(alias = "evhttp_remove_server_alias")]
    pub fn remove_server_alias(&self, name: &str) -> bool {
        let raw = self.raw.get();
        let Ok(name) = CString::new(name) else {
            return false;
        };
        // SAFETY: alive when not NULL.
        !raw.is_null() && unsafe { ffi::evhttp_remove_server_alias(raw, name.as_ptr()) == 0 }
    }

    /// The server that has the connections.
    pub(super) fn root(&self) -> Rc<ServerRef> {
        let mut root = self.me();
        while let Some(above) = root.hosts.parent() {
            root = above;
        }
        root
    }

    fn unlink(&self, host: &ServerRef) {
        let (above, below) = (self.raw.get(), host.raw.get());
        host.hosts.above.replace(Weak::new());
        // SAFETY: both are alive, as `cut_off` runs before one of them is freed, and the one is
        // the other's host: the list says so.
        unsafe { ffi::evhttp_remove_virtual_host(above, below) };
    }

    /// Is nobody's host and has none itself, so that C frees no other server with this one. The
    /// hosts are returned, to be closed.
    pub(super) fn cut_off(&self) -> Vec<Server> {
        let below = self.hosts.below.take();
        for (_, host) in &below {
            self.unlink(host);
        }
        let mut freed: Vec<Server> = below.into_iter().map(|(_, host)| host).collect();
        if let Some(above) = self.hosts.parent() {
            above.unlink(self);
            let mut hosts = above.hosts.below.borrow_mut();
            let at = hosts.iter().position(|(_, host)| ptr_eq(host, self));
            freed.extend(at.map(|at| hosts.remove(at).1));
        }
        freed
    }
}

fn ptr_eq(host: &Server, other: &ServerRef) -> bool {
    std::ptr::eq(&*host.0, other)
}
