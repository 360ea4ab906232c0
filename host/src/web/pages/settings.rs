//! The settings of a tenant: its tokens, variables and secrets; its quotas, what is used of
//! them, and what it may grant itself. A token is shown once, a secret never.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::Pages;
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use super::moment::filters;
use crate::config::TenantPolicy;
use crate::desk::instant;
use crate::desk::tenants::{
    Scope, SecretDelete, SecretQuery, SecretSet, SecretView, TenantShow, TokenCreate, TokenCreated, TokenQuery,
    TokenRevoke, TokenView, VariableDelete, VariableQuery, VariableSet, VariableView,
};
use crate::node::UsageView;
use crate::series::Millis;
use crate::web::api::auth::{Principal, Visitor};
use crate::web::api::{Api, Endpoint, Problem};

const DAY: Millis = 86_400_000;

pub(super) fn register(pages: &mut Pages) {
    pages.add("/settings", Scope::Read, get(show));
    pages.add("/settings/tokens", Scope::Admin, post(make_token));
    pages.add("/settings/tokens/{id}/revoke", Scope::Admin, post(revoke_token));
    pages.add("/settings/variables", Scope::Admin, post(set_variable));
    pages.add("/settings/variables/{id}/delete", Scope::Admin, post(delete_variable));
    pages.add("/settings/secrets", Scope::Admin, post(set_secret));
    pages.add("/settings/secrets/{id}/delete", Scope::Admin, post(delete_secret));
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    frame: Frame,
    /// Whether the visitor may change anything.
    admin: bool,
    operator: bool,
    /// Whether anybody may act who sits at this machine.
    unshared: bool,
    made: Option<TokenCreated>,
    refused: Option<String>,
    tokens: Vec<TokenRow>,
    variables: Vec<VariableView>,
    secrets: Vec<SecretView>,
    usage: Vec<UsageRow>,
    policy: TenantPolicy,
}

struct TokenRow {
    id: String,
    name: String,
    scope: Scope,
    created: String,
    expires: Option<String>,
    /// Whether the visitor is signed in with it.
    own: bool,
}

struct UsageRow {
    name: &'static str,
    used: String,
    most: Option<String>,
    /// Used and most, for a meter.
    share: Option<(u64, u64)>,
}

impl TokenRow {
    fn of(token: TokenView, visitor: &Visitor) -> Self {
        let own = matches!(&visitor.principal, Principal::Token(holder) if holder.id == token.id);
        Self {
            own,
            created: instant::text(token.created),
            expires: token.expires.map(instant::text),
            id: token.id,
            name: token.name,
            scope: token.scope,
        }
    }
}

/// A number in groups of three digits.
fn plain(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            // Narrow, and does not break.
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes, as people say them.
fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1_024.0 {
            return if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1_024.0;
    }
    format!("{value:.1} TiB")
}

fn milliseconds(number: u64) -> String {
    format!("{:.1} s", number as f64 / 1_000.0)
}

fn usage_rows(usage: &UsageView) -> Vec<UsageRow> {
    let row = |name, used: u64, most: Option<u64>, text: fn(u64) -> String| UsageRow {
        name,
        used: text(used),
        most: most.map(text),
        share: most.filter(|most| *most > 0).map(|most| (used.min(most), most)),
    };
    let quotas = &usage.quotas;
    vec![
        row("Batches", usage.batches, quotas.batches, plain),
        row("Series", usage.series, quotas.series, plain),
        row("Samples today", usage.samples_today, quotas.samples_per_day, plain),
        row("Store", usage.store_bytes, quotas.store_bytes, bytes),
        row("Kept by plugins", usage.kv_bytes, quotas.kv_bytes, bytes),
        row("Memory of plugins", usage.memory_bytes, quotas.memory_bytes, bytes),
        row("CPU of plugins in a minute", usage.cpu_ms_lately, quotas.cpu_ms_per_minute, milliseconds),
        row("Runs under way", usage.runs, quotas.runs_at_once, plain),
    ]
}

impl Settings {
    async fn of(api: &Api, visitor: &Visitor) -> Result<Self, ProblemPage> {
        let wrong = |problem| ProblemPage::of(Some(visitor), problem);
        let tenant = &visitor.tenant;
        let admin = visitor.may(Scope::Admin);
        let limit = Some(api.node.config.limits.api_page_items);
        let (mut tokens, mut secrets) = (Vec::new(), Vec::new());
        if admin {
            let listed = api.ask(tenant, TokenQuery { limit, ..TokenQuery::default() }).await.map_err(wrong)?;
            tokens = listed.items.into_iter().map(|token| TokenRow::of(token, visitor)).collect();
            secrets = api.ask(tenant, SecretQuery { limit, ..SecretQuery::default() }).await.map_err(wrong)?.items;
        }
        let variables = api.ask(tenant, VariableQuery { limit, ..VariableQuery::default() }).await.map_err(wrong)?;
        let usage = api.usage(tenant).await.map_err(wrong)?;
        let shown = api.ask(tenant, TenantShow {}).await.map_err(wrong)?;
        Ok(Self {
            frame: Frame::new(visitor, Part::Settings, "Settings"),
            admin,
            operator: visitor.operator,
            unshared: !api.node.is_shared(),
            made: None,
            refused: None,
            tokens,
            variables: variables.items,
            secrets,
            usage: usage_rows(&usage),
            policy: shown.policy,
        })
    }
}

async fn show(State(api): State<Api>, Extension(visitor): Extension<Visitor>) -> Result<Response, ProblemPage> {
    Ok(page(&Settings::of(&api, &visitor).await?))
}

/// The settings, with what is in the way of a change.
async fn refused(api: &Api, visitor: &Visitor, problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match Settings::of(api, visitor).await {
        Ok(settings) => {
            let mut response = page(&Settings { refused: Some(problem.detail), ..settings });
            *response.status_mut() = status;
            response
        }
        Err(page) => page.into_response(),
    }
}

/// Changes something, and leads back to the settings.
async fn change<R: Endpoint>(api: &Api, visitor: &Visitor, request: R) -> Response {
    match api.change(&visitor.tenant, request).await {
        Ok(_) => Redirect::to(&format!("/t/{}/settings", encoded(&visitor.tenant))).into_response(),
        Err(problem) => refused(api, visitor, problem).await,
    }
}

fn unread(rejection: &FormRejection) -> Problem {
    Problem::new(rejection.status(), rejection.body_text())
}

#[derive(Deserialize)]
struct TokenForm {
    name: String,
    scope: Scope,
    /// Days until it expires; 0: never.
    days: u16,
}

async fn make_token(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Response {
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return refused(&api, &visitor, unread(&rejection)).await,
    };
    let expires = (form.days > 0).then(|| api.node.clock.now() + Millis::from(form.days) * DAY);
    let request = TokenCreate { name: form.name, scope: form.scope, expires };
    // Not led elsewhere: this answer is the only place where the token ever stands.
    match api.change(&visitor.tenant, request).await {
        Ok(made) => match Settings::of(&api, &visitor).await {
            Ok(settings) => page(&Settings { made: Some(made), ..settings }),
            Err(page) => page.into_response(),
        },
        Err(problem) => refused(&api, &visitor, problem).await,
    }
}

async fn revoke_token(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    change(&api, &visitor, TokenRevoke { id }).await
}

#[derive(Deserialize)]
struct VariableForm {
    name: String,
    value: String,
}

async fn set_variable(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<VariableForm>, FormRejection>,
) -> Response {
    match form {
        Ok(Form(form)) => {
            change(&api, &visitor, VariableSet { id: form.name.trim().to_owned(), value: form.value }).await
        }
        Err(rejection) => refused(&api, &visitor, unread(&rejection)).await,
    }
}

async fn delete_variable(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    change(&api, &visitor, VariableDelete { id }).await
}

#[derive(Deserialize)]
struct SecretForm {
    slot: String,
    value: String,
    /// Between blanks or commas.
    origins: String,
}

async fn set_secret(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<SecretForm>, FormRejection>,
) -> Response {
    match form {
        Ok(Form(form)) => {
            let parts = form.origins.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty());
            let origins = parts.map(str::to_owned).collect();
            change(&api, &visitor, SecretSet { id: form.slot.trim().to_owned(), value: form.value, origins }).await
        }
        Err(rejection) => refused(&api, &visitor, unread(&rejection)).await,
    }
}

async fn delete_secret(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    change(&api, &visitor, SecretDelete { id }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_unit_that_people_read() {
        assert_eq!([0, 1_023, 1_024, 5 << 30, 3 << 40].map(bytes), ["0 B", "1023 B", "1.0 KiB", "5.0 GiB", "3.0 TiB"]);
    }
}
