//! The certificate: one that is given, or one that is made on the spot.

use crate::args::Network;
use libevent2::stream::rustls::Acceptor;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::sync::Arc;

/// What takes TLS connections, if they are wanted.
///
/// # Errors
/// In words.
pub fn acceptor(network: &Network) -> Result<Option<Acceptor>, String> {
    match (&network.cert, &network.key) {
        (Some(cert), Some(key)) => {
            let acceptor = Acceptor::from_pem(cert, key);
            acceptor.map(Some).map_err(|error| error.to_string())
        }
        _ if network.tls => made(network.bind()).map(Some),
        _ => Ok(None),
    }
}

/// For this machine, signed by itself: a client has to be told to trust it.
fn made(bind: &str) -> Result<Acceptor, String> {
    let names = ["localhost", "127.0.0.1", "::1", bind];
    let mut names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    names.dedup();
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| error.to_string())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            let config = config.with_no_client_auth();
            config.with_single_cert(vec![made.cert.der().clone()], key.into())
        });
    let config = config.map_err(|error| error.to_string())?;
    Ok(Arc::new(config).into())
}
