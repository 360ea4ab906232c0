//! A plugin bound to one use: its grants, its configuration, its warm instances.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono_tz::Tz;
use serde_json::Value;

use super::checked;
use super::fault::Site;
use super::grants::Use;
use super::load::{Plugin, with_timezone};
use super::runtime::{Complaint, Request, Runtime, Wall, Work};
use super::{Analyse, Analysis, Call, Ingest, Notify, Page, Subject, Window};
use crate::capability::{Granted, Holder};
use crate::config::Limits;
use crate::fault::{Blame, Fault, PluginError};
use crate::message::Alert;
use crate::series::{Labels, Millis, Samples};

/// A plugin and what it may do for one tenant in one batch. Instances are never shared
/// between bindings.
pub(super) struct Binding {
    runtime: Arc<Runtime>,
    plugin: Arc<Plugin>,
    tenant: String,
    granted: Granted,
    timezone: Tz,
    key: u64,
    warm: bool,
    // The last configuration, as it was given and as plugins get it.
    config: Mutex<Option<(String, Arc<str>)>>,
    // Whether rows stay together, with the configuration and the step that it holds for.
    joint: Mutex<Option<(Arc<str>, u32, bool)>>,
}

impl Binding {
    pub(super) fn new(runtime: Arc<Runtime>, plugin: Arc<Plugin>, usage: Use) -> Result<Self, Fault> {
        let Use { tenant, batch: _, grants, secrets, timezone, mail, kv, warm } = usage;
        let holder = Holder { tenant: tenant.clone(), plugin: plugin.name().to_owned() };
        let granted = runtime.grant(holder, &grants, secrets, mail, kv).map_err(|why| {
            let site = Site { tenant: tenant.clone(), ..Site::loading(plugin.name()) };
            Site { version: plugin.version().to_owned(), ..site }.ungranted(why)
        })?;
        let key = runtime.binding();
        Ok(Self {
            runtime,
            plugin,
            tenant,
            granted,
            timezone,
            key,
            warm,
            config: Mutex::new(None),
            joint: Mutex::new(None),
        })
    }

    pub(super) fn limits(&self) -> &Arc<Limits> {
        &self.runtime.limits
    }

    /// How many calls run at once without waiting for each other.
    pub(super) fn workers(&self) -> usize {
        self.runtime.engine.executor().cores()
    }

    pub(super) fn site(&self, export: &'static str) -> Site {
        Site {
            tenant: self.tenant.clone(),
            plugin: self.plugin.name().to_owned(),
            version: self.plugin.version().to_owned(),
            export,
        }
    }

    /// A configuration as the plugin gets it: checked against its schema, with the zone.
    pub(super) fn config(&self, text: &str, export: &'static str) -> Result<Arc<str>, Fault> {
        let mut last = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((given, passed)) = last.as_ref()
            && given == text
        {
            return Ok(Arc::clone(passed));
        }
        let wrong =
            |why: String| self.site(export).fault(Blame::Operator, why, "correct the plugin's parameters in the batch");
        let config: Value =
            serde_json::from_str(text).map_err(|e| wrong(format!("its configuration is no JSON: {e}")))?;
        let problems = self.plugin.schema_problems(&config);
        if !problems.is_empty() {
            let problems: Vec<_> = problems.iter().map(|p| format!("{}: {}", place(&p.pointer), p.message)).collect();
            return Err(wrong(format!("its configuration is wrong: {}", problems.join("; "))));
        }
        let passed: Arc<str> = with_timezone(&config, self.timezone).into();
        *last = Some((text.to_owned(), Arc::clone(&passed)));
        Ok(passed)
    }

    /// What the last plan said of rows that belong together, if it was for this.
    pub(super) fn joint(&self, config: &str, step_ms: u32) -> Option<bool> {
        let last = self.joint.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(of, step, _)| **of == *config && *step == step_ms).map(|(_, _, joint)| *joint)
    }

    pub(super) fn set_joint(&self, config: &Arc<str>, step_ms: u32, joint: bool) {
        let mut last = self.joint.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Arc::clone(config), step_ms, joint));
    }

    /// The first and the last instant of each subject, for an analyst that is to keep
    /// within them; what does not fit together is our own fault.
    fn spans(&self, recent: &Samples, subjects: &[Subject]) -> Result<Vec<(Millis, Millis)>, Fault> {
        let series: HashMap<&Labels, &[Millis]> = recent.iter().map(|(key, _, times, _)| (key, times)).collect();
        let span = |subject: &Subject| {
            let ours = |what: &str| {
                let what = format!("series {} is to be analysed, and {what}", subject.labels);
                self.site("analyse").fault(Blame::Host, what, "tell the authors of anomd")
            };
            let times = series.get(&subject.labels).copied().unwrap_or_default();
            if !subject.scores.is_empty() && subject.scores.len() != times.len() {
                return Err(ours("its scores are not as many as its samples"));
            }
            match times {
                [first, .., last] => Ok((*first, *last)),
                [only] => Ok((*only, *only)),
                [] => Err(ours("it has no samples")),
            }
        };
        subjects.iter().map(span).collect()
    }

    /// Makes a call.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: &Call,
        export: &'static str,
        work: Work<T>,
    ) -> Result<T, Fault> {
        let admitted = self.plugin.admit(&self.site(export))?;
        let request = Request {
            prepared: self.plugin.prepared().await?,
            granted: self.granted.clone(),
            warm: self.warm.then_some(self.key),
            now: call.now,
            subject: call.subject.clone(),
            sink: Arc::clone(&call.log),
            wall: Wall::Call,
            site: self.site(export),
            work,
        };
        let result = self.runtime.call(request).await;
        if let Some(admitted) = admitted {
            self.plugin.ended(admitted, &self.tenant, &result);
        }
        result
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        self.runtime.forget(self.key);
    }
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "/" } else { pointer }
}

#[async_trait]
impl Ingest for Binding {
    async fn fetch(&self, call: &Call, config: &str, window: &Window, cursor: Option<Vec<u8>>) -> Result<Page, Fault> {
        let config = self.config(config, "fetch")?;
        let (limits, window) = (Arc::clone(self.limits()), window.clone());
        let work: Work<Page> = Box::new(move |guest, store| {
            Box::pin(async move {
                let raw = match guest.fetch(store, &config, &window, cursor.as_deref()).await? {
                    Ok(raw) => raw,
                    Err(error) => return Ok(Err(error.into())),
                };
                Ok(checked::page(raw, &limits).map_err(Complaint::Forbidden))
            })
        });
        self.call(call, "fetch", work).await
    }
}

#[async_trait]
impl Notify for Binding {
    async fn deliver(
        &self,
        call: &Call,
        config: &str,
        alerts: &[Alert],
    ) -> Result<Vec<Result<String, PluginError>>, Fault> {
        let config = self.config(config, "deliver")?;
        let alerts = alerts.to_vec();
        let work: Work<Vec<Result<String, PluginError>>> = Box::new(move |guest, store| {
            Box::pin(async move {
                let results = guest.deliver(store, &config, &alerts).await?;
                Ok(checked::delivered(results, alerts.len()).map_err(Complaint::Forbidden))
            })
        });
        self.call(call, "deliver", work).await
    }
}

#[async_trait]
impl Analyse for Binding {
    async fn analyse(
        &self,
        call: &Call,
        config: &str,
        recent: &Samples,
        subjects: &[Subject],
    ) -> Result<Analysis, Fault> {
        let config = self.config(config, "analyse")?;
        let spans = self.spans(recent, subjects)?;
        let (limits, recent, subjects) = (Arc::clone(self.limits()), recent.clone(), subjects.to_vec());
        let work: Work<Analysis> = Box::new(move |guest, store| {
            Box::pin(async move {
                let raw = match guest.analyse(store, &config, &recent, &subjects).await? {
                    Ok(raw) => raw,
                    Err(error) => return Ok(Err(error.into())),
                };
                Ok(checked::analysis(raw, &spans, &limits).map_err(Complaint::Forbidden))
            })
        });
        self.call(call, "analyse", work).await
    }
}
