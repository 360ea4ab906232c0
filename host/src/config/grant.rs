//! What a plugin of a batch may reach, and which secrets it may send where.
//!
//! Grants come from `anomd.yaml`. For the tenant `default`, whose operator is the person
//! at the keyboard, what a batch's own configuration names is granted too, private
//! addresses included; link-local and metadata addresses never are, whoever asks. For
//! another tenant it is granted as far as the tenant's policy reaches.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde_json::Value;
use url::Url;

use super::pointer;
use super::{Batch, BatchSecrets, Grants, Node, Receiver, Secret};

/// The tenant that is there when none is configured.
pub const DEFAULT_TENANT: &str = "default";

/// Where the tenant `default` may connect to beside the public internet: loopback, private
/// and shared ranges.
const PRIVATE: [&str; 7] =
    ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];

/// Where nobody may connect to: link-local ranges, in which clouds keep credentials.
const LINK_LOCAL: [&str; 2] = ["169.254.0.0/16", "fe80::/10"];

/// What a plugin says of itself that its grants depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes<'a> {
    /// The origins that it would like to reach. Pass those of plugins that the operator
    /// trusts as much as anomd itself, the bundled ones, and none of others: in the tenant
    /// `default` they are granted.
    pub origins: &'a [String],
    /// The names of its secret slots.
    pub slots: &'a [String],
}

/// Secrets by slot, each with the origins that it may be sent to.
pub type SlotSecrets = BTreeMap<String, (Secret, Vec<String>)>;

impl Batch {
    /// What a use of a plugin in this batch may reach, and the secrets that it may send.
    ///
    /// A slot takes the batch's secret, or else the tenant's of the same name. A secret of
    /// the batch may go to the origins that `config` names, to those wished, and, where it
    /// is a URL itself, to its own; one of the tenant to those listed with it.
    pub fn grants_for(&self, plugin: &str, config: &Value, wishes: Wishes<'_>, node: &Node) -> (Grants, SlotSecrets) {
        grants(node, &self.key.tenant, &self.secrets, plugin, config, wishes)
    }
}

impl Node {
    /// What a notifier of a receiver of a tenant's routes may reach, and the secrets that it
    /// may send: as [`Batch::grants_for`], with the receiver's secrets in place of a batch's.
    pub fn grants_for(
        &self,
        tenant: &str,
        receiver: &Receiver,
        plugin: &str,
        config: &Value,
        wishes: Wishes<'_>,
    ) -> (Grants, SlotSecrets) {
        grants(self, tenant, &receiver.secrets, plugin, config, wishes)
    }
}

impl Node {
    /// What fetching from a URL on behalf of a tenant may reach: as if a batch of it named the
    /// URL in the parameters of a plugin.
    pub fn grants_to_fetch(&self, tenant: &str, plugin: &str, url: &str) -> Grants {
        let named = Value::String(url.to_owned());
        grants(self, tenant, &BatchSecrets::default(), plugin, &named, Wishes::default()).0
    }
}

fn grants(
    node: &Node,
    called: &str,
    secrets: &BatchSecrets,
    plugin: &str,
    config: &Value,
    wishes: Wishes<'_>,
) -> (Grants, SlotSecrets) {
    let tenant = node.tenants.get(called);
    let mut grants = tenant.and_then(|tenant| tenant.grants.get(plugin)).cloned().unwrap_or_default();
    let approved = tenant.and_then(|tenant| tenant.approved.get(plugin)).cloned().unwrap_or_default();
    let mut named: Vec<_> = urls(config).into_iter().filter_map(|(_, url)| origin_of(url.as_str())).collect();
    named.extend(wishes.origins.iter().filter_map(|wish| parse_origin(wish).ok()));

    let mut sent = SlotSecrets::new();
    let mut own = Vec::new();
    for slot in wishes.slots {
        if let Some(secret) = secrets.get(plugin, slot) {
            let itself = origin_of(secret.expose());
            own.extend(itself.clone());
            let origins = unique(named.iter().cloned().chain(itself));
            sent.insert(slot.clone(), (secret.clone(), origins));
        } else if let Some(listed) = tenant.and_then(|tenant| tenant.secrets.get(slot)) {
            sent.insert(slot.clone(), listed.clone());
        }
    }
    if called == DEFAULT_TENANT {
        grants.origins = unique(grants.origins.into_iter().chain(approved).chain(named).chain(own));
        grants.networks.extend(PRIVATE.iter().filter_map(|network| network.parse::<IpNet>().ok()));
        grants.recipients = unique(grants.recipients.into_iter().chain(recipients(config)));
    } else if let Some(policy) = tenant.map(|tenant| &tenant.policy) {
        let listed = sent.values().flat_map(|(_, origins)| origins.iter().cloned());
        // What was approved of is held to the policy as it is now.
        let wanted = approved.into_iter().chain(named).chain(own).chain(listed);
        let allowed = wanted.filter(|origin| policy.allows_origin(origin));
        grants.origins = unique(grants.origins.into_iter().chain(allowed));
        grants.networks.extend(policy.networks.iter().copied());
        let told = recipients(config).into_iter().filter(|address| policy.allows_recipient(address));
        grants.recipients = unique(grants.recipients.into_iter().chain(told));
    }
    (grants, sent)
}

/// The origins that a configuration names, sorted.
pub fn named_origins(config: &Value) -> Vec<String> {
    unique(urls(config).into_iter().filter_map(|(_, url)| origin_of(url.as_str())))
}

/// The `http` and `https` URLs in a configuration, each with its pointer.
pub(super) fn urls(config: &Value) -> Vec<(String, Url)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), config)];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::String(text) => found.extend(http_url(text).map(|url| (at, url))),
            Value::Array(items) => open.extend(items.iter().enumerate().map(|(i, item)| (format!("{at}/{i}"), item))),
            Value::Object(members) => {
                open.extend(members.iter().map(|(name, value)| (pointer::child(&at, name), value)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    found.sort();
    found
}

fn http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// The origin of a URL, `http://localhost:9090` say; `None` if it is no `http` or `https` URL.
pub(super) fn origin_of(url: &str) -> Option<String> {
    http_url(url).map(|url| url.origin().ascii_serialization())
}

/// An origin as it is granted: scheme, host or `*.` and a domain, and a port. The error says
/// what is wrong, and what to do.
pub fn parse_origin(text: &str) -> Result<String, (String, String)> {
    let remedy = || "write scheme, host and port only: https://hooks.slack.com, https://*.slack.com".to_owned();
    let Some(url) = http_url(text) else {
        return Err((format!("\"{text}\" is not an http or https origin"), remedy()));
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err((
            format!("\"{text}\" is more than an origin"),
            format!("write {}", url.origin().ascii_serialization()),
        ));
    }
    let host = url.host_str().unwrap_or_default();
    let fixed = host.strip_prefix("*.").unwrap_or(host);
    if fixed.contains('*') || (fixed.len() < host.len() && !fixed.contains('.')) {
        return Err((format!("\"{text}\" is too wide"), remedy()));
    }
    Ok(url.origin().ascii_serialization())
}

/// A network that may be granted.
pub(super) fn parse_network(text: &str) -> Result<IpNet, (String, String)> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    let Ok(network) = network else {
        return Err((format!("\"{text}\" is not a network"), "write it as 10.0.0.0/8".to_owned()));
    };
    let forbidden = LINK_LOCAL.iter().filter_map(|range| range.parse::<IpNet>().ok());
    for range in forbidden {
        if range.contains(&network) || network.contains(&range) {
            return Err((
                format!("{network} reaches into {range}, where clouds keep credentials"),
                "grant the networks that are needed, without link-local addresses".to_owned(),
            ));
        }
    }
    Ok(network)
}

fn recipients(config: &Value) -> Vec<String> {
    match config.get("to") {
        Some(Value::String(to)) => super::section::split_list(to),
        Some(Value::Array(to)) => to.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn unique(items: impl Iterator<Item = String>) -> Vec<String> {
    items.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Environment, Tenant, TenantPolicy, load_batch_text, load_node};
    use super::*;

    fn batch(text: &str) -> Batch {
        let text = format!("metric_batch: b\ningest_fn: prometheus\n{text}");
        load_batch_text("b.yaml".as_ref(), &text, &Environment::default()).unwrap()
    }

    fn node() -> Node {
        load_node(None, &Environment::default()).unwrap()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_tenant_gets_what_its_batch_names_and_private_addresses() {
        let batch = batch("");
        let config = json!({
            "url": "http://localhost:9090/prometheus",
            "other": ["https://example.com:443/x"],
            "to": ["ops@example.com"],
            "text": "see https://not.example.com", "file": "file:///etc/passwd",
        });
        let (grants, secrets) = batch.grants_for("prometheus", &config, Wishes::default(), &node());
        assert_eq!(grants.origins, ["http://localhost:9090", "https://example.com"]);
        assert_eq!(grants.recipients, ["ops@example.com"]);
        assert!(secrets.is_empty());
        let may_connect = |address: &str| {
            let address: std::net::IpAddr = address.parse().unwrap();
            grants.networks.iter().any(|network| network.contains(&address))
        };
        for address in ["127.0.0.1", "::1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"] {
            assert!(may_connect(address), "{address}");
        }
        for address in ["169.254.169.254", "fe80::1", "172.32.0.1", "8.8.8.8", "0.0.0.0"] {
            assert!(!may_connect(address), "{address}");
        }
    }

    #[test]
    fn another_tenant_gets_what_the_operator_grants_and_no_more() {
        let mut batch = batch("secrets: {token: t}");
        batch.key.tenant = "shop".to_owned();
        let mut node = node();
        let granted = Grants { origins: texts(&["https://metrics.example.com"]), ..Grants::default() };
        let tenant = Tenant { grants: [("prometheus".to_owned(), granted.clone())].into(), ..Tenant::default() };
        node.tenants.insert("shop".to_owned(), tenant);
        let config = json!({"url": "http://169.254.169.254/", "to": "root@example.com"});
        let wishes = Wishes { origins: &texts(&["https://slack.com"]), slots: &texts(&["token"]) };
        assert_eq!(batch.grants_for("prometheus", &config, wishes, &node).0, granted);
        assert_eq!(batch.grants_for("slack", &config, wishes, &node).0, Grants::default());
    }

    #[test]
    fn another_tenant_grants_itself_what_its_policy_allows() {
        let mut batch = batch("");
        batch.key.tenant = "shop".to_owned();
        let mut node = node();
        let policy = TenantPolicy {
            origins: texts(&["https://*.example.com", "http://10.1.2.3:9090"]),
            networks: vec!["10.1.0.0/16".parse().unwrap()],
            recipients: texts(&["*@example.com"]),
            ..TenantPolicy::default()
        };
        let listed = (Secret::new("t"), texts(&["https://hooks.example.com", "https://elsewhere.org"]));
        let tenant = Tenant { policy, secrets: [("token".to_owned(), listed)].into(), ..Tenant::default() };
        node.tenants.insert("shop".to_owned(), tenant);
        let config = json!({
            "url": "http://10.1.2.3:9090/x", "others": ["https://a.example.com", "https://evil.org"],
            "to": "ops@example.com, x@evil.org",
        });
        let wishes = Wishes { origins: &[], slots: &texts(&["token"]) };
        let (grants, _) = batch.grants_for("prometheus", &config, wishes, &node);
        let allowed = ["http://10.1.2.3:9090", "https://a.example.com", "https://hooks.example.com"];
        assert_eq!(grants.origins, allowed);
        assert_eq!(grants.recipients, ["ops@example.com"]);
        assert_eq!(grants.networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.1.0.0/16"]);
    }

    #[test]
    fn a_secret_goes_to_its_own_plugin_and_where_it_belongs() {
        let batch =
            batch("secrets: {token: shared, slack: {token: xoxb, webhook: 'https://hooks.slack.com/services/T/B'}}");
        let mut node = node();
        let listed = (Secret::new("tenant's"), texts(&["https://a.example.com"]));
        if let Some(tenant) = node.tenants.get_mut(DEFAULT_TENANT) {
            tenant.secrets = [("token".to_owned(), listed.clone()), ("other".to_owned(), listed)].into();
        }
        let told = |plugin: &str, config: Value, wishes| {
            let (grants, secrets) = batch.grants_for(plugin, &config, wishes, &node);
            let secrets: Vec<_> = secrets
                .into_iter()
                .map(|(slot, (secret, origins))| (slot, secret.expose().to_owned(), origins))
                .collect();
            (grants.origins, secrets)
        };
        let of_slack = Wishes {
            origins: &texts(&["https://slack.com", "{{config.url}}", "https://slack.com/api"]),
            slots: &texts(&["token", "webhook"]),
        };
        let (origins, secrets) = told("slack", json!({}), of_slack);
        assert_eq!(origins, ["https://hooks.slack.com", "https://slack.com"]);
        let both = texts(&["https://hooks.slack.com", "https://slack.com"]);
        let expected = [
            ("token".to_owned(), "xoxb".to_owned(), texts(&["https://slack.com"])),
            ("webhook".to_owned(), "https://hooks.slack.com/services/T/B".to_owned(), both),
        ];
        assert_eq!(secrets, expected);

        // A plugin without such a slot gets nothing; one with it the shared secret, for its own server.
        let url = json!({"url": "http://localhost:9090"});
        assert_eq!(told("prometheus", url.clone(), Wishes::default()).1, []);
        let slots = texts(&["token", "other"]);
        let (_, secrets) = told("prometheus", url, Wishes { slots: &slots, origins: &[] });
        let expected = [
            ("other".to_owned(), "tenant's".to_owned(), texts(&["https://a.example.com"])),
            ("token".to_owned(), "shared".to_owned(), texts(&["http://localhost:9090"])),
        ];
        assert_eq!(secrets, expected);
    }
}
