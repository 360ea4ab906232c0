//! `anomd.yaml` becomes a [`Node`]. All of it is optional, the file too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Map, Value};

use super::batch_file::{component, name};
use super::document::Document;
use super::environment::Environment;
use super::grant::{DEFAULT_TENANT, parse_network, parse_origin};
use super::node::{Grants, Limits, Mail, MailSecurity, Node, Secret, Tenant};
use super::problem::{Problems, tidy};
use super::section::Section;

/// The file that is read when none is named and it is there.
pub const NODE_FILE: &str = "anomd.yaml";

/// Reads the node's file: `path`, or [`NODE_FILE`] in the working directory if it is there.
/// Paths in it are relative to it.
pub fn load_node(path: Option<&Path>, environment: &Environment) -> Result<Node, Problems> {
    let default = Path::new(NODE_FILE);
    let file = path.unwrap_or(default);
    let document = match path {
        None if !default.exists() => Document::empty(default),
        _ => Document::read(file, Limits::default().config_bytes)?,
    };
    read(document, file.parent().unwrap_or(Path::new("")), environment)
}

fn read(mut document: Document, folder: &Path, environment: &Environment) -> Result<Node, Problems> {
    let problems = RefCell::new(document.fill(environment));
    let top = Section::top(&document, &problems);
    let path = |key, default: &str| tidy(&folder.join(top.text(key).unwrap_or(default)));

    let mut node = Node {
        listen: top.parsed("listen", address).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8700))),
        data: path("data", "data"),
        batches: path("batches", "batches"),
        plugins: top.text("plugins").map(|plugins| tidy(&folder.join(plugins))),
        mail: mail(&top, folder),
        tenants: top
            .sections("tenants")
            .into_iter()
            .map(|(name, section)| (name.to_owned(), tenant(name, section)))
            .collect(),
        limits: limits(top.section("limits")),
    };
    node.tenants.entry(DEFAULT_TENANT.to_owned()).or_default();
    top.finish();
    let problems = problems.into_inner();
    if problems.has_errors() { Err(problems) } else { Ok(node) }
}

fn address(text: &str) -> Result<SocketAddr, (String, String)> {
    let text = text.strip_prefix("localhost:").map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| {
        let remedy = "write an IP address and a port: 127.0.0.1:8700, or 0.0.0.0:8700 for all interfaces";
        (format!("\"{text}\" is not an address to listen on"), remedy.to_owned())
    })
}

fn mail(top: &Section<'_>, folder: &Path) -> Option<Mail> {
    let smtp = top.section("smtp");
    let securities = [("tls", MailSecurity::Tls), ("starttls", MailSecurity::Starttls), ("none", MailSecurity::None)];
    let security = smtp.choice("security", &securities).unwrap_or(MailSecurity::Starttls);
    let usual = match security {
        MailSecurity::Tls => 465,
        MailSecurity::Starttls => 587,
        MailSecurity::None => 25,
    };
    let port = smtp.whole("port", 1..=65_535).and_then(|port| u16::try_from(port).ok()).unwrap_or(usual);
    let (host, from) = (smtp.text("host"), smtp.text("from"));
    let login = match (smtp.text("username"), smtp.text("password")) {
        (Some(username), Some(password)) => Some((username.to_owned(), Secret::new(password))),
        (None, None) => None,
        (Some(_), None) if smtp.has("password") => None,
        (None, Some(_)) if smtp.has("username") => None,
        (username, _) => {
            let (there, missing) = if username.is_some() { ("username", "password") } else { ("password", "username") };
            smtp.fault(missing, "is missing", format!("set it beside {there}, or remove {there}"));
            None
        }
    };
    let ca_file = smtp.text("ca_file").map(|file| tidy(&folder.join(file)));
    if top.has("smtp") {
        for (key, example) in [("host", "smtp.example.com"), ("from", "anomd@example.com")] {
            if !smtp.has(key) {
                smtp.fault(key, "is missing", format!("write {key}: {example}"));
            }
        }
    }
    smtp.finish();
    Some(Mail { host: host?.to_owned(), port, security, login, from: from?.to_owned(), ca_file })
}

fn tenant(called: &str, section: Section<'_>) -> Tenant {
    if let Err((message, remedy)) = name(called) {
        section.fault_at(&section.own_pointer(), message, remedy);
    }
    let mut secrets = BTreeMap::new();
    for (slot, secret) in section.sections("secrets") {
        let value = secret.text("value");
        let origins = origins(&secret);
        for (key, remedy) in [
            ("value", "write value: ${NAME_OF_A_VARIABLE}"),
            ("origins", "list where it may be sent to: origins: [https://hooks.slack.com]"),
        ] {
            if !secret.has(key) {
                secret.fault(key, "is missing", remedy);
            }
        }
        secrets.extend(value.map(|value| (slot.to_owned(), (Secret::new(value), origins))));
        secret.finish();
    }
    let mut grants = BTreeMap::new();
    for (plugin, grant) in section.sections("grants") {
        if let Err((message, remedy)) = component(plugin) {
            grant.fault_at(&grant.own_pointer(), message, remedy);
        }
        let networks = checked(&grant, "networks", parse_network);
        let recipients = checked(&grant, "recipients", recipient);
        grants.insert(plugin.to_owned(), Grants { origins: origins(&grant), networks, recipients });
        grant.finish();
    }
    section.finish();
    Tenant { secrets, grants }
}

fn origins(section: &Section<'_>) -> Vec<String> {
    checked(section, "origins", parse_origin)
}

fn checked<T>(section: &Section<'_>, key: &'static str, check: fn(&str) -> Result<T, (String, String)>) -> Vec<T> {
    let mut sound = Vec::new();
    for text in section.texts(key) {
        match check(&text) {
            Ok(value) => sound.push(value),
            Err((message, remedy)) => section.fault(key, message, remedy),
        }
    }
    sound
}

fn recipient(text: &str) -> Result<String, (String, String)> {
    let sound = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && !domain.contains(['@', '*'])
            && (local == "*" || !local.contains('*'))
    });
    match sound {
        true => Ok(text.to_owned()),
        false => {
            Err((format!("\"{text}\" is not a mail address"), "write ops@example.com, or *@example.com".to_owned()))
        }
    }
}

/// The limits that are written, over the defaults. Their names and types are those of [`Limits`].
fn limits(section: Section<'_>) -> Limits {
    let names = match serde_json::to_value(Limits::default()) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let mut written = Map::new();
    for (name, value) in section.members() {
        if !names.contains_key(name) {
            let near = super::problem::nearest(name, names.keys().map(String::as_str));
            let remedy = near
                .map_or("docs/configuration.md lists the limits".to_owned(), |near| format!("did you mean {near}?"));
            section.fault(name, "is not a limit", remedy);
            continue;
        }
        let mut tried = written.clone();
        tried.insert(name.to_owned(), value.clone());
        if value.as_u64() != Some(0) && serde_json::from_value::<Limits>(Value::Object(tried.clone())).is_ok() {
            written = tried;
        } else {
            let remedy = "write a whole number above 0; the unit is in the name";
            section.fault(name, format!("{value} cannot be this limit"), remedy);
        }
    }
    serde_json::from_value(Value::Object(written)).unwrap_or_default()
}
