//! Where a request goes: URLs that want to be somewhere else than they look.

use ipnet::IpNet;

use super::*;

/// All that an operator can grant.
fn everywhere() -> Vec<IpNet> {
    vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]
}

#[tokio::test]
async fn nothing_is_reached_by_default() {
    let mut world = World::new(1);
    world.grants = Grants::default();
    insta::assert_snapshot!(world.refusal("https://metrics.example.com/").await, @r#""#);
    // Not even its name is looked up: that would tell a secret to whoever has the domain.
    assert_eq!((world.names.asked().len(), world.wire.tried().len()), (0, 0));
}

#[tokio::test]
async fn a_metadata_address_is_refused_however_it_is_spelled() {
    let mut world = World::new(1);
    world.grants.networks = everywhere();
    let mut texts = Vec::new();
    for host in [
        "169.254.169.254",
        "169.254.43518",
        "0xa9fea9fe",
        "0xa9.0xfe.0xa9.0xfe",
        "0251.0376.0251.0376",
        "2852039166",
        "169。254。169。254",
        "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
        "%31%36%39.254.169.254",
        "169.254.169.254.",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[::169.254.169.254]",
        "[::ffff:0:169.254.169.254]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::169.254.169.254]",
        "[2002:a9fe:a9fe::1]",
        "[2606:2800::5efe:a9fe:a9fe]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "0",
        "[::]",
        "255.255.255.255",
        "224.0.0.1",
    ] {
        let url = format!("http://{host}/latest/meta-data");
        // Granted, so that the address alone stands in the way.
        world.grants.origins = vec![url.parse::<Origin>().unwrap().to_string()];
        texts.push(world.refusal(&url).await);
    }
    insta::assert_snapshot!(texts.join("\n"), @r#""#);
    assert_eq!(world.wire.tried(), [""; 0]);
}

#[tokio::test]
async fn a_name_of_a_metadata_service_is_refused() {
    let mut world = World::new(1);
    world.grants.networks = everywhere();
    world.names = Names::new([
        ("metadata.google.internal", &["169.254.169.254"][..]),
        ("mapped.example.com", &["::ffff:169.254.169.254"][..]),
        ("many.example.com", &["169.254.169.254 fe80::1 0.0.0.0"][..]),
    ]);
    world.grants.origins = ["metadata.google.internal", "*.example.com"].map(|host| format!("http://{host}")).into();
    let mut texts = Vec::new();
    for host in ["metadata.google.internal", "mapped.example.com", "many.example.com"] {
        texts.push(world.refusal(&format!("http://{host}/")).await);
    }
    insta::assert_snapshot!(texts.join("\n"), @r#""#);
    assert_eq!(world.wire.tried(), [""; 0]);
}

#[tokio::test]
async fn loopback_needs_its_network_however_it_is_spelled() {
    let mut world = World::new(1);
    let mut texts = Vec::new();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "①②⑦.⓪.⓪.①",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
    ] {
        let url = format!("http://{host}:9090/");
        world.grants.origins = vec![url.parse::<Origin>().unwrap().to_string()];
        texts.push(world.refusal(&url).await);
    }
    insta::assert_snapshot!(texts.join("\n"), @r#""#);
    assert_eq!(world.wire.tried(), [""; 0]);
}

#[tokio::test]
async fn a_private_prometheus_is_refused_with_what_to_grant_and_reached_with_it() {
    let (port, _) = says(ok("", "up")).await;
    let mut world = World::new(port);
    world.grants.origins = vec!["http://inside.example.com:9090".into(), "http://10.1.2.3:9090".into()];
    let texts = [world.refusal("http://inside.example.com:9090/").await, world.refusal("http://10.1.2.3:9090/").await];
    insta::assert_snapshot!(texts.join("\n"), @r#""#);
    world.grants.networks = vec!["10.1.2.3/32".parse().unwrap()];
    for url in ["http://inside.example.com:9090/api", "http://10.1.2.3:9090/api"] {
        assert_eq!(world.get(url).await.unwrap().body, b"up");
    }
    assert_eq!(world.wire.tried(), ["10.1.2.3:9090"; 2]);
    // The operator's own tenant has no policy to widen.
    world.grants.networks.clear();
    let fault = world.grant(&world.net(), "default", "probe").open().send(get("http://10.1.2.3:9090/")).await;
    let Err(Fault::Denied(text)) = fault else { panic!("{fault:?}") };
    insta::assert_snapshot!(text, @r#""#);
}

#[tokio::test]
async fn what_looks_like_a_granted_host_is_not_one() {
    let world = World::new(1);
    let mut texts = Vec::new();
    for url in [
        "http://metrics.example.com@169.254.169.254/",
        "http://metrics.example.com:80@10.0.0.1/",
        "http://user@metrics.example.com/",
        "http://:pass@metrics.example.com/",
        "http://10.0.0.1#@metrics.example.com/",
        "http://10.0.0.1?@metrics.example.com/",
        "http://10.0.0.1\\@metrics.example.com/",
        "http://metrics.example.com.evil.org/",
        "http://metrics.example.com\t.evil.org/",
        "http://metrics.example.com./",
        "http://metrics.example.com%2eevil.org/",
        "http://metrics.example.com%00.evil.org/",
        // A Cyrillic е.
        "http://m\u{435}trics.example.com/",
        "http://metrics.example.com:8080/",
        "http://metrics.example.com:22/",
        "http://metrics.example.com:0/",
        "http://metrics.example.com:65616/",
        "http://metrics.example.com:80:22/",
        "https://metrics.example.com:80/",
        "http://inside.example.com/",
        "https://example.com/",
        "https://*.example.com/",
        "//metrics.example.com/",
        "metrics.example.com",
        "http:///",
        "file://metrics.example.com/etc/passwd",
        "gopher://metrics.example.com/",
        "ftp://metrics.example.com/",
        "unix:///run/docker.sock",
        "data:text/plain,x",
    ] {
        texts.push(format!("{url}\n  {}", world.refusal(url).await));
    }
    insta::assert_snapshot!(texts.join("\n"), @r#""#);
    assert_eq!((world.names.asked(), world.wire.tried()), (vec![], vec![]));
}

#[tokio::test]
async fn spellings_of_a_granted_origin_are_that_origin() {
    let (port, heard) = says(ok("", "")).await;
    let world = World::new(port);
    for url in [
        "HTTP://METRICS.EXAMPLE.COM/",
        "http://metrics.example.com:80/",
        "http:metrics.example.com",
        "http:\\\\metrics.example.com\\",
        "http://metrics。example｡com/",
        "http://met\u{ad}rics.example.com/",
        "http://metr%69cs.example.com/",
    ] {
        assert_eq!(world.refusal(url).await, "reached: 200", "{url}");
    }
    let heard = heard.lock().unwrap().clone();
    assert!(heard.iter().all(|got| got.contains("\r\nhost: metrics.example.com\r\n")), "{heard:?}");
    assert_eq!(world.wire.tried(), ["93.184.216.34:80"; 7]);
}

#[tokio::test]
async fn an_absolute_uri_in_the_path_stays_a_path() {
    let (port, heard) = says(ok("", "")).await;
    let world = World::new(port);
    for path in [
        "http://169.254.169.254/latest",
        "/169.254.169.254/latest",
        "\\169.254.169.254/latest",
        "@169.254.169.254/latest",
        "../../@169.254.169.254",
        "%0d%0aHost:%20evil.org",
        "\r\nHost: evil.org",
        "a HTTP/1.1",
    ] {
        assert_eq!(world.refusal(&format!("http://metrics.example.com/{path}")).await, "reached: 200", "{path}");
    }
    let lines: Vec<_> = heard.lock().unwrap().iter().map(|got| got.lines().next().unwrap().to_owned()).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#""#);
    let heard = heard.lock().unwrap().clone();
    assert!(heard.iter().all(|got| got.matches("\r\nhost: metrics.example.com\r\n").count() == 1), "{heard:?}");
}

#[tokio::test]
async fn headers_of_the_connection_are_not_a_plugins_to_set() {
    let world = World::new(1);
    let mut texts = Vec::new();
    for (name, value) in [
        ("Host", "169.254.169.254"),
        ("Connection", "close"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("Upgrade", "websocket"),
        ("Expect", "100-continue"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Keep-Alive", "x"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "x"),
        ("Accept-Encoding", "br"),
        ("x y", "z"),
        ("x:", "z"),
        ("x", "y\r\nHost: evil.org"),
        ("x", "y\0"),
    ] {
        let request = Request { headers: vec![(name.into(), value.into())], ..get("http://metrics.example.com/") };
        let Err(Fault::Invalid(why)) = world.open().send(request).await else { panic!("{name} was sent") };
        texts.push(why);
    }
    insta::assert_snapshot!(texts.join("\n"), @r#""#);
    let many = |n: usize| (0..n).map(|i| (format!("x-{i}"), String::new())).collect();
    let request = Request { headers: many(101), ..get("http://metrics.example.com/") };
    insta::assert_debug_snapshot!(world.open().send(request).await.unwrap_err(), @r#""#);
    let request = Request { headers: vec![("x".into(), "y".repeat(70_000))], ..get("http://metrics.example.com/") };
    assert_eq!(world.open().send(request).await, Err(Fault::TooLarge(65_536)));
    let long = format!("http://metrics.example.com/{}", "x".repeat(70_000));
    assert_eq!(world.get(&long).await, Err(Fault::TooLarge(65_536)));
    assert_eq!(world.wire.tried(), [""; 0]);
}
