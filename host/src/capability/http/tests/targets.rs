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
    insta::assert_snapshot!(world.refusal("https://metrics.example.com/").await, @r#"denied: https://metrics.example.com is not granted to plugin "probe" for tenant "acme": add "https://metrics.example.com" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin https://metrics.example.com`"#);
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
    insta::assert_snapshot!(texts.join("\n"), @r#"
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 169.254.169.254 is a metadata, link-local or reserved address: no plugin may reach it
    denied: [::ffff:a9fe:a9fe] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [::ffff:a9fe:a9fe] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [::ffff:a9fe:a9fe] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [::a9fe:a9fe] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [::ffff:0:a9fe:a9fe] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [64:ff9b::a9fe:a9fe] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [64:ff9b:1::a9fe:a9fe] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [2002:a9fe:a9fe::1] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [2606:2800::5efe:a9fe:a9fe] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [fe80::1] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [fd00:ec2::254] is a metadata, link-local or reserved address: no plugin may reach it
    denied: [fd20:ce::254] is a metadata, link-local or reserved address: no plugin may reach it
    denied: 100.100.100.200 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 168.63.129.16 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 0.0.0.0 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 0.0.0.0 is a metadata, link-local or reserved address: no plugin may reach it
    denied: [::] is a metadata, link-local or reserved address: no plugin may reach it
    denied: 255.255.255.255 is a metadata, link-local or reserved address: no plugin may reach it
    denied: 224.0.0.1 is a metadata, link-local or reserved address: no plugin may reach it
    "#);
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
    insta::assert_snapshot!(texts.join("\n"), @r#"
    denied: metadata.google.internal is 169.254.169.254, a metadata, link-local or reserved address: no plugin may reach it
    denied: mapped.example.com is ::ffff:169.254.169.254, a metadata, link-local or reserved address: no plugin may reach it
    denied: many.example.com is 169.254.169.254, a metadata, link-local or reserved address: no plugin may reach it
    "#);
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
    insta::assert_snapshot!(texts.join("\n"), @r#"
    denied: 127.0.0.1 is a private address: add "127.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 127.0.0.1/32`
    denied: 127.0.0.1 is a private address: add "127.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 127.0.0.1/32`
    denied: 127.0.0.1 is a private address: add "127.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 127.0.0.1/32`
    denied: 127.0.0.1 is a private address: add "127.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 127.0.0.1/32`
    denied: 127.0.0.1 is a private address: add "127.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 127.0.0.1/32`
    denied: 127.0.0.1 is a private address: add "127.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 127.0.0.1/32`
    denied: [::1] is a private address: add "::1/128" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network ::1/128`
    denied: [::ffff:7f00:1] is a private address: add "127.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 127.0.0.1/32`
    denied: localhost is 127.0.0.1, a private address: add "127.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 127.0.0.1/32`
    "#);
    assert_eq!(world.wire.tried(), [""; 0]);
}

#[tokio::test]
async fn a_private_prometheus_is_refused_with_what_to_grant_and_reached_with_it() {
    let (port, _) = says(ok("", "up")).await;
    let mut world = World::new(port);
    world.grants.origins = vec!["http://inside.example.com:9090".into(), "http://10.1.2.3:9090".into()];
    let texts = [world.refusal("http://inside.example.com:9090/").await, world.refusal("http://10.1.2.3:9090/").await];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    denied: inside.example.com is 10.1.2.3, a private address: add "10.1.2.3/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 10.1.2.3/32`
    denied: 10.1.2.3 is a private address: add "10.1.2.3/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 10.1.2.3/32`
    "#);
    world.grants.networks = vec!["10.1.2.3/32".parse().unwrap()];
    for url in ["http://inside.example.com:9090/api", "http://10.1.2.3:9090/api"] {
        assert_eq!(world.get(url).await.unwrap().body, b"up");
    }
    assert_eq!(world.wire.tried(), ["10.1.2.3:9090"; 2]);
    // The operator's own tenant has no policy to widen.
    world.grants.networks.clear();
    let fault = world.grant(&world.net(), "default", "probe").open().send(get("http://10.1.2.3:9090/")).await;
    let Err(Fault::Denied(text)) = fault else { panic!("{fault:?}") };
    insta::assert_snapshot!(text, @r#"10.1.2.3 is a private address: add "10.1.2.3/32" to tenants.default.grants.probe.networks in anomd.yaml"#);
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
    insta::assert_snapshot!(texts.join("\n"), @r#"
    http://metrics.example.com@169.254.169.254/
      invalid: a URL with a user name is refused: put credentials into a secret slot
    http://metrics.example.com:80@10.0.0.1/
      invalid: a URL with a user name is refused: put credentials into a secret slot
    http://user@metrics.example.com/
      invalid: a URL with a user name is refused: put credentials into a secret slot
    http://:pass@metrics.example.com/
      invalid: a URL with a user name is refused: put credentials into a secret slot
    http://10.0.0.1#@metrics.example.com/
      denied: http://10.0.0.1 is not granted to plugin "probe" for tenant "acme": add "http://10.0.0.1" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://10.0.0.1`
    http://10.0.0.1?@metrics.example.com/
      denied: http://10.0.0.1 is not granted to plugin "probe" for tenant "acme": add "http://10.0.0.1" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://10.0.0.1`
    http://10.0.0.1\@metrics.example.com/
      denied: http://10.0.0.1 is not granted to plugin "probe" for tenant "acme": add "http://10.0.0.1" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://10.0.0.1`
    http://metrics.example.com.evil.org/
      denied: http://metrics.example.com.evil.org is not granted to plugin "probe" for tenant "acme": add "http://metrics.example.com.evil.org" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://metrics.example.com.evil.org`
    http://metrics.example.com	.evil.org/
      denied: http://metrics.example.com.evil.org is not granted to plugin "probe" for tenant "acme": add "http://metrics.example.com.evil.org" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://metrics.example.com.evil.org`
    http://metrics.example.com./
      denied: http://metrics.example.com. is not granted to plugin "probe" for tenant "acme": add "http://metrics.example.com." to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://metrics.example.com.`
    http://metrics.example.com%2eevil.org/
      denied: http://metrics.example.com.evil.org is not granted to plugin "probe" for tenant "acme": add "http://metrics.example.com.evil.org" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://metrics.example.com.evil.org`
    http://metrics.example.com%00.evil.org/
      invalid: the URL does not parse: invalid international domain name
    http://mеtrics.example.com/
      denied: http://xn--mtrics-3of.example.com is not granted to plugin "probe" for tenant "acme": add "http://xn--mtrics-3of.example.com" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://xn--mtrics-3of.example.com`
    http://metrics.example.com:8080/
      denied: http://metrics.example.com:8080 is not granted to plugin "probe" for tenant "acme": add "http://metrics.example.com:8080" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://metrics.example.com:8080`
    http://metrics.example.com:22/
      denied: http://metrics.example.com:22 is not granted to plugin "probe" for tenant "acme": add "http://metrics.example.com:22" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://metrics.example.com:22`
    http://metrics.example.com:0/
      invalid: the URL has no port
    http://metrics.example.com:65616/
      invalid: the URL does not parse: invalid port number
    http://metrics.example.com:80:22/
      invalid: the URL does not parse: invalid port number
    https://metrics.example.com:80/
      denied: https://metrics.example.com:80 is not granted to plugin "probe" for tenant "acme": add "https://metrics.example.com:80" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin https://metrics.example.com:80`
    http://inside.example.com/
      denied: http://inside.example.com is not granted to plugin "probe" for tenant "acme": add "http://inside.example.com" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://inside.example.com`
    https://example.com/
      denied: https://example.com is not granted to plugin "probe" for tenant "acme": add "https://example.com" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin https://example.com`
    https://*.example.com/
      denied: https://*.example.com is not granted to plugin "probe" for tenant "acme": add "https://*.example.com" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin https://*.example.com`
    //metrics.example.com/
      invalid: the URL does not parse: relative URL without a base
    metrics.example.com
      invalid: the URL does not parse: relative URL without a base
    http:///
      invalid: the URL does not parse: empty host
    file://metrics.example.com/etc/passwd
      invalid: the scheme is http or https, not file
    gopher://metrics.example.com/
      invalid: the scheme is http or https, not gopher
    ftp://metrics.example.com/
      invalid: the scheme is http or https, not ftp
    unix:///run/docker.sock
      invalid: the scheme is http or https, not unix
    data:text/plain,x
      invalid: the scheme is http or https, not data
    "#);
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
    insta::assert_snapshot!(lines.join("\n"), @r#"
    GET /http://169.254.169.254/latest HTTP/1.1
    GET //169.254.169.254/latest HTTP/1.1
    GET //169.254.169.254/latest HTTP/1.1
    GET /@169.254.169.254/latest HTTP/1.1
    GET /@169.254.169.254 HTTP/1.1
    GET /%0d%0aHost:%20evil.org HTTP/1.1
    GET /Host:%20evil.org HTTP/1.1
    GET /a%20HTTP/1.1 HTTP/1.1
    "#);
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
    insta::assert_snapshot!(texts.join("\n"), @r#"
    header host belongs to the host
    header connection belongs to the host
    header transfer-encoding belongs to the host
    header content-length belongs to the host
    header upgrade belongs to the host
    header expect belongs to the host
    header te belongs to the host
    header trailer belongs to the host
    header keep-alive belongs to the host
    header proxy-authorization belongs to the host
    header proxy-connection belongs to the host
    header accept-encoding belongs to the host
    "x y" is no header name
    "x:" is no header name
    the value of header x has a character that no header may have
    the value of header x has a character that no header may have
    "#);
    let many = |n: usize| (0..n).map(|i| (format!("x-{i}"), String::new())).collect();
    let request = Request { headers: many(101), ..get("http://metrics.example.com/") };
    let told = Fault::Invalid("a request has at most 100 headers, not 101".into());
    assert_eq!(world.open().send(request).await, Err(told));
    let request = Request { headers: vec![("x".into(), "y".repeat(70_000))], ..get("http://metrics.example.com/") };
    assert_eq!(world.open().send(request).await, Err(Fault::TooLarge(65_536)));
    let long = format!("http://metrics.example.com/{}", "x".repeat(70_000));
    assert_eq!(world.get(&long).await, Err(Fault::TooLarge(65_536)));
    assert_eq!(world.wire.tried(), [""; 0]);
}
