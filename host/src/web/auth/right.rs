//! What a route asks of those who call it.

use crate::desk::tenants::Scope;

/// Who may send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Anybody.
    Open,
    /// Who has a token of the tenant with this scope.
    Tenant(Scope),
    /// The operator of the node.
    Operator,
    /// The operator, or who has any token of the tenant `default`, which is the operator's own: a
    /// Prometheus needs a token that outlives a start.
    Node,
}
