//! Plugins that want to see a secret, with the help of a server that says what it heard.

use std::io::Write as _;

use super::*;

const URL: &str = "http://metrics.example.com/echo";
const SECRET: &str = "s3cr3t/+\u{e4}-0123456789";

/// A server whose answer is the request that it got, made into headers and a body by `form`.
async fn echo(form: impl Fn(String) -> Vec<u8> + Send + Sync + 'static) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let got = request(&mut stream).await;
            told.lock().unwrap().push(got.clone());
            let _ = stream.write_all(&form(got)).await;
        }
    });
    (port, heard)
}

fn world(port: u16, secret: &str) -> World {
    let here = vec!["http://metrics.example.com".to_owned()];
    let other = (Secret::new("other-secret"), here.clone());
    let secrets = [("token".to_owned(), (Secret::new(secret), here)), ("other".to_owned(), other)].into();
    World { secrets, ..World::new(port) }
}

fn post(body: &str, blanks: &[(&str, &str)]) -> Request {
    let blank = |&(placeholder, slot): &(&str, &str)| Blank { placeholder: placeholder.into(), slot: slot.into() };
    Request { method: Method::Post, body: body.into(), blanks: blanks.iter().map(blank).collect(), ..get(URL) }
}

fn bearer(slot: &str) -> Option<Auth> {
    Some(Auth::Bearer(slot.into()))
}

/// All that a plugin got, as one text.
fn seen(answer: &Answer) -> String {
    let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
    headers + &String::from_utf8_lossy(&answer.body)
}

#[tokio::test]
async fn one_secret_does_not_pull_another_apart() {
    let (port, heard) = echo(|got| ok("", got.split_once("\r\n\r\n").unwrap().1)).await;
    let world = world(port, SECRET);
    // Filled one after the other, the second blank would leave a torn secret that nothing finds.
    let answer = world.open().send(post("TOKEN", &[("TOKEN", "token"), ("s3cr", "other")])).await.unwrap();
    assert_eq!(seen(&answer), "[secret]");
    assert!(heard.lock().unwrap()[0].ends_with(SECRET));
}

#[tokio::test]
async fn a_secret_url_is_not_for_guessing() {
    let (port, heard) = echo(|_| ok("", "")).await;
    let world = world(port, "http://metrics.example.com/hooks/T0/B0");
    for guess in ["hooks/T0", "hooks/T1"] {
        let request = Request { target: Target::Secret("token".into()), ..post("", &[(guess, "other")]) };
        world.open().send(request).await.unwrap();
    }
    // Both alike: whether a guess is right shows nowhere.
    let lines: Vec<_> = heard.lock().unwrap().iter().map(|got| got.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["POST /hooks/T0/B0 HTTP/1.1"; 2]);
}

#[tokio::test]
async fn a_secret_is_found_in_bodies_that_come_compressed_and_in_headers() {
    let (port, _) = echo(|got| {
        let line = got.lines().find(|line| line.starts_with("authorization")).unwrap().to_owned();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(got.as_bytes()).unwrap();
        let name: String = line.chars().skip("authorization: Bearer ".len()).collect();
        ok(&format!("content-encoding: gzip\r\nx-heard: {line}\r\n{name}: 1\r\n"), packer.finish().unwrap())
    })
    .await;
    let world = world(port, "s3cr3t-0123456789");
    let answer = world.open().send(Request { auth: bearer("token"), ..get(URL) }).await.unwrap();
    let seen = seen(&answer);
    insta::assert_snapshot!(seen.replace(concat!("anomd/", env!("CARGO_PKG_VERSION")), "anomd"), @r#"
    x-heard: authorization: Bearer [secret]
    [secret]: 1
    GET /echo HTTP/1.1
    authorization: Bearer [secret]
    host: metrics.example.com
    accept-encoding: gzip
    accept: */*
    user-agent: anomd
    "#);
}

#[tokio::test]
async fn an_encoding_or_a_part_that_would_hide_a_secret_is_refused() {
    let (port, heard) = echo(|got| ok("content-encoding: br\r\n", got)).await;
    let world = world(port, SECRET);
    let mut texts = Vec::new();
    let mut send = async |headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sent = world.open().send(Request { auth: bearer("token"), headers, ..get(URL) }).await;
        texts.push(format!("{:?}", sent.unwrap_err()));
    };
    send(&[("accept-encoding", "br")]).await;
    send(&[("Range", "bytes=0-4")]).await;
    assert_eq!(heard.lock().unwrap().len(), 0);
    send(&[]).await;
    insta::assert_snapshot!(texts.join("\n"), @r#"
    Invalid("header accept-encoding belongs to the host")
    Invalid("a request with secrets asks for the whole answer: leave out range")
    Transport("the answer has an encoding that was not asked for: only gzip was")
    "#);
}

#[tokio::test]
async fn a_secret_goes_to_its_own_origin_and_no_look_alike() {
    let (port, heard) = echo(|_| ok("", "")).await;
    let mut world = world(port, SECRET);
    world.names =
        Names::new([("metrics.example.com", &["93.184.216.34"][..]), ("a.example.com", &["93.184.216.34"][..])]);
    world.grants.origins = ["", ":8080"].iter().flat_map(|port| [format!("http://*.example.com{port}")]).collect();
    let mut texts = Vec::new();
    for url in ["http://a.example.com/", "http://metrics.example.com:8080/"] {
        let Err(Fault::Denied(why)) = world.open().send(Request { auth: bearer("token"), ..get(url) }).await else {
            panic!("{url} got the secret")
        };
        texts.push(why);
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
    secret "token" of tenant "acme" may not be sent to http://a.example.com: add "http://a.example.com" to tenants.acme.secrets.token.origins in anomd.yaml
    secret "token" of tenant "acme" may not be sent to http://metrics.example.com:8080: add "http://metrics.example.com:8080" to tenants.acme.secrets.token.origins in anomd.yaml
    "#);
    assert_eq!(heard.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    let (port, _) = says("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nx").await;
    let url = "http://metrics.example.com/hooks/T0/B0-0123456789";
    let shows = |fault: &Fault| format!("{fault:?}").contains("B0-");
    let target = |slot: &str| Request { target: Target::Secret(slot.into()), ..get("") };
    for secret in [
        url.to_owned(),
        url.replace("http:", "gopher:"),
        url.replace("metrics", "user:pass@metrics"),
        url.replace("metrics", "elsewhere"),
        url.replace("example", "exa mple"),
        format!("{url}{}", "x".repeat(70_000)),
        url.replace("http://", ""),
    ] {
        let fault = world(port, &secret).open().send(target("token")).await.unwrap_err();
        assert!(!shows(&fault), "{secret}: {fault:?}");
    }
    let unsendable = world(port, "B0-\r\nHost: evil.org");
    let fault = unsendable.open().send(Request { auth: bearer("token"), ..get(URL) }).await.unwrap_err();
    assert!(!shows(&fault), "{fault:?}");
}

#[tokio::test]
async fn a_secret_cannot_smuggle_a_header_or_an_origin() {
    let (port, heard) = echo(|_| ok("", "")).await;
    let world = world(port, "x HTTP/1.1\r\nHost: evil.org\r\n\r\n@169.254.169.254/#");
    let filled = Request { target: Target::Url(format!("{URL}/TOKEN?q=TOKEN")), ..post("", &[("TOKEN", "token")]) };
    world.open().send(filled).await.unwrap();
    let heard = heard.lock().unwrap()[0].clone();
    insta::assert_snapshot!(heard.lines().take(2).collect::<Vec<_>>().join("\n"), @r#"
    POST /echo/x%20HTTP%2F1.1%0D%0AHost%3A%20evil.org%0D%0A%0D%0A%40169.254.169.254%2F%23?q=x%20HTTP%2F1.1%0D%0AHost%3A%20evil.org%0D%0A%0D%0A%40169.254.169.254%2F%23 HTTP/1.1
    host: metrics.example.com
    "#);
}
