//! Attacks by way of what an ingester may call: requests and kept bytes.

use tokio::io::AsyncReadExt as _;

use super::*;

#[tokio::test]
async fn a_call_that_is_dropped_in_the_middle_of_a_request() {
    let scene = Scene::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let grants = Grants {
        origins: vec![format!("http://127.0.0.1:{port}")],
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..Grants::default()
    };
    let ingester = scene.evil("ingester").await.ingester(Use { grants, ..usage() }).unwrap();
    let config = json!({"in": "fetch", "attack": "http", "url": format!("http://127.0.0.1:{port}/")}).to_string();
    for _ in 0..20 {
        let (call, _) = call();
        let window = Window { span: 0..60_000, step_ms: 60_000 };
        let fetch = ingester.fetch(&call, &config, &window, None);
        let arrived = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.read_u8().await.unwrap();
            connection
        };
        // The request is there, the answer never comes: the call is dropped.
        tokio::select! {
            _ = fetch => panic!("nobody answered"),
            connection = arrived => drop(connection),
        }
    }
    scene.survives(std::future::ready(())).await;
}

#[tokio::test]
async fn requests_that_are_too_large_are_not_sent() {
    let limits = Limits { call_cpu_ms: 10_000, ..small() };
    Scene::with(limits).await.shrugs_off("fetch", "http-at-length").await;
}

#[tokio::test]
async fn requests_without_end() {
    let expected = "limit: it used more than the 50ms of CPU time that a call may use";
    Scene::new().await.refuses("fetch", "http-without-end", expected).await;
}

#[tokio::test]
async fn kept_bytes_without_end() {
    let limits = Limits { call_cpu_ms: 10_000, kv_bytes: 1 << 20, ..small() };
    let said = Scene::with(limits).await.attack("fetch", "kv-bomb").await;
    assert!(said.contains("after 17 keys there was an end"), "{said}");
}

#[tokio::test]
async fn kept_bytes_written_and_read_without_end() {
    let expected = "limit: it used more than the 50ms of CPU time that a call may use";
    Scene::new().await.refuses("fetch", "kv-without-end", expected).await;
}

#[tokio::test]
async fn giant_keys_and_values_are_not_kept() {
    let limits = Limits { call_cpu_ms: 10_000, ..small() };
    Scene::with(limits).await.shrugs_off("fetch", "kv-giants").await;
}
