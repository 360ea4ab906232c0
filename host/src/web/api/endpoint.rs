//! The table of the API: where each request of the desk stands, who may send it, and what it
//! is for. The router, the client of the command line and the OpenAPI document are all made
//! of it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa::ToSchema;

use crate::desk::tenants::{
    GrantSet, PolicySet, QuotaSet, Scope, SecretDelete, SecretQuery, SecretSet, TenantCreate, TenantQuery, TenantShow,
    TokenCreate, TokenQuery, TokenRevoke, VariableDelete, VariableQuery, VariableSet,
};
use crate::desk::{
    Acknowledge, AlertHistory, AlertQuery, AlertShow, Ask, ChartQuery, ChartsQuery, EventAdd, EventEnd, EventQuery,
    ModelQuery, Overview, PointQuery, Query, Ranking, Rate, RunQuery, SeriesQuery, SilenceAdd, SilenceExpire,
    SilencePreview, SilenceQuery, Snooze, Timeline, Unacknowledge, WhatIfQuery, Why,
};
pub use crate::web::auth::Right;

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// In the query string of a `GET`.
    Get,
    /// In the JSON body of a `POST`.
    Post,
    /// In the JSON body of a `PUT`.
    Put,
    /// In the path of a `DELETE`.
    Delete,
}

const READ: Right = Right::Tenant(Scope::Read);
const OPERATE: Right = Right::Tenant(Scope::Operate);
const ADMIN: Right = Right::Tenant(Scope::Admin);

/// A request with an address.
pub trait Endpoint: Ask + ToSchema {
    /// How it is sent.
    const VERB: Verb;
    /// Its path below `/api/v1/tenants/{tenant}`, or below `/api/v1` where it begins with
    /// `:`; what it is about stands as `{id}` in it.
    const PATH: &str;
    /// Who may send it.
    const RIGHT: Right;
    /// What it is for.
    const SUMMARY: &str;
    /// Whether it changes what a tenant is, and not only what it has.
    const RESHAPES: bool;

    /// Names what it is about, as the path does.
    fn set_id(&mut self, _id: String) {}

    /// What it is about.
    fn id(&self) -> &str {
        ""
    }

    /// Its path below `/api/v1/`, for a tenant.
    fn path_of(&self, tenant: &str) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let path = Self::PATH.replace("{id}", &encoded(self.id()));
        match path.strip_prefix(':') {
            Some(path) => path.trim_start_matches('/').to_owned(),
            None => format!("tenants/{}{path}", encoded(tenant)),
        }
    }
}

macro_rules! endpoints {
    ($($request:ty: $verb:ident $path:literal, $right:expr, $summary:literal $(, $id:ident)? $(; $reshapes:literal)?;)*) => {
        $(
            impl Endpoint for $request {
                const VERB: Verb = Verb::$verb;
                const PATH: &str = $path;
                const RIGHT: Right = $right;
                const SUMMARY: &str = $summary;
                const RESHAPES: bool = false $(|| $reshapes)?;

                $(
                    fn set_id(&mut self, id: String) {
                        self.$id = id;
                    }

                    fn id(&self) -> &str {
                        &self.$id
                    }
                )?
            }
        )*

        /// Calls a macro-like function with every endpoint.
        pub(super) fn each(register: &mut impl Register) {
            $(register.endpoint::<$request>();)*
        }
    };
}

/// What takes every endpoint in turn.
pub(super) trait Register {
    /// Takes one.
    fn endpoint<R: Endpoint>(&mut self);
}

endpoints! {
    TenantQuery: Get ":/tenants", Right::Operator, "Lists the tenants";
    TenantCreate: Post ":/tenants", Right::Operator, "Makes a tenant"; true;
    TenantShow: Get "", READ, "Shows a tenant";
    PolicySet: Put "/policy", Right::Operator, "Sets what a tenant may grant itself"; true;
    QuotaSet: Put "/quotas", Right::Operator, "Sets the quotas of a tenant"; true;
    TokenQuery: Get "/tokens", ADMIN, "Lists the tokens";
    TokenCreate: Post "/tokens", ADMIN, "Makes a token, which is shown this once"; true;
    TokenRevoke: Delete "/tokens/{id}", ADMIN, "Revokes a token", id; true;
    VariableQuery: Get "/variables", READ, "Lists the variables that batches may name";
    VariableSet: Put "/variables/{id}", ADMIN, "Declares a variable or changes it", id; true;
    VariableDelete: Delete "/variables/{id}", ADMIN, "Takes a variable away", id; true;
    SecretQuery: Get "/secrets", ADMIN, "Lists the slots of secrets, without values";
    SecretSet: Put "/secrets/{id}", ADMIN, "Sets a secret", id; true;
    SecretDelete: Delete "/secrets/{id}", ADMIN, "Takes a secret away", id; true;
    GrantSet: Put "/plugins/{id}/grants", ADMIN, "Approves of origins that a plugin wants to reach", id; true;
    SeriesQuery: Get "/batches/{id}/series", READ, "Lists the series of a batch, the oddest first if asked", id;
    PointQuery: Get "/batches/{id}/points", READ, "Lists the points of a series, with what was expected", id;
    ChartsQuery: Get "/batches/{id}/charts", READ, "Lists small charts of the series of a batch", id;
    ChartQuery: Get "/batches/{id}/chart", READ, "What a chart of a series shows, in columns", id;
    WhatIfQuery: Get "/batches/{id}/what-if", READ, "Says what would have fired under a threshold", id;
    ModelQuery: Get "/batches/{id}/models", READ, "Lists the models of a series, the newest first", id;
    AlertHistory: Get "/batches/{id}/alerts", READ, "Lists the alerts of a series, the last started first", id;
    RunQuery: Get "/batches/{id}/runs", READ, "Lists the finished runs of a batch, the newest first", id;
    Overview: Get "/overview", READ, "Says what is wrong now, and how anomalous each batch was over time";
    Ranking: Get "/ranking", READ, "Ranks the series by how anomalous they were in a span";
    AlertQuery: Get "/alerts", READ, "Lists alerts, the last started first";
    AlertShow: Get "/alerts/{id}", READ, "Shows an alert", id;
    Timeline: Get "/alerts/{id}/timeline", READ, "Shows what happened to an alert, who was told, and why", id;
    Acknowledge: Post "/alerts/{id}/ack", OPERATE, "Acknowledges an alert", id;
    Unacknowledge: Post "/alerts/{id}/unack", OPERATE, "Takes an acknowledgement back", id;
    Rate: Post "/alerts/{id}/rate", OPERATE, "Says of an alert whether it was one", id;
    Snooze: Post "/alerts/{id}/snooze", OPERATE, "Tells nobody of an alert for a while", id;
    SilenceQuery: Get "/silences", READ, "Lists silences";
    SilencePreview: Get "/silences/preview", READ, "Lists the alerts that a silence would hide now";
    SilenceAdd: Post "/silences", OPERATE, "Adds a silence";
    SilenceExpire: Post "/silences/{id}/expire", OPERATE, "Ends a silence", id;
    EventQuery: Get "/events", READ, "Lists events";
    EventAdd: Post "/events", OPERATE, "Adds an event: a deploy, a maintenance";
    EventEnd: Post "/events/{id}/end", OPERATE, "Ends an event", id;
    Why: Get "/why", READ, "Says why a point raised an alert, or why it did not";
    Query: Get "/query", READ, "Lists what is kept, as rows";
}
