//! Sends the mail on standard input with lettre. Its transports connect by tokio's own sockets; its
//! connection takes any stream of tokio's traits that is `Send`, so ours is told to stay on the
//! loop. lettre encrypts it when the server offers STARTTLS.
//!
//!     smtp_lettre HOST PORT FROM TO [CA.pem] <mail.eml

use lettre::address::Envelope;
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use libevent2::net::TcpStream;
use libevent2::task::OnLoop;
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::io::{self, Read, stdin};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// lettre asks for the address besides.
#[derive(Debug)]
struct Stream(OnLoop<TcpStream>);

impl AsyncTokioStream for Stream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

async fn deliver(handle: &LoopHandle, args: &[String], mail: &[u8]) -> Result<(), Box<dyn Error>> {
    let [host, port, from, to, ca @ ..] = args else {
        return Err("usage: smtp_lettre HOST PORT FROM TO [CA.pem]".into());
    };
    let stream = TcpStream::connect_host(handle, host, port.parse()?).await?;
    let stream = Box::new(Stream(OnLoop::new(handle, stream)));
    let name = ClientId::default();
    let mut smtp = AsyncSmtpConnection::connect_with_transport(stream, &name).await?;
    if let [ca] = ca {
        let tls = TlsParameters::builder(host.clone())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&std::fs::read(ca)?)?)
            .build_rustls()?;
        smtp.starttls(tls, &name).await?;
        println!("encrypted");
    }
    let envelope = Envelope::new(Some(from.parse()?), vec![to.parse()?])?;
    let answer = smtp.send(&envelope, mail).await?;
    println!("{}", answer.message().collect::<Vec<_>>().join(" "));
    smtp.quit().await?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut mail = Vec::new();
    stdin().read_to_end(&mut mail)?;

    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(deliver(&handle, &args, &mail))?
}
