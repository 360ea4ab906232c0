//! A real mail server: aiosmtpd, with STARTTLS and a login.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use tempfile::TempDir;

use crate::{Server, tools, until};

/// User name and password that it wants.
pub const SMTP_LOGIN: (&str, &str) = ("anomd", "battery staple");

/// A mail that it took or refused.
#[derive(Clone, Debug)]
pub struct Mail {
    /// What was answered to it: `250 …`, or the refusal.
    pub answer: String,
    /// Sender and recipients of the envelope.
    pub envelope: (String, Vec<String>),
    /// Header lines, unfolded, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The text part, decoded.
    pub text: String,
    /// The HTML part, decoded.
    pub html: String,
    /// The PNGs in it.
    pub pictures: Vec<Vec<u8>>,
}

impl Mail {
    /// A header; fails the test where it is missing.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(n, _)| n == name);
        header.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers))
    }
}

/// A running mail server.
#[derive(Debug)]
pub struct Smtp {
    home: TempDir,
    port: u16,
    _server: Server,
}

impl Smtp {
    /// Starts one that refuses the first mails with a temporary error, after it has them.
    pub fn start(refusals: usize) -> Result<Self, String> {
        let python = tools().join("python/bin/python");
        if !python.is_file() {
            return Err("the mail server's Python is not set up".to_owned());
        }
        let home = TempDir::new().unwrap();
        let mut command = Command::new(python);
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("smtp.py");
        command.arg(script).arg(home.path()).args([SMTP_LOGIN.0, SMTP_LOGIN.1]).arg(refusals.to_string());
        let mut server = Server::start(&mut command, &home.path().join("log"));
        let port = until("the mail server listens", || {
            if let Some(log) = server.ended() {
                panic!("the mail server has ended: {log}");
            }
            std::fs::read_to_string(home.path().join("port")).ok()?.trim().parse().ok()
        });
        Ok(Self { home, port, _server: server })
    }

    /// Its port on `localhost`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that its own is signed with.
    pub fn ca_file(&self) -> PathBuf {
        self.home.path().join("ca.pem")
    }

    /// The mails so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        let mut files: Vec<_> = std::fs::read_dir(self.home.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort();
        files.iter().map(|file| read(&std::fs::read(file).unwrap())).collect()
    }
}

fn read(json: &[u8]) -> Mail {
    let mail: serde_json::Value = serde_json::from_slice(json).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let list = |value: &serde_json::Value| value.as_array().unwrap().clone();
    Mail {
        answer: text(&mail["answer"]),
        envelope: (text(&mail["from"]), list(&mail["to"]).iter().map(text).collect()),
        headers: list(&mail["headers"]).iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        text: text(&mail["text"]),
        html: text(&mail["html"]),
        pictures: list(&mail["pictures"])
            .iter()
            .map(|picture| base64::engine::general_purpose::STANDARD.decode(text(picture)).unwrap())
            .collect(),
    }
}
