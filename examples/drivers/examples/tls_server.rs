//! An HTTPS server that sends back what is posted to it, by HTTP/1 or HTTP/2 as the client likes:
//! hyper over tokio-rustls over sockets of the loop, until SIGINT.
//!
//!     tls_server 127.0.0.1:4433 CERT.pem KEY.pem
//!     curl --cacert CERT.pem -d hello https://localhost:4433/

use futures_util::future::{Either, select};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use libevent2::net::{TcpListener, TcpStream};
use libevent2::{EventBase, LoopHandle};
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

type Failure = Box<dyn Error + Send + Sync>;

async fn echo(request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
    Ok(Response::new(request.into_body()))
}

async fn answer(
    handle: &LoopHandle,
    stream: TcpStream,
    acceptor: TlsAcceptor,
) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    // Who only connects does not stay for ever.
    let patience = Duration::from_secs(10);
    let stream = handle.timeout(patience, acceptor.accept(stream)).await??;
    // tokio-rustls has tokio's traits, hyper its own.
    Builder::new(handle.clone())
        .serve_connection(TokioIo::new(stream), service_fn(echo))
        .await
}

async fn serve(
    handle: &LoopHandle,
    listener: TcpListener,
    acceptor: TlsAcceptor,
) -> io::Result<Infallible> {
    loop {
        let (stream, peer) = listener.accept().await?;
        let (guest, acceptor) = (handle.clone(), acceptor.clone());
        handle.spawn(async move {
            if let Err(error) = answer(&guest, stream, acceptor).await {
                println!("{peer}: {error}");
            }
        });
    }
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [addr, certificates, key] = &args[..] else {
        return Err("usage: tls_server ADDRESS CERT.pem KEY.pem".into());
    };
    let certificates = CertificateDer::pem_file_iter(certificates)?.collect::<Result<_, _>>()?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    let mut signals = handle.signals(&[libc::SIGINT, libc::SIGTERM])?;
    let listener = TcpListener::bind(&handle, addr.parse()?)?;
    println!("listening on https://{}", listener.local_addr()?);
    base.block_on(async {
        let serving = pin!(serve(&handle, listener, acceptor));
        match select(serving, pin!(signals.next())).await {
            Either::Left((Err(error), _)) => Err(error.into()),
            Either::Right(_) => Ok(()),
        }
    })?
}
