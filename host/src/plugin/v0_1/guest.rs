//! The exports of a component, called with our own types. What comes back has the shape of
//! the contract and nothing more: see `checked`.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Linker};

use super::anomd::plugin::types;
use super::exports::anomd::plugin::{about, analyse, detect, ingest, inspect, notify, vectors};
use super::host;
use crate::capability::Open;
use crate::engine::{Cell, Refusal};
use crate::fault::PluginError;
use crate::message::{Alert, AlertState};
use crate::plugin::checked::RawPage;
use crate::plugin::descriptor::{Descriptor, SecretSlot};
use crate::plugin::{
    Analysis, Cause, Fitted, Insight, Judged, Loss, Needs, Problem, Role, Scored, Skip, Subject, Table, Term, Unread,
    Usage, Window,
};
use crate::series::{Kind, Matrix, Samples};

/// What a guest's call gives: wasmtime's error is outside, the guest's own inside.
pub(crate) type Reply<T> = wasmtime::Result<Result<T, PluginError>>;

/// A component, compiled and linked; instances are made from it.
pub(crate) struct Prepared {
    pre: InstancePre<Cell<Open>>,
    about: about::GuestIndices,
    role: Indices,
}

enum Indices {
    Ingest(ingest::GuestIndices),
    // All but the first are optional.
    Detect(detect::GuestIndices, Option<vectors::GuestIndices>, Option<inspect::GuestIndices>),
    Notify(notify::GuestIndices),
    Analyse(analyse::GuestIndices),
}

impl Prepared {
    /// Links the named interfaces, and no others.
    pub(crate) fn new<'a>(
        engine: &wasmtime::Engine,
        component: &Component,
        role: Role,
        interfaces: impl Iterator<Item = &'a str>,
    ) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        for interface in interfaces {
            if !host::link(&mut linker, interface)? {
                return Err(Refusal(format!("there is no interface {interface} to link")).into());
            }
        }
        let pre = linker.instantiate_pre(component)?;
        component.initialize_copy_on_write_image()?;
        Ok(Self {
            about: about::GuestIndices::new(&pre)?,
            role: match role {
                Role::Ingester => Indices::Ingest(ingest::GuestIndices::new(&pre)?),
                Role::Detector => Indices::Detect(
                    detect::GuestIndices::new(&pre)?,
                    vectors::GuestIndices::new(&pre).ok(),
                    inspect::GuestIndices::new(&pre).ok(),
                ),
                Role::Notifier => Indices::Notify(notify::GuestIndices::new(&pre)?),
                Role::Analyst => Indices::Analyse(analyse::GuestIndices::new(&pre)?),
            },
            pre,
        })
    }

    /// A new instance in `store`.
    pub(crate) async fn instantiate(&self, store: &mut Store<Cell<Open>>) -> wasmtime::Result<Guest> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        Ok(Guest {
            about: self.about.load(&mut *store, &instance)?,
            role: match &self.role {
                Indices::Ingest(indices) => Exports::Ingest(indices.load(&mut *store, &instance)?),
                Indices::Detect(detect, vectors, inspect) => Exports::Detect(
                    detect.load(&mut *store, &instance)?,
                    vectors.as_ref().map(|indices| indices.load(&mut *store, &instance)).transpose()?,
                    inspect.as_ref().map(|indices| indices.load(&mut *store, &instance)).transpose()?,
                ),
                Indices::Notify(indices) => Exports::Notify(indices.load(&mut *store, &instance)?),
                Indices::Analyse(indices) => Exports::Analyse(indices.load(&mut *store, &instance)?),
            },
        })
    }
}

/// An instance.
pub(crate) struct Guest {
    about: about::Guest,
    role: Exports,
}

enum Exports {
    Ingest(ingest::Guest),
    Detect(detect::Guest, Option<vectors::Guest>, Option<inspect::Guest>),
    Notify(notify::Guest),
    Analyse(analyse::Guest),
}

fn no_export(interface: &str) -> wasmtime::Error {
    Refusal(format!("this instance does not export {interface}")).into()
}

impl Guest {
    /// `about.describe`.
    pub(crate) async fn describe(&self, store: &mut Store<Cell<Open>>) -> wasmtime::Result<Descriptor> {
        let said = self.about.call_describe(store).await?;
        let slots = said.secrets.into_iter().map(|slot| SecretSlot { name: slot.name, purpose: slot.purpose });
        Ok(Descriptor {
            name: said.name,
            version: said.version,
            summary: said.summary,
            config_schema: said.config_schema,
            origins: said.origins,
            secrets: slots.collect(),
        })
    }

    /// `about.check`.
    pub(crate) async fn check(&self, store: &mut Store<Cell<Open>>, config: &str) -> wasmtime::Result<Vec<Problem>> {
        let found = self.about.call_check(store, config).await?;
        Ok(found.into_iter().map(|p| Problem { pointer: p.pointer, message: p.message }).collect())
    }

    /// `ingest.fetch`.
    pub(crate) async fn fetch(
        &self,
        store: &mut Store<Cell<Open>>,
        config: &str,
        window: &Window,
        cursor: Option<&[u8]>,
    ) -> Reply<RawPage> {
        let Exports::Ingest(guest) = &self.role else { return Err(no_export("ingest")) };
        let window = ingest::Window { start: window.span.start, end: window.span.end, step: window.step_ms };
        let page = guest.call_fetch(store, config, window, cursor).await?;
        Ok(page.map_err(error).map(|page| RawPage {
            keys: page.samples.keys,
            kinds: page.samples.kinds.into_iter().map(kind).collect(),
            offsets: page.samples.offsets,
            timestamps: page.samples.timestamps,
            values: page.samples.values,
            lost: page.lost.into_iter().map(|l| Loss { part: l.part, error: error(l.error) }).collect(),
            next: page.next,
        }))
    }

    /// `detect.plan`.
    pub(crate) async fn plan(&self, store: &mut Store<Cell<Open>>, config: &str, step_ms: u32) -> Reply<Needs> {
        let Exports::Detect(guest, ..) = &self.role else { return Err(no_export("detect")) };
        let needs = guest.call_plan(store, config, step_ms).await?;
        Ok(needs.map_err(error).map(|needs| Needs {
            history: needs.history as usize,
            context: needs.context as usize,
            refit: needs.refit as usize,
            joint: needs.joint,
        }))
    }

    /// `detect.fit`, and `inspect.inspect` of each model where that is exported.
    pub(crate) async fn fit(
        &self,
        store: &mut Store<Cell<Open>>,
        config: &str,
        history: &Matrix,
        previous: &[Arc<[u8]>],
    ) -> Reply<Fitted> {
        let Exports::Detect(guest, _, inspect) = &self.role else { return Err(no_export("detect")) };
        let previous: Vec<&[u8]> = previous.iter().map(AsRef::as_ref).collect();
        let fitted = match guest.call_fit(&mut *store, config, matrix(history)?, &previous).await? {
            Ok(fitted) => fitted,
            Err(complaint) => return Ok(Err(error(complaint))),
        };
        let mut facts = vec![Vec::new(); fitted.models.len()];
        if let Some(inspect) = inspect {
            for (said, model) in facts.iter_mut().zip(&fitted.models).filter(|(_, model)| !model.is_empty()) {
                let found = inspect.call_inspect(&mut *store, config, model).await?;
                *said = found.into_iter().map(|fact| (fact.name, fact.value)).collect();
            }
        }
        let heads = fitted.heads.into_iter().map(|head| head as usize).collect();
        Ok(Ok(Fitted { models: fitted.models, heads, skipped: skipped(fitted.skipped), facts }))
    }

    /// `detect.score`.
    pub(crate) async fn score(
        &self,
        store: &mut Store<Cell<Open>>,
        config: &str,
        models: &[Arc<[u8]>],
        recent: &Matrix,
        tail: usize,
    ) -> Reply<Scored> {
        let Exports::Detect(guest, ..) = &self.role else { return Err(no_export("detect")) };
        let models: Vec<&[u8]> = models.iter().map(AsRef::as_ref).collect();
        let scored = guest.call_score(store, config, &models, matrix(recent)?, narrow(tail)?).await?;
        Ok(scored.map_err(error).map(|scored| Scored {
            scores: scored.scores,
            expected: scored.expected,
            lower: scored.lower,
            upper: scored.upper,
            terms: terms(scored.terms),
            skipped: skipped(scored.skipped),
        }))
    }

    /// `vectors.fit-vectors`.
    pub(crate) async fn fit_vectors(
        &self,
        store: &mut Store<Cell<Open>>,
        config: &str,
        history: &Table,
    ) -> Reply<Vec<u8>> {
        let Exports::Detect(_, Some(guest), _) = &self.role else { return Err(no_export("vectors")) };
        let names = names(history);
        Ok(guest.call_fit_vectors(store, config, table(history, &names)?).await?.map_err(error))
    }

    /// `vectors.score-vectors`.
    pub(crate) async fn score_vectors(
        &self,
        store: &mut Store<Cell<Open>>,
        config: &str,
        model: &[u8],
        recent: &Table,
    ) -> Reply<Judged> {
        let Exports::Detect(_, Some(guest), _) = &self.role else { return Err(no_export("vectors")) };
        let names = names(recent);
        let judged = guest.call_score_vectors(store, config, model, table(recent, &names)?).await?;
        Ok(judged.map_err(error).map(|judged| Judged { scores: judged.scores, terms: terms(judged.terms) }))
    }

    /// `notify.deliver`.
    pub(crate) async fn deliver(
        &self,
        store: &mut Store<Cell<Open>>,
        config: &str,
        alerts: &[Alert],
    ) -> wasmtime::Result<Vec<Result<String, PluginError>>> {
        let Exports::Notify(guest) = &self.role else { return Err(no_export("notify")) };
        // Lists of lists are lent level by level, so each level needs an owner here.
        type Level<'a> = (Vec<(&'a str, &'a str)>, Vec<(&'a str, f64)>);
        let levels: Vec<Vec<Level<'_>>> = (alerts.iter())
            .map(|alert| {
                let findings = alert.findings.iter();
                findings
                    .map(|finding| {
                        let terms = finding.terms.iter().map(|(name, value)| (name.as_str(), *value));
                        (finding.labels.iter().collect(), terms.collect())
                    })
                    .collect()
            })
            .collect();
        let findings: Vec<Vec<notify::Finding<'_>>> = (alerts.iter().zip(&levels))
            .map(|(alert, levels)| {
                let findings = alert.findings.iter().zip(levels);
                findings
                    .map(|(finding, (labels, terms))| notify::Finding {
                        labels,
                        value: finding.value,
                        expected: finding.expected,
                        lower: finding.lower,
                        upper: finding.upper,
                        score: finding.score,
                        terms,
                        started: finding.started,
                        ended: finding.ended,
                    })
                    .collect()
            })
            .collect();
        let actions: Vec<Vec<notify::Action<'_>>> = (alerts.iter())
            .map(|alert| alert.actions.iter().map(|(name, url)| notify::Action { name, url }).collect())
            .collect();
        let labels: Vec<Vec<(&str, &str)>> = alerts.iter().map(|alert| alert.labels.iter().collect()).collect();
        let messages: Vec<notify::Alert<'_>> = (alerts.iter().zip(&findings).zip(&actions).zip(&labels))
            .map(|(((alert, findings), actions), labels)| notify::Alert {
                id: &alert.id,
                incident: &alert.incident,
                state: match alert.state {
                    AlertState::Firing => notify::State::Firing,
                    AlertState::Resolved => notify::State::Resolved,
                },
                kind: &alert.kind,
                labels,
                title: &alert.title,
                body: &alert.body,
                link: alert.link.as_deref(),
                actions,
                chart: alert.chart.as_deref(),
                findings,
                more: alert.more,
            })
            .collect();
        let results = guest.call_deliver(store, config, &messages).await?;
        Ok(results.into_iter().map(|result| result.map_err(error)).collect())
    }

    /// `analyse.analyse`.
    pub(crate) async fn analyse(
        &self,
        store: &mut Store<Cell<Open>>,
        config: &str,
        recent: &Samples,
        subjects: &[Subject],
    ) -> Reply<Analysis> {
        let Exports::Analyse(guest) = &self.role else { return Err(no_export("analyse")) };
        let keys: Vec<Vec<(&str, &str)>> = recent.iter().map(|(labels, ..)| labels.iter().collect()).collect();
        let keys: Vec<&[(&str, &str)]> = keys.iter().map(Vec::as_slice).collect();
        let (mut kinds, mut offsets) = (Vec::new(), vec![0]);
        let (mut timestamps, mut values) = (Vec::with_capacity(recent.len()), Vec::with_capacity(recent.len()));
        for (_, kind, times, column) in recent.iter() {
            kinds.push(wire_kind(kind));
            timestamps.extend_from_slice(times);
            values.extend_from_slice(column);
            offsets.push(narrow(values.len())?);
        }
        let samples = types::SamplesParam {
            keys: &keys,
            kinds: &kinds,
            offsets: &offsets,
            timestamps: &timestamps,
            values: &values,
        };
        let labels: Vec<Vec<(&str, &str)>> = subjects.iter().map(|subject| subject.labels.iter().collect()).collect();
        let asked: Vec<analyse::Subject<'_>> = (subjects.iter().zip(&labels))
            .map(|(subject, labels)| analyse::Subject {
                labels,
                name: &subject.name,
                alert: subject.alert,
                scores: &subject.scores,
                chart: subject.chart.as_deref(),
            })
            .collect();
        let analysis = guest.call_analyse(store, config, samples, &asked).await?;
        let insight = |insight: analyse::Insight| Insight {
            subject: insight.subject as usize,
            span: (insight.start, insight.end),
            score: insight.score,
            text: insight.text,
        };
        Ok(analysis.map_err(error).map(|analysis| Analysis {
            author: analysis.author,
            insights: analysis.insights.into_iter().map(insight).collect(),
            lost: (analysis.lost.into_iter())
                .map(|loss| Unread { subject: loss.subject as usize, error: error(loss.error) })
                .collect(),
            usage: Usage {
                calls: analysis.usage.calls.into(),
                input_tokens: analysis.usage.input_tokens,
                output_tokens: analysis.usage.output_tokens,
            },
        }))
    }
}

fn narrow(count: usize) -> wasmtime::Result<u32> {
    u32::try_from(count).map_err(|_| Refusal(format!("{count} is more than a guest can count")).into())
}

fn matrix(matrix: &Matrix) -> wasmtime::Result<types::Matrix<'_>> {
    let axis =
        types::Grid { start: matrix.grid.start, step: matrix.grid.step_ms, columns: narrow(matrix.grid.columns)? };
    Ok(types::Matrix { axis, rows: narrow(matrix.rows)?, values: &matrix.values })
}

fn names(table: &Table) -> Vec<&str> {
    table.features.iter().map(String::as_str).collect()
}

fn table<'a>(table: &'a Table, features: &'a [&'a str]) -> wasmtime::Result<vectors::Table<'a>> {
    Ok(vectors::Table { features, rows: narrow(table.rows)?, values: &table.values })
}

fn terms(terms: Vec<types::Term>) -> Vec<Term> {
    terms.into_iter().map(|term| Term { name: term.name, values: term.values }).collect()
}

fn kind(kind: types::Kind) -> Kind {
    match kind {
        types::Kind::Unknown => Kind::Unknown,
        types::Kind::Gauge => Kind::Gauge,
        types::Kind::Counter => Kind::Counter,
    }
}

fn wire_kind(kind: Kind) -> types::Kind {
    match kind {
        Kind::Unknown => types::Kind::Unknown,
        Kind::Gauge => types::Kind::Gauge,
        Kind::Counter => types::Kind::Counter,
    }
}

fn skipped(skips: Vec<types::Skip>) -> Vec<Skip> {
    let cause = |cause| match cause {
        types::Cause::Warming => Cause::Warming,
        types::Cause::Failed(why) => Cause::Failed(why),
    };
    skips.into_iter().map(|skip| Skip { row: skip.row as usize, cause: cause(skip.cause) }).collect()
}

fn error(error: types::Error) -> PluginError {
    match error {
        types::Error::BadConfig(text) => PluginError::BadConfig(text),
        types::Error::Unauthorized(text) => PluginError::Unauthorized(text),
        types::Error::Busy(after) => PluginError::Busy(after),
        types::Error::Unavailable(text) => PluginError::Unavailable(text),
        types::Error::Unsupported(text) => PluginError::Unsupported(text),
        types::Error::Internal(text) => PluginError::Internal(text),
    }
}
