//! The OpenAPI document, made of the routes as they are registered: nothing is described that
//! is not served, and nothing served that is not described.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Info, OpenApi, Paths, Ref, RefOr, Required, Schema};

use super::auth;
use super::endpoint::{Right, Verb};

/// The names of the ways to show who asks: a token, the session of a browser, and beside it, where
/// something is changed, what only the node's own pages know.
const TOKEN: &str = "token";
const SESSION: &str = "session";
const CSRF: &str = "csrf";
const PROBLEM: &str = "application/problem+json";
const JSON: &str = "application/json";

/// A route, as it is described.
pub(super) struct Described {
    pub verb: Verb,
    /// With its parameters in braces, whole: `/api/v1/tenants/{tenant}/alerts`.
    pub path: String,
    pub right: Right,
    pub summary: &'static str,
    /// Its query string: an object's properties.
    pub query: Option<RefOr<Schema>>,
    /// Its body: media type, and name of the schema; a plain text has none.
    pub body: Option<(&'static str, Option<String>)>,
    /// Its answer: status, media types (`text/csv, application/x-ndjson`), and name of the schema.
    pub reply: (u16, &'static str, Option<String>),
}

/// The document as it grows.
#[derive(Default)]
pub(super) struct Document {
    paths: Paths,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

impl Document {
    /// Enters a type with all that it is made of; gives its name.
    pub fn schema<T: ToSchema>(&mut self) -> String {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        self.schemas.extend(parts);
        let name = T::name().into_owned();
        self.schemas.insert(name.clone(), T::schema());
        name
    }

    /// Enters a route.
    pub fn add(&mut self, route: Described) {
        let Described { verb, path, right, summary, query, body, reply } = route;
        let mut operation =
            OperationBuilder::new().summary(Some(summary)).operation_id(Some(operation_id(verb, &path)));
        let named: Vec<String> =
            path.split('/').filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned())).collect();
        let mut parameters: Vec<Parameter> = named
            .iter()
            .map(|name| {
                let described = match name.as_str() {
                    "tenant" => "The tenant.",
                    _ => "What it is about: a name, or the beginning of an identity.",
                };
                let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
                let parameter = parameter.required(Required::True).description(Some(described));
                parameter.schema(Some(text())).build()
            })
            .collect();
        if let Some(RefOr::T(Schema::Object(object))) = query {
            let members = object.properties.into_iter().filter(|(name, _)| !named.contains(name));
            parameters.extend(members.map(|(name, schema)| {
                let required = if object.required.contains(&name) { Required::True } else { Required::False };
                let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
                parameter.required(required).schema(Some(schema)).build()
            }));
        }
        let bodied = body.is_some();
        operation = operation.parameters(Some(parameters)).request_body(body.map(|(kind, schema)| {
            // A text can be empty, which is the same as none.
            let required = if schema.is_some() { Required::True } else { Required::False };
            RequestBodyBuilder::new().required(Some(required)).content(kind, content(schema)).build()
        }));
        let (status, kind, schema) = reply;
        operation = operation.response(status.to_string(), response("done", kind, schema));
        for (status, meaning) in errors(&path, right, !named.is_empty(), bodied, verb) {
            let problem = response(meaning, PROBLEM, Some("Problem".to_owned()));
            operation = operation.response(status.to_string(), problem);
        }
        let scopes = match right {
            Right::Open => None,
            Right::Tenant(scope) => Some(scope.name()),
            Right::Operator => Some("operator"),
            Right::Node => Some("node"),
        };
        let ways = |scope| {
            let session = SecurityRequirement::new(SESSION, [scope]);
            let session = if verb == Verb::Get { session } else { session.add(CSRF, [scope]) };
            [SecurityRequirement::new(TOKEN, [scope]), session]
        };
        operation = operation.securities(Some(scopes.map(ways).into_iter().flatten().collect::<Vec<_>>()));
        let method = match verb {
            Verb::Get => HttpMethod::Get,
            Verb::Post => HttpMethod::Post,
            Verb::Put => HttpMethod::Put,
            Verb::Delete => HttpMethod::Delete,
        };
        self.paths.add_path_operation(path, vec![method], operation.build());
    }

    /// The document, as JSON.
    pub fn json(mut self) -> String {
        self.schema::<super::Problem>();
        let mut info = Info::new("anomd", env!("CARGO_PKG_VERSION"));
        info.description = Some(
            "Anomaly detection for metrics. A token is shown as `Authorization: Bearer`; one of a tenant reaches that \
             tenant alone. A browser that signed in shows its session instead, and what changes something the token \
             of its pages as well. The scopes read, operate and admin include those before them. Lists come in pages: pass \
             `next` of an answer as `cursor` of the next request. Errors are problems of RFC 9457."
                .to_owned(),
        );
        let mut api = OpenApi::new(info, self.paths);
        let mut components = utoipa::openapi::Components::new();
        components.schemas.extend(self.schemas);
        components.add_security_scheme(TOKEN, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let cookie = "What `POST /sign-in` sets for a token. Over TLS its name is `__Host-anomd-session`.";
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description(auth::COOKIE, cookie));
        components.add_security_scheme(SESSION, SecurityScheme::ApiKey(cookie));
        let header = "What the pages of the session carry as `anomd-csrf`. The request comes from one of them, as its \
                      `Sec-Fetch-Site` or `Origin` says.";
        let header = ApiKey::Header(ApiKeyValue::with_description(auth::CSRF_HEADER, header));
        components.add_security_scheme(CSRF, SecurityScheme::ApiKey(header));
        api.components = Some(components);
        let mut json = serde_json::to_value(&api).unwrap_or_default();
        widen(&mut json);
        json.to_string()
    }
}

/// Numbers that are never negative go up to 2⁶⁴, and not to the half of it that `int64` says.
fn widen(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Object(object) => {
            if object.get("format").is_some_and(|format| format == "int64") && object.contains_key("minimum") {
                object.insert("format".to_owned(), "uint64".into());
            }
            object.values_mut().for_each(widen);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(widen),
        _ => {}
    }
}

/// What can go wrong.
fn errors(path: &str, right: Right, named: bool, bodied: bool, verb: Verb) -> Vec<(u16, &'static str)> {
    let mut errors =
        vec![(500, "a fault in anomd"), (503, "the store cannot be used"), (507, "the disk is nearly full")];
    if right == Right::Open {
        errors.truncate(2);
        return errors;
    }
    if path.ends_with("/live") {
        errors.push((429, "as many listen as may"));
    }
    errors.extend([(400, "the request makes no sense"), (401, "no token, or one that is not known")]);
    errors.push((429, "too many wrong tokens came from this address"));
    errors.push((403, "the token does not allow it"));
    if named {
        errors.push((404, "what is named is not there, or not for this token"));
    }
    if verb != Verb::Get {
        errors.push((409, "it cannot be done in the present state"));
    }
    if bodied {
        errors.extend([
            (413, "the body is too long"),
            (415, "the body is of another type"),
            (422, "the body is wrong"),
        ]);
    }
    errors.sort_unstable();
    errors
}

/// `get_tenants_tenant_alerts`: what generated clients call it.
fn operation_id(verb: Verb, path: &str) -> String {
    let verb = format!("{verb:?}").to_lowercase();
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "api" | "v1"));
    parts.fold(verb, |id, part| format!("{id}_{}", part.trim_matches(['{', '}']).replace(['.', '-'], "_")))
}

fn response(meaning: &str, kinds: &str, schema: Option<String>) -> utoipa::openapi::Response {
    let response = ResponseBuilder::new().description(meaning);
    kinds.split(", ").fold(response, |response, kind| response.content(kind, content(schema.clone()))).build()
}

fn content(schema: Option<String>) -> Content {
    match schema {
        Some(name) => Content::new(Some(RefOr::<Schema>::Ref(Ref::from_schema_name(name)))),
        None => Content::new(Some(text())),
    }
}

fn text() -> RefOr<Schema> {
    <String as utoipa::PartialSchema>::schema()
}

/// A JSON body of a type, for [`Described`].
pub(super) fn json_body(name: String) -> Option<(&'static str, Option<String>)> {
    Some((JSON, Some(name)))
}

/// A JSON answer of a type, for [`Described`].
pub(super) fn json_reply(status: u16, name: String) -> (u16, &'static str, Option<String>) {
    (status, JSON, Some(name))
}
