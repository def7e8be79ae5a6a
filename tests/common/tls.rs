//! A certificate authority made for one run, and what it issues.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::stream::tls::{Acceptor, Connector};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    SslAcceptor, SslAcceptorBuilder, SslConnector, SslConnectorBuilder, SslMethod, SslVersion,
};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// A certificate and its key.
pub struct Identity {
    pub certificate: X509,
    pub key: PKey<Private>,
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

impl World {
    fn new() -> Self {
        let authority = Certificate::new("test authority").authority().sign(None);
        let sign = |certificate: Certificate| certificate.sign(Some(&authority));
        World {
            right: sign(Certificate::new("localhost").host("localhost")),
            expired: sign(Certificate::new("localhost").host("localhost").expired()),
            self_signed: Certificate::new("localhost").host("localhost").sign(None),
            wrong_host: sign(Certificate::new("elsewhere").host("elsewhere.example")),
            authority,
        }
    }
}

struct Certificate {
    name: &'static str,
    host: Option<&'static str>,
    is_authority: bool,
    is_expired: bool,
}

impl Certificate {
    fn new(name: &'static str) -> Self {
        Certificate {
            name,
            host: None,
            is_authority: false,
            is_expired: false,
        }
    }

    fn host(mut self, host: &'static str) -> Self {
        self.host = Some(host);
        self
    }

    fn authority(mut self) -> Self {
        self.is_authority = true;
        self
    }

    fn expired(mut self) -> Self {
        self.is_expired = true;
        self
    }

    fn sign(self, issuer: Option<&Identity>) -> Identity {
        const DAY: i64 = 24 * 60 * 60;
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", self.name).unwrap();
        let name = name.build();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        let until = if self.is_expired {
            now - DAY
        } else {
            now + DAY
        };
        let time = |at| Asn1Time::from_unix(at).unwrap();
        let mut serial = BigNum::new().unwrap();
        serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();

        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder
            .set_serial_number(&serial.to_asn1_integer().unwrap())
            .unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&time(now - 2 * DAY)).unwrap();
        builder.set_not_after(&time(until)).unwrap();
        builder
            .set_issuer_name(issuer.map_or(&name, |by| by.certificate.subject_name()))
            .unwrap();
        let by = issuer.map(|issuer| &issuer.certificate);
        if let Some(host) = self.host {
            let mut names = SubjectAlternativeName::new();
            names.dns(host);
            if host == "localhost" {
                names.ip("127.0.0.1");
            }
            let context = builder.x509v3_context(by.map(|by| &**by), None);
            let names = names.build(&context).unwrap();
            builder.append_extension(names).unwrap();
        }
        if self.is_authority {
            let extension = BasicConstraints::new().critical().ca().build().unwrap();
            builder.append_extension(extension).unwrap();
        }
        let signer = issuer.map_or(&key, |issuer| &issuer.key);
        builder.sign(signer, MessageDigest::sha256()).unwrap();
        Identity {
            certificate: builder.build(),
            key,
        }
    }
}

/// A client that trusts the test's authority only.
pub fn client() -> SslConnectorBuilder {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    let store = builder.cert_store_mut();
    store.add_cert(WORLD.authority.certificate.clone()).unwrap();
    builder
}

/// A server that shows a certificate.
pub fn server(identity: &Identity) -> SslAcceptorBuilder {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_private_key(&identity.key).unwrap();
    builder.set_certificate(&identity.certificate).unwrap();
    builder
}

/// Only this version.
pub fn only(version: SslVersion) -> impl Fn(&mut openssl::ssl::SslContextBuilder) {
    move |context| {
        context.set_min_proto_version(Some(version)).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
    }
}

/// Both sides, with the right certificate.
pub fn ends() -> (Connector, Acceptor) {
    static ENDS: LazyLock<(SslConnector, SslAcceptor)> =
        LazyLock::new(|| (client().build(), server(&WORLD.right).build()));
    (ENDS.0.clone().into(), ENDS.1.clone().into())
}
