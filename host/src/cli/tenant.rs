//! `anomd tenant`: who is hosted here, and what they may do.

use std::io::Read as _;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::door::Door;
use super::output::{self, When};
use super::{CliError, Global, open};
use crate::config::{DEFAULT_TENANT, Environment, Quotas, TenantPolicy};
use crate::desk::instant;
use crate::desk::tenants::{
    PolicySet, QuotaSet, Scope, SecretDelete, SecretQuery, SecretSet, TenantCreate, TenantQuery, TenantShow,
    TenantView, TokenCreate, TokenQuery, TokenRevoke, VariableDelete, VariableQuery, VariableSet,
};
use crate::node::{self, UsageView};

#[derive(Args)]
pub(super) struct TenantArgs {
    #[command(subcommand)]
    command: TenantCommand,
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Makes a tenant. It may use the bundled plugins and reach nothing until a policy says so.
    Create {
        /// Its name.
        name: String,
    },
    /// Lists the tenants.
    List,
    /// Shows what a tenant may grant itself, or changes it.
    Policy(PolicyArgs),
    /// Lists the tokens of a tenant, makes one, or revokes one.
    Token(TokenArgs),
    /// Shows the quotas of a tenant and what it uses, or sets them: `series=5000`; `series=`
    /// leaves it to the node.
    Quota {
        /// The tenant.
        name: String,
        /// Quotas to set.
        #[arg(value_name = "QUOTA=NUMBER")]
        set: Vec<String>,
    },
    /// Lists the variables that the batches of a tenant may name, or declares them.
    Variable {
        /// The tenant.
        name: String,
        /// Variables to declare or change.
        #[arg(value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// A variable to take away.
        #[arg(long, value_name = "NAME", conflicts_with = "set")]
        remove: Option<String>,
    },
    /// Lists the secrets of a tenant, or sets one, whose value is read from standard input.
    Secret {
        /// The tenant.
        name: String,
        /// The slot, as plugins name it.
        slot: Option<String>,
        /// An origin that it may be sent to; may be repeated.
        #[arg(long, value_name = "ORIGIN", requires = "slot")]
        origin: Vec<String>,
        /// Takes it away.
        #[arg(long, requires = "slot", conflicts_with = "origin")]
        remove: bool,
    },
    /// Deletes a tenant with everything that it has.
    Delete {
        /// The tenant.
        name: String,
        /// Its name once more, so that no slip deletes another.
        #[arg(long, value_name = "NAME")]
        confirm: String,
    },
}

#[derive(Args)]
struct PolicyArgs {
    /// The tenant.
    name: String,
    /// A plugin that its batches may use, or a glob; may be repeated.
    #[arg(long, value_name = "NAME")]
    plugin: Vec<String>,
    /// An origin that its batches may name, `https://*.example.com`, or `*` for every public
    /// one; may be repeated.
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// A private network in which these may be; may be repeated.
    #[arg(long, value_name = "NETWORK")]
    network: Vec<IpNet>,
    /// A mail address that its batches may name, or `*@example.com`; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    recipient: Vec<String>,
    /// Replaces what there was, instead of adding to it.
    #[arg(long)]
    replace: bool,
}

#[derive(Args)]
struct TokenArgs {
    /// The tenant.
    tenant_name: String,
    /// What to call a new token; without it the tokens are listed.
    name: Option<String>,
    /// What the new token allows: read, operate, admin.
    #[arg(long, default_value = "read")]
    scope: Scope,
    /// When the new token expires: `in 90d`, or an instant.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_when, requires = "name")]
    expires: Option<When>,
    /// Revokes the token with this public part.
    #[arg(long, value_name = "ID", conflicts_with = "name")]
    revoke: Option<String>,
}

pub(super) async fn tenant(global: &Global, args: TenantArgs) -> Result<(), CliError> {
    match args.command {
        TenantCommand::Create { name } => create(global, name).await,
        TenantCommand::List => list(global).await,
        TenantCommand::Policy(args) => policy(global, args).await,
        TenantCommand::Token(args) => token(global, args).await,
        TenantCommand::Quota { name, set } => quota(global, &name, &set).await,
        TenantCommand::Variable { name, set, remove } => variable(global, &name, &set, remove).await,
        TenantCommand::Secret { name, slot, origin, remove } => secret(global, &name, slot, origin, remove).await,
        TenantCommand::Delete { name, confirm } => delete(global, &name, &confirm).await,
    }
}

/// The store or the node; a store is begun where there is none, since a tenant may be made
/// before the first start.
fn door(global: &Global, tenant: &str) -> Result<Door, CliError> {
    let config = open::node_config(global, &Environment::of_process())?;
    std::fs::create_dir_all(&config.data)?;
    Door::open_for(global, tenant)
}

async fn create(global: &Global, name: String) -> Result<(), CliError> {
    let view = door(global, DEFAULT_TENANT)?.ask(&TenantCreate { name, ..TenantCreate::default() }).await?;
    if global.json {
        return output::json(&view);
    }
    let name = &view.name;
    output::line(format!(
        "made the tenant {name}. Next: `anomd tenant policy {name} --origin https://…` and `anomd tenant token {name} \
         ADMIN --scope admin`"
    ));
    Ok(())
}

async fn list(global: &Global) -> Result<(), CliError> {
    let tenants = door(global, DEFAULT_TENANT)?.all(TenantQuery::default(), usize::MAX).await?;
    if global.json {
        return output::json(&tenants);
    }
    let mut table = output::table(["tenant", "made", "tokens", "batches", "series", "origins"]);
    for TenantView { name, created, policy, tokens, batches, series, .. } in tenants {
        table.add_row([
            name,
            created.map_or("by anomd.yaml".to_owned(), instant::text),
            tokens.to_string(),
            batches.to_string(),
            series.to_string(),
            policy.origins.join(" "),
        ]);
    }
    output::line(table);
    Ok(())
}

async fn policy(global: &Global, args: PolicyArgs) -> Result<(), CliError> {
    let door = door(global, &args.name)?;
    let mut view = door.ask(&TenantShow {}).await?;
    let PolicyArgs { name: _, plugin, origin, network, recipient, replace } = args;
    if replace || !(plugin.is_empty() && origin.is_empty() && network.is_empty() && recipient.is_empty()) {
        let mut policy = if replace { TenantPolicy::default() } else { view.policy };
        if !plugin.is_empty() {
            policy.plugins.get_or_insert_default().extend(plugin);
        }
        policy.origins.extend(origin);
        policy.networks.extend(network);
        policy.recipients.extend(recipient);
        view = door.ask(&PolicySet(policy)).await?;
    }
    let TenantPolicy { plugins, origins, networks, recipients } = &view.policy;
    if global.json {
        return output::json(&view.policy);
    }
    let mut table = output::table(["what", "is allowed"]);
    table.add_row(["plugins", &plugins.as_ref().map_or("those that came with anomd".to_owned(), |all| all.join(" "))]);
    table.add_row(["origins", &origins.join(" ")]);
    table.add_row(["networks", &networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")]);
    table.add_row(["recipients", &recipients.join(" ")]);
    output::line(table);
    Ok(())
}

async fn token(global: &Global, args: TokenArgs) -> Result<(), CliError> {
    let TokenArgs { tenant_name, name, scope, expires, revoke } = args;
    let door = door(global, &tenant_name)?;
    if let Some(id) = revoke {
        let revoked = door.ask(&TokenRevoke { id }).await?;
        if global.json {
            return output::json(&revoked);
        }
        output::line(format!("revoked {} ({})", revoked.id, revoked.name));
        return Ok(());
    }
    if let Some(name) = name {
        let expires = expires.map(|expires| expires.at(output::now()));
        let created = door.ask(&TokenCreate { name, scope, expires }).await?;
        if global.json {
            return output::json(&created);
        }
        eprintln!("This token is shown now and never again; anomd keeps only a hash of it.");
        output::line(created.token);
        return Ok(());
    }
    let tokens = door.all(TokenQuery::default(), usize::MAX).await?;
    if global.json {
        return output::json(&tokens);
    }
    let mut table = output::table(["id", "name", "scope", "made", "expires"]);
    for token in tokens {
        let expires = token.expires.map_or("never".to_owned(), instant::text);
        table.add_row([token.id, token.name, token.scope.to_string(), instant::text(token.created), expires]);
    }
    output::line(table);
    Ok(())
}

async fn quota(global: &Global, name: &str, set: &[String]) -> Result<(), CliError> {
    let door = door(global, name)?;
    if !set.is_empty() {
        let mut quotas = door.ask(&TenantShow {}).await?.set_quotas;
        for text in set {
            let (quota, value) = pair(text)?;
            let number = |value: &str| {
                value.replace('_', "").parse().map_err(|_| CliError::Usage(format!("`{text}`: write a whole number")))
            };
            let value = if value.is_empty() { None } else { Some(number(value)?) };
            quotas.set(quota, value).map_err(CliError::Usage)?;
        }
        door.ask(&QuotaSet(quotas)).await?;
    }
    let view = door.ask(&TenantShow {}).await?;
    let usage: Option<UsageView> = match &door {
        Door::Node(client) => Some(client.get_as(&format!("tenants/{name}/usage")).await?),
        Door::Store { .. } => None,
    };
    if global.json {
        return match usage {
            Some(usage) => output::json(&usage),
            None => output::json(&view.quotas),
        };
    }
    let quotas = serde_json::to_value(view.quotas).unwrap_or_default();
    let used = |name: &str| {
        usage.as_ref().map(|usage| match name {
            "batches" => usage.batches,
            "series" => usage.series,
            "samples_per_day" => usage.samples_today,
            "store_bytes" => usage.store_bytes,
            "kv_bytes" => usage.kv_bytes,
            "memory_bytes" => usage.memory_bytes,
            "cpu_ms_per_minute" => usage.cpu_ms_lately,
            _ => usage.runs,
        })
    };
    let mut table = output::table(["quota", "may be", "is"]);
    for quota in Quotas::NAMES {
        let most = quotas.get(quota).and_then(serde_json::Value::as_u64);
        let most = most.map_or("as much as there is".to_owned(), |most| most.to_string());
        let is = used(quota).map_or("known to a running node".to_owned(), |used| used.to_string());
        table.add_row([quota, &most, &is]);
    }
    output::line(table);
    Ok(())
}

async fn variable(global: &Global, name: &str, set: &[String], remove: Option<String>) -> Result<(), CliError> {
    let door = door(global, name)?;
    for text in set {
        let (id, value) = pair(text)?;
        door.ask(&VariableSet { id: id.to_owned(), value: value.to_owned() }).await?;
    }
    if let Some(id) = remove {
        door.ask(&VariableDelete { id }).await?;
    }
    let variables = door.all(VariableQuery::default(), usize::MAX).await?;
    if global.json {
        return output::json(&variables);
    }
    let mut table = output::table(["variable", "value"]);
    for variable in variables {
        table.add_row([variable.name, variable.value]);
    }
    output::line(table);
    Ok(())
}

async fn secret(
    global: &Global,
    name: &str,
    slot: Option<String>,
    origins: Vec<String>,
    remove: bool,
) -> Result<(), CliError> {
    let door = door(global, name)?;
    match slot {
        Some(id) if remove => drop(door.ask(&SecretDelete { id }).await?),
        Some(id) => {
            let mut value = String::new();
            std::io::stdin().take(1 << 20).read_to_string(&mut value)?;
            let value = value.trim_end_matches(['\n', '\r']).to_owned();
            door.ask(&SecretSet { id, value, origins }).await?;
        }
        None => {}
    }
    let secrets = door.all(SecretQuery::default(), usize::MAX).await?;
    if global.json {
        return output::json(&secrets);
    }
    let mut table = output::table(["slot", "may be sent to"]);
    for secret in secrets {
        table.add_row([secret.slot, secret.origins.join(" ")]);
    }
    output::line(table);
    Ok(())
}

async fn delete(global: &Global, name: &str, confirm: &str) -> Result<(), CliError> {
    if name != confirm {
        let text =
            format!("`{confirm}` is not `{name}`: write the name twice, `--confirm {name}`. Nothing was deleted.");
        return Err(CliError::Usage(text));
    }
    match &door(global, name)? {
        Door::Node(client) => client.delete(&format!("tenants/{name}")).await?,
        Door::Store { store, config, .. } => {
            if name == DEFAULT_TENANT || config.tenants.contains_key(name) {
                let text = format!("the tenant {name} stands in anomd.yaml, or is the node's own, and stays");
                return Err(CliError::Usage(text));
            }
            if store.tenant::<serde::de::IgnoredAny>(name)?.is_none() {
                return Err(CliError::Usage(format!("there is no tenant `{name}`; `anomd tenant list` shows them")));
            }
            node::remove_folders(&config.data, name)?;
            store.delete_tenant(name)?;
        }
    }
    output::line(format!("deleted the tenant {name} with everything that it had"));
    Ok(())
}

fn pair(text: &str) -> Result<(&str, &str), CliError> {
    text.split_once('=').ok_or_else(|| CliError::Usage(format!("`{text}` is no NAME=VALUE")))
}
