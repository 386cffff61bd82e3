//! E-mail.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::ServerName;
use streamtable_monitor::{Email, Message, Security};
use streamtable_transport_hyper::{Addresses, Roots, client_tls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::SendError;

/// Maximum time from connecting to the server's last answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum length of all answers to a message, in bytes.
const MAX_ANSWERS: usize = 64 << 10;

/// Maximum length of the answers before TLS, in bytes.
const MAX_ANSWER: usize = 8 << 10;

/// Sends a message. The answers of the server are not quoted, except for their codes.
pub(super) async fn send(
    email: &Email,
    message: &Message,
    id: &str,
    addresses: Addresses,
) -> Result<(), SendError> {
    match tokio::time::timeout(TIMEOUT, exchange(email, message, id, addresses)).await {
        Ok(result) => result,
        Err(_) => {
            Err(SendError::Later(format!("the mail server did not answer within {TIMEOUT:?}")))
        }
    }
}

async fn exchange(
    email: &Email,
    message: &Message,
    id: &str,
    addresses: Addresses,
) -> Result<(), SendError> {
    let mail = mail(email, message, id)?;
    let hello = hello(email);
    let stream = connect(email, &hello, addresses).await?;
    let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello)
        .await
        .map_err(|error| refused(&error))?;
    if let (Some(user), Some(password)) = (&email.user, &email.password) {
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(|error| refused(&error))?;
    }
    let sent = connection.send(mail.envelope(), &mail.formatted()).await;
    sent.map_err(|error| refused(&error))?;
    // The server has accepted the message.
    let _ = connection.quit().await;
    Ok(())
}

fn hello(email: &Email) -> ClientId {
    let host = email.from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    ClientId::Domain(host.to_owned())
}

fn mail(email: &Email, message: &Message, id: &str) -> Result<lettre::Message, SendError> {
    let never = |what: &str| SendError::Never(format!("{what} is not an e-mail address"));
    let mut builder = lettre::Message::builder()
        .from(email.from.parse().map_err(|_| never("`from`"))?)
        .subject(message.subject())
        .message_id(Some(format!("<{id}@streamtable>")))
        .header(ContentType::TEXT_PLAIN);
    for to in &email.to {
        builder = builder.to(to.parse().map_err(|_| never("an address of `to`"))?);
    }
    builder
        .body(message.text())
        .map_err(|_| SendError::Never("the message cannot be written as an e-mail".to_owned()))
}

fn refused(error: &lettre::transport::smtp::Error) -> SendError {
    let reason = match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_timeout() => "the mail server did not answer in time".to_owned(),
        None => "the connection to the mail server failed".to_owned(),
    };
    match error.is_permanent() {
        true => SendError::Never(reason),
        false => SendError::Later(reason),
    }
}

/// Connects to an allowed address of the mail server, and starts TLS if required.
async fn connect(
    email: &Email,
    hello: &ClientId,
    addresses: Addresses,
) -> Result<Connected, SendError> {
    let host = email.server.as_str();
    let found = tokio::net::lookup_host((host, email.port()))
        .await
        .map_err(|error| SendError::Later(format!("cannot resolve {host}: {error}")))?;
    let allowed: Vec<SocketAddr> = found.filter(|address| addresses.allow(address.ip())).collect();
    if allowed.is_empty() {
        return Err(SendError::Later(format!(
            "cannot connect to {host}: it has no public address"
        )));
    }
    let failed = |error: io::Error| SendError::Later(format!("cannot connect to {host}: {error}"));
    let mut tcp = TcpStream::connect(&allowed[..]).await.map_err(failed)?;
    let peer = tcp.peer_addr().map_err(failed)?;
    let (io, greeting): (Box<dyn Io>, &'static [u8]) = match email.security {
        Security::None => (Box::new(tcp), b""),
        Security::Tls => (Box::new(tls(tcp, host).await?), b""),
        Security::Starttls => {
            starttls(&mut tcp, hello).await.map_err(failed)?;
            // The server sends its greeting only once, before TLS. The library gets this one.
            (Box::new(tls(tcp, host).await?), b"220 ready\r\n")
        }
    };
    Ok(Connected { io, greeting, taken: 0, peer })
}

async fn tls(
    tcp: TcpStream,
    host: &str,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, SendError> {
    let failed = |reason: String| SendError::Later(format!("TLS with {host} failed: {reason}"));
    let config = client_tls(&Roots::Platform).map_err(|error| failed(error.to_string()))?;
    let config = config.ok_or_else(|| failed("this machine has no trusted roots".to_owned()))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(error.to_string()))?;
    let connector = TlsConnector::from(Arc::clone(&config));
    connector.connect(name, tcp).await.map_err(|error| failed(error.to_string()))
}

/// Speaks SMTP until TLS can begin. Answers are read byte by byte, so nothing that was sent before TLS
/// is taken for an answer within it.
async fn starttls(tcp: &mut TcpStream, hello: &ClientId) -> io::Result<()> {
    expect(tcp, "220").await?;
    tcp.write_all(format!("EHLO {hello}\r\n").as_bytes()).await?;
    expect(tcp, "250").await?;
    tcp.write_all(b"STARTTLS\r\n").await?;
    expect(tcp, "220").await
}

/// Reads an answer, which may have several lines, and fails if it has another code.
async fn expect(tcp: &mut TcpStream, code: &str) -> io::Result<()> {
    let mut taken = 0;
    loop {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            taken += 1;
            if taken > MAX_ANSWER {
                return Err(io::Error::other("its answer is too long"));
            }
            line.push(tcp.read_u8().await?);
        }
        if !line.starts_with(code.as_bytes()) {
            return Err(io::Error::other("it does not offer STARTTLS"));
        }
        // A dash says that more lines follow.
        if line.get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}

trait Io: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin> Io for T {}

/// A connection to a mail server.
#[derive(Debug)]
struct Connected {
    io: Box<dyn Io>,
    /// Read before the bytes of the connection.
    greeting: &'static [u8],
    /// How many bytes were read. The library reads lines of any length.
    taken: usize,
    peer: SocketAddr,
}

impl AsyncTokioStream for Connected {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Connected {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let (now, later) = self.greeting.split_at(self.greeting.len().min(buf.remaining()));
            buf.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.taken += buf.filled().len() - before;
        if self.taken > MAX_ANSWERS {
            return Poll::Ready(Err(io::Error::other("its answers are too long")));
        }
        read
    }
}

impl AsyncWrite for Connected {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
