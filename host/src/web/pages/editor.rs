//! The batch editor: a text with line numbers, checked as one types, tried without being
//! kept, and saved by the same code as the API's.
//!
//! A batch that stands in a file of the node is shown and not changed: the file has the word.
//! Its text may hold secrets, so the operator alone sees it.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::Pages;
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use super::moment::filters;
use super::trial::Tried;
use crate::config::{BatchKey, named_in};
use crate::desk::tenants::Scope;
use crate::web::api::{Api, BatchProblem, BatchView, Problem};
use crate::web::auth::Visitor;

/// What a batch can begin with.
const BEGINNING: &str = "metric_batch: example
ingest_fn: prometheus
ingest_params:
  url: http://localhost:9090
  queries:
    - up
step: 60s
ingest_cron_schedule: '* * * * *'
";

pub(super) fn register(pages: &mut Pages) {
    let form = DefaultBodyLimit::max(pages.form_bytes());
    pages.add("/new", Scope::Read, get(begin));
    pages.add("/new", Scope::Admin, post(create).layer(form));
    pages.add("/check", Scope::Read, post(check).layer(form));
    pages.add("/try", Scope::Admin, post(try_it).layer(form));
    pages.add("/batches/{batch}/edit", Scope::Read, get(show));
    pages.add("/batches/{batch}/edit", Scope::Admin, post(save).layer(form));
    pages.add("/batches/{batch}/edit/pause", Scope::Operate, post(pause));
    pages.add("/batches/{batch}/edit/resume", Scope::Operate, post(resume));
    pages.add("/batches/{batch}/edit/delete", Scope::Admin, post(delete));
}

#[derive(Template)]
#[template(path = "editor.html")]
struct Editor {
    frame: Frame,
    admin: bool,
    operate: bool,
    /// The batch; `None`: it is new.
    batch: Option<BatchView>,
    /// The file of the node in which it stands.
    file: Option<String>,
    /// Its text; `None`: it is not for the visitor's eyes.
    text: Option<String>,
    checked: bool,
    problems: Vec<BatchProblem>,
    /// What is in the way of what was asked for.
    refused: Option<String>,
    /// What was just done.
    done: Option<&'static str>,
    tried: Option<Tried>,
}

/// What is wrong with a text, and nothing around it.
#[derive(Template)]
#[template(path = "problems.html")]
struct ProblemList {
    checked: bool,
    problems: Vec<BatchProblem>,
}

/// What became of a trial, and nothing around it.
#[derive(Template)]
#[template(path = "trial.html")]
struct TrialPart {
    tried: Tried,
}

impl Editor {
    fn new(visitor: &Visitor, title: &str, text: Option<String>) -> Self {
        Self {
            frame: Frame::new(visitor, Part::Overview, title),
            admin: visitor.may(Scope::Admin),
            operate: visitor.may(Scope::Operate),
            batch: None,
            file: None,
            text,
            checked: false,
            problems: Vec::new(),
            refused: None,
            done: None,
            tried: None,
        }
    }

    async fn of(api: &Api, visitor: &Visitor, batch: &str) -> Result<Self, ProblemPage> {
        let view = api.batch(&visitor.tenant, batch).await;
        let view = view.map_err(|problem| ProblemPage::of(Some(visitor), problem))?;
        let (file, text) = match &view.text {
            Some(text) => (None, Some(text.clone())),
            None => file_of(api, visitor, batch).await,
        };
        let problems = view.problems.clone();
        let editor = Self::new(visitor, batch, text);
        Ok(Self { batch: Some(view), file, problems, ..editor })
    }

    /// The lines of the text, for their numbers.
    fn lines(&self) -> usize {
        self.text.as_deref().map_or(1, |text| text.split('\n').count())
    }

    /// Where the text is sent.
    fn action(&self) -> String {
        match &self.batch {
            Some(view) => self.frame.at(&format!("/batches/{}/edit", encoded(&view.batch))),
            None => self.frame.at("/new"),
        }
    }

    /// Whether the visitor may change the text.
    fn writable(&self) -> bool {
        self.admin && self.file.is_none()
    }

    fn answer(self, status: StatusCode) -> Response {
        let mut response = page(&self);
        *response.status_mut() = status;
        response
    }

    fn refuse(self, problem: Problem) -> Response {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // What is listed by line is not said twice.
        let listed = !problem.problems.is_empty();
        let refused = if listed { "The batch was not saved: it has errors.".to_owned() } else { problem.detail };
        Self { checked: true, problems: problem.problems, refused: Some(refused), ..self }.answer(status)
    }
}

/// The file of the node in which a batch stands; its text for the operator.
async fn file_of(api: &Api, visitor: &Visitor, batch: &str) -> (Option<String>, Option<String>) {
    let key = BatchKey { tenant: visitor.tenant.clone(), batch: batch.to_owned() };
    let Some(bound) = api.node.batch(&key) else { return (Some("a file of the node".to_owned()), None) };
    let path = bound.batch.source.clone();
    let named = path.display().to_string();
    if !visitor.operator {
        return (Some(named), None);
    }
    let most = api.node.config.limits.config_bytes as u64;
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path)?.take(most).read_to_string(&mut text).map(|_| text)
    });
    (Some(named), read.await.ok().and_then(Result::ok))
}

#[derive(Deserialize)]
struct Text {
    text: String,
    /// The batch whose editor it comes from; empty: a new one's.
    #[serde(default)]
    batch: String,
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    done: String,
}

fn unread(rejection: &FormRejection) -> Problem {
    Problem::new(rejection.status(), rejection.body_text())
}

/// A browser sends a line's end as two characters.
fn lines_of(text: &str) -> String {
    text.replace("\r\n", "\n")
}

async fn begin(Extension(visitor): Extension<Visitor>) -> Response {
    page(&Editor::new(&visitor, "New batch", Some(BEGINNING.to_owned())))
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, batch)): Path<(String, String)>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ProblemPage> {
    let editor = Editor::of(&api, &visitor, &batch).await?;
    let done = match asked.map(|Query(asked)| asked.done).as_deref().unwrap_or_default() {
        "saved" => Some("Saved. It runs with its next tick."),
        "paused" => Some("Paused: no run of it starts by itself."),
        "resumed" => Some("It goes on with its next tick."),
        _ => None,
    };
    Ok(page(&Editor { done, ..editor }))
}

/// Writes a batch and leads to its editor.
async fn written(api: &Api, visitor: &Visitor, batch: String, text: &str) -> Result<Response, Problem> {
    let key = BatchKey { tenant: visitor.tenant.clone(), batch };
    api.node.put_batch(&key, text).await?;
    Ok(Redirect::to(&format!("/t/{}/batches/{}/edit?done=saved", encoded(&key.tenant), encoded(&key.batch)))
        .into_response())
}

async fn create(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<Text>, FormRejection>,
) -> Response {
    let text = match form {
        Ok(Form(form)) => lines_of(&form.text),
        Err(rejection) => return Editor::new(&visitor, "New batch", None).refuse(unread(&rejection)),
    };
    let editor = Editor::new(&visitor, "New batch", Some(text.clone()));
    let Some(name) = named_in(&text) else {
        let problems = api.validate(&visitor.tenant, &text).await.problems;
        let detail = "the batch was not saved: it has no name; write metric_batch into it";
        return editor.refuse(Problem { problems, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) });
    };
    let key = BatchKey { tenant: visitor.tenant.clone(), batch: name.clone() };
    if matches!(api.node.batch_text(&key), Ok(Some(_))) {
        let detail = format!("there is a batch {name} already; choose another name, or edit that one");
        return editor.refuse(Problem::new(StatusCode::CONFLICT, detail));
    }
    written(&api, &visitor, name, &text).await.unwrap_or_else(|problem| editor.refuse(problem))
}

async fn save(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, batch)): Path<(String, String)>,
    form: Result<Form<Text>, FormRejection>,
) -> Response {
    let editor = match Editor::of(&api, &visitor, &batch).await {
        Ok(editor) => editor,
        Err(page) => return page.into_response(),
    };
    let text = match form {
        Ok(Form(form)) => lines_of(&form.text),
        Err(rejection) => return editor.refuse(unread(&rejection)),
    };
    let saved = written(&api, &visitor, batch, &text).await;
    saved.unwrap_or_else(|problem| Editor { text: Some(text), ..editor }.refuse(problem))
}

/// The problems of a text as it is typed.
async fn check(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<Text>, FormRejection>,
) -> Response {
    match form {
        Ok(Form(form)) => {
            let problems = api.validate(&visitor.tenant, &lines_of(&form.text)).await.problems;
            page(&ProblemList { checked: true, problems })
        }
        Err(rejection) => unread(&rejection).into_response(),
    }
}

async fn try_it(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    form: Result<Form<Text>, FormRejection>,
) -> Response {
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return unread(&rejection).into_response(),
    };
    let text = lines_of(&form.text);
    let tried = Tried::of(api.try_batch(&visitor.tenant, text.clone()).await);
    if headers.contains_key("hx-request") {
        return page(&TrialPart { tried });
    }
    let editor = match form.batch.as_str() {
        "" => Ok(Editor::new(&visitor, "New batch", None)),
        batch => Editor::of(&api, &visitor, batch).await,
    };
    match editor {
        Ok(editor) => {
            let problems = tried.problems.clone();
            page(&Editor { text: Some(text), checked: true, problems, tried: Some(tried), ..editor })
        }
        Err(page) => page.into_response(),
    }
}

async fn pause(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, batch)): Path<(String, String)>,
) -> Response {
    set_paused(&api, &visitor, batch, true).await
}

async fn resume(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, batch)): Path<(String, String)>,
) -> Response {
    set_paused(&api, &visitor, batch, false).await
}

async fn set_paused(api: &Api, visitor: &Visitor, batch: String, paused: bool) -> Response {
    let key = BatchKey { tenant: visitor.tenant.clone(), batch };
    match api.set_paused(key, paused).await {
        Ok(view) => {
            let done = if paused { "paused" } else { "resumed" };
            let (tenant, batch) = (encoded(&view.tenant), encoded(&view.batch));
            Redirect::to(&format!("/t/{tenant}/batches/{batch}/edit?done={done}")).into_response()
        }
        Err(problem) => ProblemPage::of(Some(visitor), problem).into_response(),
    }
}

#[derive(Deserialize)]
struct Confirmed {
    confirm: String,
}

async fn delete(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, batch)): Path<(String, String)>,
    form: Result<Form<Confirmed>, FormRejection>,
) -> Response {
    let confirmed = form.is_ok_and(|Form(form)| form.confirm.trim() == batch);
    let deleted = match confirmed {
        true => api.delete_batch(BatchKey { tenant: visitor.tenant.clone(), batch: batch.clone() }).await,
        false => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("nothing was deleted: write the name {batch} beside the button to confirm it"),
        )),
    };
    match (deleted, Editor::of(&api, &visitor, &batch).await) {
        (Ok(_), _) => Redirect::to(&format!("/t/{}", encoded(&visitor.tenant))).into_response(),
        (Err(problem), Ok(editor)) => editor.refuse(problem),
        (Err(_), Err(page)) => page.into_response(),
    }
}
