//! `anomd.yaml` becomes a [`Node`]. All of it is optional, the file too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::alerting_file::routing;
use super::document::Document;
use super::environment::Environment;
use super::grant::{DEFAULT_TENANT, parse_network, parse_origin};
use super::name::{component, name};
use super::node::{Grants, Limits, Mail, MailSecurity, Node, Secret, Tenant};
use super::problem::{Problems, nearest};
use super::quota::Quotas;
use super::section::Section;
use super::tenant_policy::TenantPolicy;
use super::{llm_environment, mail_environment};

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

    if !document.value.is_object() && !document.value.is_null() {
        top.fault_at("", "is not a mapping", "write `key: value` lines");
    }
    let mut node = Node {
        listen: top.parsed("listen", address).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8700))),
        public_url: top.parsed("public_url", public_url),
        data: path("data", "data"),
        batches: path("batches", "batches"),
        plugins: top.text("plugins").map(|plugins| tidy(&folder.join(plugins))),
        mail: mail(&top, folder),
        tenants: top
            .sections("tenants")
            .into_iter()
            .map(|(name, section)| (name.to_owned(), tenant(name, section, environment)))
            .collect(),
        allow_unauthenticated: top.flag("allow_unauthenticated").unwrap_or(false),
        limits: limits(top.section("limits")),
    };
    if node.mail.is_none() && !top.has("smtp") {
        node.mail = mail_environment::mail(environment);
    }
    let default = node.tenants.entry(DEFAULT_TENANT.to_owned()).or_default();
    if let Some(alerting) = top.optional("alerting") {
        if default.routing.route.is_some() {
            let text = "stands here and in tenants.default, of which it is the short form";
            top.fault("alerting", text, "remove one of the two");
        }
        default.routing = routing(alerting, Some(environment));
    }
    mail_environment::fill_tenant(default, environment);
    llm_environment::fill_tenant(default, environment);
    top.finish();
    let problems = problems.into_inner();
    if problems.has_errors() { Err(problems) } else { Ok(node) }
}

/// A path without the `./` that joining leaves in it.
fn tidy(path: &Path) -> PathBuf {
    let tidy: PathBuf = path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
    if tidy.as_os_str().is_empty() { PathBuf::from(".") } else { tidy }
}

fn address(text: &str) -> Result<SocketAddr, (String, String)> {
    let text = text.strip_prefix("localhost:").map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| {
        let remedy = "write an IP address and a port: 127.0.0.1:8700, or 0.0.0.0:8700 for all interfaces";
        (format!("\"{text}\" is not an address to listen on"), remedy.to_owned())
    })
}

fn public_url(text: &str) -> Result<Url, (String, String)> {
    let wrong = |what: &str| {
        let remedy = "write the address at which a browser reaches this node: https://anomd.example.com";
        (format!("\"{text}\" {what}"), remedy.to_owned())
    };
    let url = Url::parse(text).map_err(|_| wrong("is not an address"))?;
    match url {
        _ if !matches!(url.scheme(), "http" | "https") => Err(wrong("is not an http or https address")),
        _ if url.query().is_some() || url.fragment().is_some() => {
            Err(wrong("has a ? or a #, behind which no path fits"))
        }
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err(wrong("has a login, which every reader of a message would see"))
        }
        url => Ok(url),
    }
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

fn tenant(called: &str, section: Section<'_>, environment: &Environment) -> Tenant {
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
    // The environment is the operator's, who is the tenant `default`.
    let environment = (called == DEFAULT_TENANT).then_some(environment);
    let routing = section.optional("alerting").map(|alerting| routing(alerting, environment)).unwrap_or_default();
    let policy = as_written::<TenantPolicy>(&section, "policy", TenantPolicy::checked);
    let quotas = as_written::<Quotas>(&section, "quotas", Ok);
    let variables = section.section("variables");
    let text = |(name, value): (&str, _)| Some((name.to_owned(), variables.member_text(name, value)?.to_owned()));
    let variables = variables.members().filter_map(text).collect();
    section.finish();
    Tenant { secrets, grants, approved: BTreeMap::new(), policy, quotas, variables, routing }
}

/// A mapping whose keys are those of a type, as the API takes it too.
fn as_written<T: Default + DeserializeOwned>(
    section: &Section<'_>,
    key: &'static str,
    check: fn(T) -> Result<T, String>,
) -> T {
    let written = Value::Object(section.object(key));
    match serde_json::from_value(written).map_err(|e| e.to_string()).and_then(check) {
        Ok(value) => value,
        Err(why) => {
            section.fault(key, why, "docs/tenants.md lists what may stand here");
            T::default()
        }
    }
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

pub(super) fn recipient(text: &str) -> Result<String, (String, String)> {
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
            let near = nearest(name, names.keys().map(String::as_str));
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
            let remedy = "write a whole number above 0, in the unit of the name";
            section.fault(name, format!("{value} cannot be this limit"), remedy);
        }
    }
    serde_json::from_value(Value::Object(written)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Result<Node, Problems> {
        let environment = Environment::from([("SMTP_PASSWORD", "hunter2")]);
        read(Document::parse(Path::new("etc/anomd.yaml"), text)?, Path::new("etc"), &environment)
    }

    fn faults(text: &str) -> String {
        node(text).unwrap_err().to_string().replace("etc/anomd.yaml:", "")
    }

    #[test]
    fn an_empty_file_is_a_whole_node() {
        let node = node("").unwrap();
        assert_eq!(node.listen.to_string(), "127.0.0.1:8700");
        assert_eq!((node.data, node.batches, node.plugins), ("etc/data".into(), "etc/batches".into(), None));
        assert!(node.mail.is_none());
        assert_eq!(node.tenants.keys().collect::<Vec<_>>(), ["default"]);
        assert_eq!(node.limits, Limits::default());
    }

    #[test]
    fn every_key_is_taken_and_paths_are_relative_to_the_file() {
        let node = node(
            "listen: localhost:9000\ndata: /var/lib/anomd\nbatches: ../batches\nplugins: ./plugins\n\
             smtp: {host: mail.example.com, security: TLS, username: anomd, password: \"${SMTP_PASSWORD}\",\n  \
                    from: anomd@example.com, ca_file: ca.pem}\n\
             tenants:\n  shop:\n    secrets:\n      token: {value: abc, origins: [https://hooks.slack.com/]}\n    \
             grants:\n      slack:\n        origins: https://*.slack.com\n        \
             networks: [10.1.0.0/16, 10.2.0.1]\n        recipients: ['*@example.com', ops@example.org]\n\
             limits: {run_attempts: 5, http_total_ms: 1000}\n",
        )
        .unwrap();
        assert_eq!(node.listen.to_string(), "127.0.0.1:9000");
        assert_eq!(node.data, Path::new("/var/lib/anomd"));
        assert_eq!(node.batches, Path::new("etc/../batches"));
        assert_eq!(node.plugins.as_deref(), Some(Path::new("etc/plugins")));
        let mail = node.mail.unwrap();
        assert_eq!((mail.host.as_str(), mail.port, mail.security), ("mail.example.com", 465, MailSecurity::Tls));
        assert_eq!(
            mail.login.map(|(name, password)| (name, password.expose().to_owned())),
            Some(("anomd".into(), "hunter2".into()))
        );
        assert_eq!(mail.ca_file.as_deref(), Some(Path::new("etc/ca.pem")));
        let shop = &node.tenants["shop"];
        assert_eq!(shop.secrets["token"].1, ["https://hooks.slack.com"]);
        let slack = &shop.grants["slack"];
        assert_eq!(slack.origins, ["https://*.slack.com"]);
        assert_eq!(slack.networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.1.0.0/16", "10.2.0.1/32"]);
        assert_eq!(slack.recipients, ["*@example.com", "ops@example.org"]);
        assert!(node.tenants.contains_key(DEFAULT_TENANT));
        let limits = Limits { run_attempts: 5, http_total_ms: 1_000, ..Limits::default() };
        assert_eq!(node.limits, limits);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        assert_eq!(
            faults(
                "listen: 8700\nlimit: {}\nsmtp: {host: h, username: u, port: 0}\n\
                 limits: {run_attemps: 1, kv_bytes: -1, warm_calls: 0}\n"
            ),
            "1:1: listen (/listen): is a number and not a text; put a text in quotes\n\
             2:1: limit (/limit): is not a key; did you mean limits?\n\
             3:1: from (/smtp/from): is missing; write from: anomd@example.com\n\
             3:1: password (/smtp/password): is missing; set it beside username, or remove username\n\
             3:30: port (/smtp/port): 0 is out of range; write a whole number from 1 to 65535\n\
             4:10: run_attemps (/limits/run_attemps): is not a limit; did you mean run_attempts?\n\
             4:26: kv_bytes (/limits/kv_bytes): -1 cannot be this limit; \
             write a whole number above 0, in the unit of the name\n\
             4:40: warm_calls (/limits/warm_calls): 0 cannot be this limit; \
             write a whole number above 0, in the unit of the name"
        );
    }

    #[test]
    fn a_public_address_is_one_that_links_can_begin_with() {
        let url = node("public_url: https://mon.example.com/anomd").unwrap().public_url.unwrap();
        assert_eq!(url.as_str(), "https://mon.example.com/anomd");
        assert!(node("").unwrap().public_url.is_none());
        let fault = |url: &str| faults(&format!("public_url: '{url}'"));
        assert!(fault("mon.example.com").contains("write the address at which a browser reaches this node"));
        assert!(fault("ftp://mon.example.com").contains("is not an http or https address"));
        assert!(fault("https://a:b@mon.example.com").contains("has a login"));
        assert!(fault("https://mon.example.com/?x").contains("no path fits"));
    }

    #[test]
    fn grants_that_reach_too_far_are_refused() {
        let grant =
            |key: &str, value: &str| faults(&format!("tenants: {{t: {{grants: {{p: {{{key}: ['{value}']}}}}}}}}"));
        assert!(grant("networks", "0.0.0.0/0").contains("reaches into 169.254.0.0/16, where clouds keep credentials"));
        assert!(grant("networks", "169.254.169.254").contains("reaches into 169.254.0.0/16"));
        assert!(grant("networks", "fe80::/64").contains("reaches into fe80::/10"));
        assert!(grant("networks", "intranet").contains("is not a network; write it as 10.0.0.0/8"));
        assert!(
            grant("origins", "https://hooks.slack.com/services")
                .contains("more than an origin; write https://hooks.slack.com")
        );
        assert!(grant("origins", "https://*").contains("too wide"));
        assert!(grant("origins", "https://*.com").contains("too wide"));
        assert!(grant("origins", "ftp://example.com").contains("not an http or https origin"));
        assert!(grant("recipients", "*@*").contains("is not a mail address"));
        assert!(faults("tenants: {t: {secrets: {s: {value: v}}}}").contains("list where it may be sent to"));
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anomd.yaml");
        let fault = load_node(Some(&path), &Environment::default()).unwrap_err().to_string();
        assert!(fault.contains("cannot be read") && fault.ends_with("create it, or name another one"), "{fault}");
        std::fs::write(&path, "data: store").unwrap();
        let node = load_node(Some(&path), &Environment::default()).unwrap();
        assert_eq!(node.data, folder.path().join("store"));
    }
}
