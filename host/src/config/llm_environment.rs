//! The environment variables that language models are reached with.
//!
//! They fill in what `llmalert_params` leaves open. The key is the tenant `default`'s
//! secret, and is only ever sent to the server that the environment names: a batch that
//! names another one does not get it.

use serde_json::{Map, Value};

use super::environment::Environment;
use super::grant::origin_of;
use super::prometheus::fill_open;
use super::section::split_list;
use super::{Secret, Tenant};

/// The component that they are for.
pub(super) const PLUGIN: &str = "llm";

/// The slot of the key.
const SLOT: &str = "openai_api_key";

const OPENAI: &str = "https://api.openai.com/v1";
const OPENROUTER: &str = "https://openrouter.ai/api/v1";

/// The server that the environment names; `None`: the component's own default.
fn server(environment: &Environment) -> Option<&str> {
    let platform = environment.get("ANOMSTACK_LLM_PLATFORM").unwrap_or_default();
    match platform.eq_ignore_ascii_case("openrouter") {
        true => Some(environment.get("OPENROUTER_BASE_URL").unwrap_or(OPENROUTER)),
        false => environment.get("OPENAI_BASE_URL"),
    }
}

/// Fills in `url` and `models`.
pub(super) fn fill(config: &mut Map<String, Value>, environment: &Environment) {
    fill_open(config, "url", || server(environment).map(Value::from));
    let random = config.get("model").is_some_and(|model| model == "random");
    fill_open(config, "models", || {
        environment.get("ANOMSTACK_LLMALERT_MODELS").filter(|_| random).map(|list| split_list(list).into())
    });
}

/// Adds the key to a tenant's secrets, unless it has one.
pub(super) fn fill_tenant(tenant: &mut Tenant, environment: &Environment) {
    let Some(key) = environment.get("OPENAI_API_KEY") else { return };
    let origins = origin_of(server(environment).unwrap_or(OPENAI));
    tenant.secrets.entry(SLOT.to_owned()).or_insert_with(|| (Secret::new(key), origins.into_iter().collect()));
}
