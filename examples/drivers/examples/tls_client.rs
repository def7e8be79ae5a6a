//! Asks an HTTPS server for a page and shows the answer as it comes, by futures-rustls over a
//! socket of the loop (the traits of futures-io).
//!
//!     tls_client HOST PORT PATH [CA.pem]

use futures_rustls::TlsConnector;
use futures_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use futures_rustls::rustls::{ClientConfig, RootCertStore};
use futures_util::{AsyncReadExt, AsyncWriteExt};
use libevent2::net::TcpStream;
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

/// What is trusted: the certificate in the file, or what the system trusts.
fn config(ca: Option<&String>) -> Result<ClientConfig, Box<dyn Error>> {
    let mut trusted = RootCertStore::empty();
    if let Some(file) = ca {
        trusted.add(CertificateDer::from_pem_file(file)?)?;
    } else {
        trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(trusted)
        .with_no_client_auth())
}

async fn fetch(handle: &LoopHandle, args: &[String]) -> Result<(), Box<dyn Error>> {
    let [host, port, path, ca @ ..] = args else {
        return Err("usage: tls_client HOST PORT PATH [CA.pem]".into());
    };
    let connector = TlsConnector::from(Arc::new(config(ca.first())?));
    let stream = TcpStream::connect_host(handle, host, port.parse()?).await?;
    let mut stream = connector.connect(host.clone().try_into()?, stream).await?;
    let (_, tls) = stream.get_ref();
    eprintln!("{:?}", tls.protocol_version().ok_or("no version")?);

    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut piece = vec![0; 16 * 1024];
    // An end without TLS's own goodbye is an error: the answer may have been cut off.
    loop {
        match stream.read(&mut piece).await? {
            0 => break Ok(stream.close().await?),
            len => std::io::stdout().write_all(&piece[..len])?,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(fetch(&handle, &args))?
}
