//! A real Alertmanager.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::runtime::{block, client};
use crate::{Server, free_port, get, program, until};

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    port: u16,
    _server: Server,
    _home: TempDir,
}

impl Alertmanager {
    /// Starts one with this configuration and waits until it answers; says what is missing on
    /// this machine.
    pub fn start(config: &str) -> Result<Self, String> {
        let program = program("prometheus-alertmanager").ok_or("there is no `prometheus-alertmanager` here")?;
        let (port, home) = (free_port(), TempDir::new().unwrap());
        std::fs::write(home.path().join("alertmanager.yml"), config).unwrap();
        let mut command = Command::new(program);
        command
            .current_dir(home.path())
            // No cluster: there is one of it.
            .args(["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let mut server = Server::start(&mut command, &home.path().join("log"));
        until("Alertmanager answers", || {
            if let Some(log) = server.ended() {
                panic!("Alertmanager has ended: {log}");
            }
            get(&format!("http://127.0.0.1:{port}/api/v2/status"))
        });
        Ok(Self { port, _server: server, _home: home })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The alerts that fire.
    pub fn firing(&self) -> Vec<Value> {
        let alerts = get(&format!("{}/api/v2/alerts", self.url())).unwrap();
        alerts.as_array().unwrap().clone()
    }

    /// The groups of alerts, each with its receiver.
    pub fn groups(&self) -> Vec<Value> {
        let groups = get(&format!("{}/api/v2/alerts/groups", self.url())).unwrap();
        groups.as_array().unwrap().clone()
    }

    /// Hands alerts over, as Prometheus would.
    pub fn post(&self, alerts: &Value) {
        let url = format!("{}/api/v2/alerts", self.url());
        let body = alerts.to_string();
        let request = client().post(url).header("content-type", "application/json").body(body);
        block(async { request.send().await.unwrap().error_for_status().unwrap() });
    }
}
