//! Attacks on the way out of a node, and on the way back: each is one test.

mod answers;
mod at_once;
mod rebinding;
mod secrets;
mod targets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::fakes::{Names, Wire};
use super::*;
use crate::config::{Grants, Limits, Secret};

/// The heads and bodies of the requests that a server got.
type Heard = Arc<Mutex<Vec<String>>>;

/// A server on the loopback interface: reads a request, then does what the test says with the
/// connection.
async fn server<F>(answer: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> (u16, Heard)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let got = request(&mut stream).await;
            told.lock().unwrap().push(got);
            tokio::spawn(answer(stream));
        }
    });
    (port, heard)
}

/// A server that answers with these bytes.
async fn says(answer: impl AsRef<[u8]>) -> (u16, Heard) {
    let answer: Arc<[u8]> = answer.as_ref().into();
    server(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            // The other side may have heard enough.
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// Reads one request.
async fn request(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return text,
            Ok(n) => got.extend_from_slice(&part[..n]),
        }
    }
}

/// An answer of 200 with these headers, and a body up to the end of the connection.
fn ok(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes(), body.as_ref()].concat()
}

/// What a plugin is granted, and the world that it is in.
struct World {
    names: Arc<Names>,
    wire: Arc<Wire>,
    grants: Grants,
    secrets: BTreeMap<String, (Secret, Vec<String>)>,
    limits: Limits,
}

impl World {
    /// `http://metrics.example.com` and `https://*.example.com` are granted, and no network;
    /// all addresses lead to one port.
    fn new(port: u16) -> Self {
        let origins = ["http://metrics.example.com", "https://*.example.com"];
        Self {
            names: Names::new([
                ("metrics.example.com", &["93.184.216.34"][..]),
                ("inside.example.com", &["10.1.2.3"][..]),
                ("localhost", &["127.0.0.1 ::1"][..]),
            ]),
            wire: Wire::to(port),
            grants: Grants { origins: origins.map(str::to_owned).into(), ..Grants::default() },
            secrets: BTreeMap::new(),
            limits: Limits { http_response_bytes: 100_000, http_connect_ms: 60_000, ..Limits::default() },
        }
    }

    fn grant(&self, net: &Net, tenant: &str, plugin: &str) -> Grant {
        let holder = crate::capability::Holder { tenant: tenant.into(), plugin: plugin.into() };
        Grant::new(Arc::new(holder), &self.grants, self.secrets.clone(), net, &self.limits)
            .map_err(|why| why.message)
            .unwrap()
    }

    fn net(&self) -> Net {
        Net::new(Arc::clone(&self.names) as _, Arc::clone(&self.wire) as _)
    }

    /// The requests of one call.
    fn open(&self) -> Http {
        self.grant(&self.net(), "acme", "probe").open()
    }

    async fn get(&self, url: &str) -> Result<Answer, Fault> {
        self.open().send(get(url)).await
    }

    /// Why nothing came back.
    async fn refusal(&self, url: &str) -> String {
        match self.get(url).await {
            Ok(answer) => format!("reached: {}", answer.status),
            Err(Fault::Denied(why)) => format!("denied: {why}"),
            Err(Fault::Invalid(why)) => format!("invalid: {why}"),
            Err(Fault::Transport(why)) => format!("transport: {why}"),
            Err(fault) => format!("{fault:?}"),
        }
    }
}

fn get(url: &str) -> Request {
    Request {
        method: Method::Get,
        target: Target::Url(url.to_owned()),
        headers: Vec::new(),
        auth: None,
        blanks: Vec::new(),
        body: Vec::new(),
        timeout: None,
    }
}
