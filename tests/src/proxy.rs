//! A wire that can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::runtime::{Task, block, spawn};

/// Called before each piece that a client sends is passed on, with its text.
type Hook = Box<dyn FnMut(&str) + Send>;

/// Passes bytes to another address of this machine and back.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    _task: Task,
}

impl Proxy {
    /// Starts one; `before` sees each request before the server does.
    pub fn start(server: &str, before: impl FnMut(&str) + Send + 'static) -> Self {
        let listener = block(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let server = server.to_owned();
        let hook: Arc<Mutex<Hook>> = Arc::new(Mutex::new(Box::new(before)));
        let task = spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), hook.clone()));
            }
        });
        Self { address, _task: task }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Passes on until either side ends; then both connections are closed.
async fn pass(client: TcpStream, server: String, hook: Arc<Mutex<Hook>>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        let mut piece = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_client.read(&mut piece).await {
            let piece = &piece[..read];
            (hook.lock().unwrap())(&String::from_utf8_lossy(piece));
            if to_server.write_all(piece).await.is_err() {
                break;
            }
        }
    };
    let back = tokio::io::copy(&mut from_server, &mut to_client);
    tokio::select! {
        () = there => {}
        _ = back => {}
    }
}
