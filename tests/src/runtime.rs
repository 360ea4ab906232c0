//! One runtime for the servers of the tests, so that the tests themselves need not be async.

use std::net::SocketAddr;
use std::sync::OnceLock;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        // The workspace takes its TLS provider by hand, and a client wants one even for http.
        rustls::crypto::ring::default_provider().install_default().ok();
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// Waits for a future.
pub fn block<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

/// A task that ends with the value that holds it.
#[derive(Debug)]
pub struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a future in the background.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(runtime().spawn(future).abort_handle())
}

/// Serves a router on a free port.
pub fn serve(router: axum::Router) -> (SocketAddr, Task) {
    let listener = block(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let task = spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    (address, task)
}

/// A client for the tests' own questions.
pub fn client() -> reqwest::Client {
    runtime();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// The answer to a GET as JSON; `None` if there is none.
pub fn get(url: &str) -> Option<serde_json::Value> {
    let body = block(async { client().get(url).send().await?.error_for_status()?.bytes().await }).ok()?;
    serde_json::from_slice(&body).ok()
}

/// The status, the address that it leads on to, and the text of an answer: to a form that is
/// sent, or to a GET.
pub fn page(url: &str, form: Option<&str>) -> (u16, Option<String>, String) {
    block(async {
        let client = client();
        let request = match form {
            Some(form) => {
                client.post(url).header("content-type", "application/x-www-form-urlencoded").body(form.to_owned())
            }
            None => client.get(url),
        };
        let response = request.send().await.unwrap();
        let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (response.status().as_u16(), to, response.text().await.unwrap())
    })
}
