//! Sends the mail on standard input to an SMTP server, by async-smtp over a socket of the loop; a
//! server that offers STARTTLS gets it encrypted, by tokio-rustls.
//!
//!     smtp_client HOST PORT FROM TO [CA.pem] <mail.eml

use async_smtp::{Envelope, SendableEmail, SmtpClient, SmtpTransport};
use libevent2::net::TcpStream;
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::io::{Read, stdin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncWrite, BufStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

async fn deliver(handle: &LoopHandle, args: &[String], mail: Vec<u8>) -> Result<()> {
    let [host, port, from, to, ca @ ..] = args else {
        return Err("usage: smtp_client HOST PORT FROM TO [CA.pem]".into());
    };
    let envelope = Envelope::new(Some(from.parse()?), vec![to.parse()?])?;
    let mail = SendableEmail::new(envelope, mail);

    // The crate writes a mail in small pieces, and asks for whole lines.
    let stream = TcpStream::connect_host(handle, host, port.parse()?).await?;
    let smtp = SmtpTransport::new(SmtpClient::new(), BufStream::new(stream)).await?;
    let [ca] = ca else {
        return send(smtp, mail).await;
    };
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(ca)?)?;
    let config = ClientConfig::builder()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let plain = smtp.starttls().await?.into_inner();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(host.clone().try_into()?, plain)
        .await?;
    println!("encrypted");
    // The server has greeted already.
    let client = SmtpClient::new().without_greeting();
    send(
        SmtpTransport::new(client, BufStream::new(stream)).await?,
        mail,
    )
    .await
}

async fn send<S: AsyncBufRead + AsyncWrite + Unpin>(
    mut smtp: SmtpTransport<S>,
    mail: SendableEmail,
) -> Result<()> {
    let answer = smtp.send(mail).await?;
    println!("{}", answer.message.join(" "));
    Ok(smtp.quit().await?)
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut mail = Vec::new();
    stdin().read_to_end(&mut mail)?;

    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    let delivery = handle.timeout(Duration::from_secs(60), deliver(&handle, &args, mail));
    base.block_on(delivery)??
}
