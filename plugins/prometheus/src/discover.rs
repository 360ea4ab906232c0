//! What a run has to find out before its first query: the metrics that prefixes stand for,
//! and the types of metrics.

use anomd_ingester::{Error, Level, Loss};

use crate::api::{Api, Failure};
use crate::metadata::Families;
use crate::response;
use crate::target::{Rating, Target};

/// The metrics that begin with one of the configured prefixes, in order, at most
/// `max_metrics`.
pub fn metrics(api: &Api<'_>, start: &str, end: &str, lost: &mut Vec<Loss>) -> Result<Vec<String>, Error> {
    let prefixes = &api.config.metrics.0;
    let answer =
        api.ask("/api/v1/label/__name__/values", &[("start", start), ("end", end)]).map_err(
            |failure| match failure {
                Failure::One(error) | Failure::All(error) => error,
                Failure::TooMuch(text) => Error::Unsupported(format!("{text}: name the metrics in `queries`")),
            },
        )?;
    let unreadable = || Error::Unavailable("the names of the metrics cannot be read".into());
    let envelope = response::open(&answer.body).map_err(|_| unreadable())?;
    let names = response::names(envelope.data).map_err(|_| unreadable())?;
    for warning in &envelope.warnings {
        api.host.log(Level::Warn, &format!("metrics: the server warns: {warning}"));
    }
    let choice = choose(names, prefixes);
    for prefix in &choice.unused {
        api.host.log(Level::Warn, &format!("no metric begins with {prefix}"));
    }
    if choice.buckets > 0 {
        api.host.log(
            Level::Info,
            &format!(
                "{} metrics that end in _bucket are left out; a prefix that ends in _bucket asks for them",
                choice.buckets
            ),
        );
    }
    let (mut chosen, most) = (choice.metrics, api.config.max_metrics);
    if let Some(last) = chosen.len().checked_sub(1).filter(|_| chosen.len() > most) {
        lost.push(Loss {
            part: "metrics".into(),
            error: Error::Unsupported(format!(
                "{} metrics begin with {}, and the first {most} are taken, up to {}; left out are those up to {}: \
                 raise `max_metrics` or give longer prefixes",
                chosen.len(),
                prefixes.join(", "),
                chosen[most - 1],
                chosen[last],
            )),
        });
        chosen.truncate(most);
    }
    Ok(chosen)
}

struct Choice {
    metrics: Vec<String>,
    /// Prefixes that no metric begins with.
    unused: Vec<String>,
    /// Metrics that were left out since they are the buckets of a histogram.
    buckets: usize,
}

/// Buckets are many series of little use one by one: only a prefix that is itself the name
/// of buckets takes them.
fn choose(mut names: Vec<String>, prefixes: &[String]) -> Choice {
    names.sort();
    names.dedup();
    let unused = prefixes.iter().filter(|prefix| !names.iter().any(|name| name.starts_with(*prefix)));
    let unused = unused.cloned().collect();
    let matches = |name: &String, prefix: &String| name.starts_with(prefix);
    names.retain(|name| prefixes.iter().any(|prefix| matches(name, prefix)));
    let before = names.len();
    names.retain(|name| {
        !name.ends_with("_bucket") || prefixes.iter().any(|prefix| prefix.ends_with("_bucket") && matches(name, prefix))
    });
    Choice { buckets: before - names.len(), metrics: names, unused }
}

/// The types of the families that decide about the targets. The flag says whether the
/// server tells types at all.
///
/// A server that cannot be reached is an error here and not "no types": else a counter
/// would be judged by its name for once.
pub fn families(api: &Api<'_>, targets: &[Target]) -> Result<(Families, bool), Error> {
    let (mut families, why) = match api.send("/api/v1/metadata", &[("limit_per_metric", "2")]) {
        Ok(answer) if answer.is_success() => {
            let families = response::open(&answer.body).ok().and_then(|open| Families::parse(open.data).ok());
            (families.unwrap_or_default(), "it lists none".to_owned())
        }
        Ok(answer) if answer.status >= 500 && answer.status != 501 => {
            return Err(Error::Unavailable(format!("/api/v1/metadata: HTTP status {}", answer.status)));
        }
        Ok(answer) if answer.status == 429 => return Err(Error::Busy(answer.retry_after(api.host.now()))),
        Ok(answer) => (Families::default(), format!("HTTP status {}", answer.status)),
        Err(Failure::TooMuch(text)) => (Families::default(), text),
        Err(Failure::One(error) | Failure::All(error)) => return Err(error),
    };
    if families.is_empty() {
        api.host.log(
            Level::Warn,
            &format!(
                "the server does not tell the types of metrics (/api/v1/metadata: {why}): what ends in _total, \
                 _count, _sum or _bucket is taken for a counter; `rate: false` or `rate: true` in a query corrects it"
            ),
        );
        return Ok((families, true));
    }
    let rated = || targets.iter().filter(|target| target.rating == Rating::Counters);
    if rated().all(|target| target.metric.is_some()) {
        families.keep_for(rated().filter_map(|target| target.metric.as_deref()));
    }
    Ok((families, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_choose_in_order_and_leave_out_buckets() {
        let names = ["b_x", "a_bucket", "a_sum", "a_count", "c", "a_sum"].map(str::to_owned).to_vec();
        let chosen = choose(names.clone(), &["a".into(), "b_".into(), "z".into()]);
        assert_eq!(chosen.metrics, ["a_count", "a_sum", "b_x"]);
        assert_eq!((chosen.buckets, chosen.unused), (1, vec!["z".to_owned()]));
        assert_eq!(choose(names, &["a_bucket".into()]).metrics, ["a_bucket"]);
    }
}
