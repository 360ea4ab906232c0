//! How many requests are on their way at once.

use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn a_plugin_and_a_tenant_have_so_many_requests_on_their_way_and_others_wait() {
    let arrived = Arc::new(Notify::new());
    let told = Arc::clone(&arrived);
    let (port, _) = server(move |stream| {
        let told = Arc::clone(&told);
        async move {
            told.notify_one();
            let _open = stream;
            std::future::pending().await
        }
    })
    .await;
    let mut world = World::new(port);
    world.limits = Limits { http_in_flight_per_plugin: 1, http_in_flight_per_tenant: 2, ..world.limits };
    let net = world.net();
    let start = |tenant: &str, plugin: &str| {
        let mut http = world.grant(&net, tenant, plugin).open();
        tokio::spawn(async move { http.send(get("http://metrics.example.com/")).await })
    };
    let waits = async |tenant: &str, plugin: &str| {
        let mut http = world.grant(&net, tenant, plugin).open();
        let short = Request { timeout: Some(Duration::from_millis(50)), ..get("http://metrics.example.com/") };
        let before = world.wire.tried().len();
        assert_eq!(http.send(short).await, Err(Fault::Timeout), "{tenant} {plugin}");
        assert_eq!(world.wire.tried().len(), before, "{tenant} {plugin} was sent");
    };
    let first = start("acme", "one");
    arrived.notified().await;
    waits("acme", "one").await;
    // Another plugin has its own room, until the tenant's is full.
    let _second = start("acme", "two");
    arrived.notified().await;
    waits("acme", "three").await;
    // Another tenant has all of its own.
    let _other = start("shop", "one");
    arrived.notified().await;
    // A call that is dropped gives its room back.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let _third = start("acme", "three");
    arrived.notified().await;
}
