//! A component from a URL, as a tenant may fetch it: through the checks that all requests of its
//! plugins pass, bounded in bytes and time, without secrets. Redirects are not followed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fault::Site;
use super::runtime::Runtime;
use crate::capability::Holder;
use crate::capability::http::{Fault as Why, Grant, Method, Request, Target};
use crate::capability::log::{cut, printable};
use crate::config::{Grants, Limits};
use crate::fault::{Blame, Fault};

impl Runtime {
    /// Fetches a component for a tenant, which calls it `name`.
    pub async fn download(&self, tenant: &str, name: &str, grants: &Grants, url: &str) -> Result<Vec<u8>, Fault> {
        let site = Site { tenant: tenant.to_owned(), ..Site::loading(name) };
        let limits = Limits { http_response_bytes: self.limits.component_bytes, ..(*self.limits).clone() };
        let holder = Arc::new(Holder { tenant: tenant.to_owned(), plugin: name.to_owned() });
        let grant = Grant::new(holder, grants, BTreeMap::new(), &self.net, &limits);
        let request = Request {
            method: Method::Get,
            target: Target::Url(url.to_owned()),
            headers: vec![("accept".to_owned(), "application/wasm, application/octet-stream".to_owned())],
            auth: None,
            blanks: Vec::new(),
            body: Vec::new(),
            timeout: Some(Duration::from_millis(limits.http_longest_ms)),
        };
        let answer = grant.map_err(|why| site.ungranted(why))?.open().send(request).await;
        let answer = answer.map_err(|why| match why {
            Why::Denied(text) => site.fault(Blame::Operator, text, ""),
            Why::Invalid(text) => site.fault(Blame::Operator, text, "write https://host/path/name.wasm"),
            Why::Timeout => site.fault(Blame::Remote, "the component did not come in time", "try again"),
            Why::TooLarge(most) => {
                let what = format!("what stands there has more than {most} bytes");
                site.fault(Blame::Limit, what, "raise limits.component_bytes in anomd.yaml")
            }
            Why::Transport(text) => site.fault(Blame::Remote, text, "see that the address is right, and try again"),
        })?;
        match answer.status {
            200 => Ok(answer.body),
            status @ 300..=399 => {
                let to = answer.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case("location"));
                let to = to.map(|(_, to)| printable(cut(to, 500))).unwrap_or_default();
                let what = format!("the server answered {status} and leads to {to:?}; no redirect is followed");
                Err(site.fault(Blame::Operator, what, "install from that address, if you trust it"))
            }
            status => Err(site.fault(Blame::Remote, format!("the server answered {status}"), "correct the address")),
        }
    }
}
