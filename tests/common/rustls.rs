//! A certificate authority made for one run, what it issues, and both sides of a connection.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::stream::rustls::{Acceptor, Connector};
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Filter, Handler, StreamEvent};
use libevent2::{EventBase, LoopHandle};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version::TLS12,
    version::TLS13,
};
use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

pub const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// A certificate and its key.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
    pub certificate_pem: String,
    pub key_pem: String,
}

/// What is known to everybody in a test.
pub struct World {
    pub authority: Identity,
    /// For `localhost` and 127.0.0.1.
    pub right: Identity,
    pub expired: Identity,
    pub self_signed: Identity,
    /// For another host.
    pub wrong_host: Identity,
}

pub static WORLD: LazyLock<World> = LazyLock::new(World::new);

fn identity(certificate: &rcgen::Certificate, key: &KeyPair) -> Identity {
    Identity {
        certificate: certificate.der().clone(),
        key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

fn names(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

impl World {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = names(&[]);
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = identity(&params.self_signed(&key).unwrap(), &key);
        let issuer = Issuer::new(params, key);
        let sign = |params: CertificateParams| {
            let key = KeyPair::generate().unwrap();
            identity(&params.signed_by(&key, &issuer).unwrap(), &key)
        };
        let local = || names(&["localhost", "127.0.0.1"]);
        let mut expired = local();
        expired.not_before = date_time_ymd(2019, 1, 1);
        expired.not_after = date_time_ymd(2020, 1, 1);
        let key = KeyPair::generate().unwrap();
        World {
            authority,
            right: sign(local()),
            expired: sign(expired),
            self_signed: identity(&local().self_signed(&key).unwrap(), &key),
            wrong_host: sign(names(&["elsewhere.example"])),
        }
    }
}

pub fn client_config(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(WORLD.authority.certificate.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

pub fn server_config(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .unwrap()
}

/// One that trusts the authority.
pub fn connector() -> Connector {
    Arc::new(client_config(BOTH)).into()
}

/// One with the right certificate.
pub fn acceptor() -> Acceptor {
    Arc::new(server_config(&WORLD.right, BOTH)).into()
}

/// A filter that changes every byte.
pub struct Flip;

impl Flip {
    fn pass(source: &mut libevent2::Buffer, out: &mut libevent2::Buffer) -> libevent2::Result<()> {
        let mut bytes = source.to_vec();
        source.clear()?;
        bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
        out.append(&bytes)
    }
}

impl Filter for Flip {
    fn input(
        &mut self,
        source: &mut libevent2::Buffer,
        out: &mut libevent2::Buffer,
        _: &mut libevent2::stream::FilterIo<'_>,
    ) -> Result<(), libevent2::BoxError> {
        Ok(Flip::pass(source, out)?)
    }

    fn output(
        &mut self,
        source: &mut libevent2::Buffer,
        out: &mut libevent2::Buffer,
        _: &mut libevent2::stream::FilterIo<'_>,
    ) -> Result<(), libevent2::BoxError> {
        Ok(Flip::pass(source, out)?)
    }
}

/// What TLS goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    Sockets,
    Pair,
    Filters,
    Tls,
}

pub const EACH: [Below; 4] = [Below::Sockets, Below::Pair, Below::Filters, Below::Tls];

impl Below {
    /// Two plain streams that are each other's peer.
    pub fn ends(self, base: &LoopHandle) -> (BufferEvent, BufferEvent) {
        let sockets = || {
            let (here, there) = UnixStream::pair().unwrap();
            (
                BufferEvent::from_socket(base, here, Callbacks::new()).unwrap(),
                BufferEvent::from_socket(base, there, Callbacks::new()).unwrap(),
            )
        };
        match self {
            Below::Sockets => sockets(),
            Below::Pair => BufferEvent::pair(base, Callbacks::new(), Callbacks::new()).unwrap(),
            Below::Filters => {
                let (here, there) = sockets();
                (
                    BufferEvent::filter(here, Flip, Callbacks::new()).unwrap(),
                    BufferEvent::filter(there, Flip, Callbacks::new()).unwrap(),
                )
            }
            Below::Tls => tls(base, Below::Sockets, Callbacks::new(), Callbacks::new()),
        }
    }
}

/// A client and a server, over what `below` says.
pub fn tls(
    base: &LoopHandle,
    below: Below,
    client: impl Handler,
    server: impl Handler,
) -> (BufferEvent, BufferEvent) {
    let (here, there) = below.ends(base);
    (
        connector().wrap(here, "localhost", client).unwrap(),
        acceptor().wrap(there, server).unwrap(),
    )
}

/// What has happened, in order.
#[derive(Clone, Default)]
pub struct Log(pub Rc<RefCell<Vec<String>>>);

impl Log {
    pub fn add(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    pub fn has(&self, what: &str) -> bool {
        self.0.borrow().iter().any(|line| line.contains(what))
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Notes each event; text is added up.
    pub fn handler(&self) -> impl Handler + use<> {
        let (said, heard) = (self.clone(), self.clone());
        Callbacks::new()
            .on_read(move |stream| said.text(stream))
            .on_event(move |_, event| heard.event(&event))
    }

    pub fn text(&self, stream: &BufferEventRef) {
        let text = String::from_utf8_lossy(&stream.input().take().to_vec()).into_owned();
        let mut lines = self.0.borrow_mut();
        match lines.last_mut() {
            Some(last) if last.starts_with('"') => {
                last.pop();
                last.push_str(&format!("{text}\""));
            }
            _ => lines.push(format!("\"{text}\"")),
        }
    }

    pub fn event(&self, event: &StreamEvent) {
        self.add(match event {
            StreamEvent::TimedOut(direction) => format!("{direction:?} timed out"),
            StreamEvent::Failed(error) => format!("failed: {error}"),
            event => format!("{event:?}"),
        });
    }
}

/// An echo that ends when the peer ends.
pub fn echo() -> impl Handler {
    Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(|stream, event| {
            if event.is_end() {
                stream.close_when_flushed();
            }
        })
}

pub fn run_until(base: &mut EventBase, mut done: impl FnMut() -> bool) {
    while !done() {
        base.run_once().unwrap();
    }
}
