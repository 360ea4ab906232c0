//! A resolver and a connector for tests: names have the addresses that a test gives them, and
//! every address leads to the loopback interface. So no test opens a socket to anywhere else,
//! even where the check that it tests is broken.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::{Connect, Resolve};

/// Names, each with the answers that it gives, one after the other; the last stays.
pub(in crate::capability) struct Names {
    answers: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    /// In an answer, addresses stand with a space between.
    pub fn new<const N: usize>(names: [(&str, &[&str]); N]) -> Arc<Self> {
        let answer = |text: &&str| text.split_whitespace().map(|address| address.parse().unwrap()).collect();
        let names = names.map(|(name, answers)| (name.to_owned(), answers.iter().map(answer).collect()));
        Arc::new(Self { answers: Mutex::new(names.into()), asked: Mutex::default() })
    }

    /// What was looked up.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut names = self.answers.lock().unwrap();
        let answers = names.get_mut(host).ok_or_else(|| io::Error::other("no such host"))?;
        let now = answers.front().cloned().unwrap_or_default();
        if answers.len() > 1 {
            answers.pop_front();
        }
        Ok(now)
    }
}

/// Leads to one port of this machine, whatever the address, and remembers what was wanted.
pub(in crate::capability) struct Wire {
    port: u16,
    deaf: Vec<IpAddr>,
    tried: Mutex<Vec<SocketAddr>>,
}

impl Wire {
    pub fn to(port: u16) -> Arc<Self> {
        Self::but(port, &[])
    }

    /// One at which some addresses don't answer.
    pub fn but(port: u16, deaf: &[&str]) -> Arc<Self> {
        let deaf = deaf.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self { port, deaf, tried: Mutex::default() })
    }

    /// The addresses that were wanted.
    pub fn tried(&self) -> Vec<String> {
        self.tried.lock().unwrap().iter().map(ToString::to_string).collect()
    }
}

#[async_trait]
impl Connect for Wire {
    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.tried.lock().unwrap().push(address);
        if self.deaf.contains(&address.ip()) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await
    }
}
