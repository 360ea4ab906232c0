//! Connections: to addresses that were checked, and to no name.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::request::{HEADER_BYTES, HEADERS};
use super::{Fault, Origin, reason};
use crate::capability::tls;

/// Opens connections.
#[async_trait]
pub trait Connect: Send + Sync {
    /// Connects to an address. It is never asked for one that the checks refuse.
    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream>;
}

/// The machine's own network.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemConnector;

#[async_trait]
impl Connect for SystemConnector {
    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }
}

/// Reaches this machine and nothing else, whatever the checks let through.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopbackConnector;

#[cfg(test)]
#[async_trait]
impl Connect for LoopbackConnector {
    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(io::Error::other(format!("a test wanted to connect to {address}")));
        }
        SystemConnector.connect(address).await
    }
}

/// Connects to the first of some addresses that answers. Each has an equal share of the
/// time that is left, so one that is silent does not cost the others theirs.
pub(in crate::capability) async fn reach(
    connector: &dyn Connect,
    addresses: &[SocketAddr],
    time: Duration,
) -> io::Result<(TcpStream, SocketAddr)> {
    let end = Instant::now() + time;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let share = end.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout(share, connector.connect(*address)).await {
            Ok(Ok(stream)) => {
                // A request is written at once, so there is nothing to gather.
                let _ = stream.set_nodelay(true);
                return Ok((stream, *address));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// HTTP/1.1 over TLS.
static TLS: LazyLock<Option<Arc<ClientConfig>>> = LazyLock::new(|| {
    let mut config = tls::client()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Arc::new(config))
});

/// One connection of HTTP/1.1; it ends with the value.
pub(super) struct Connection {
    origin: Origin,
    address: SocketAddr,
    pub(super) sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(super) async fn open(
        connector: &dyn Connect,
        origin: &Origin,
        addresses: &[SocketAddr],
        time: Duration,
    ) -> Result<Self, Fault> {
        let lost = |why: &dyn std::error::Error| Fault::Transport(format!("cannot connect: {}", reason(why)));
        let opening = async {
            let (stream, address) = reach(connector, addresses, time).await.map_err(|e| match e.kind() {
                io::ErrorKind::TimedOut => Fault::Timeout,
                _ => lost(&e),
            })?;
            if !origin.is_https() {
                return Self::speak(TokioIo::new(stream), origin, address).await;
            }
            let tls = TLS.clone().ok_or_else(|| Fault::Transport("TLS cannot be used".into()))?;
            let bare = origin.host().trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(bare).map_err(|e| lost(&e))?;
            let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|e| lost(&e))?;
            Self::speak(TokioIo::new(stream), origin, address).await
        };
        timeout(time, opening).await.unwrap_or(Err(Fault::Timeout))
    }

    async fn speak<T>(stream: T, origin: &Origin, address: SocketAddr) -> Result<Self, Fault>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        let mut http = http1::Builder::new();
        http.max_headers(HEADERS).max_header_size(HEADER_BYTES).max_buf_size(HEADER_BYTES);
        let (sender, driver) = http.handshake(stream).await.map_err(|e| Fault::Transport(reason(&e)))?;
        let driver = tokio::spawn(async move {
            // What goes wrong is told to whoever sent the request.
            let _ = driver.await;
        });
        Ok(Self { origin: origin.clone(), address, sender, driver })
    }

    /// Whether it is a connection to an origin that may still be used: the name may have
    /// moved since, and then what was right to connect to is not any more.
    pub(super) fn leads_to(&self, origin: &Origin, addresses: &[SocketAddr]) -> bool {
        self.origin == *origin && addresses.contains(&self.address)
    }
}
