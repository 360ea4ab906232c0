//! Servers that answer too much, too slowly, or nonsense.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const URL: &str = "http://metrics.example.com/";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// What became of a request to a server that says this.
async fn outcome(answer: impl AsRef<[u8]>) -> Result<Answer, Fault> {
    World::new(says(answer).await.0).get(URL).await
}

/// Says this once, and that again and again until nobody listens.
async fn forever(first: Vec<u8>, again: Vec<u8>) -> (u16, Heard) {
    server(move |mut stream| {
        let (first, again) = (first.clone(), again.clone());
        async move {
            let mut open = stream.write_all(&first).await.is_ok();
            while open {
                open = stream.write_all(&again).await.is_ok();
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    for headers in ["", "transfer-encoding: chunked\r\n"] {
        let part = if headers.is_empty() { vec![b'x'; 1_000] } else { b"5\r\nxxxxx\r\n".repeat(100) };
        let (port, _) = forever(ok(headers, ""), part).await;
        assert_eq!(World::new(port).get(URL).await, Err(Fault::TooLarge(100_000)));
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_not_awaited() {
    let (port, _) = server(async |mut stream| {
        stream.write_all(&ok("content-length: 10000000000\r\n", "x")).await.unwrap();
        std::future::pending().await
    })
    .await;
    assert_eq!(World::new(port).get(URL).await, Err(Fault::TooLarge(100_000)));
}

#[tokio::test]
async fn a_decompression_bomb_ends_at_the_limit() {
    let bomb = gzip(&vec![0; 50_000_000]);
    assert!(bomb.len() < 60_000, "small as it comes");
    assert_eq!(outcome(ok("content-encoding: gzip\r\n", &bomb)).await, Err(Fault::TooLarge(100_000)));
    // Members that unpack to nothing, without end.
    let (port, _) = forever(ok("content-encoding: gzip\r\n", ""), gzip(b"").repeat(100)).await;
    assert_eq!(World::new(port).get(URL).await, Err(Fault::TooLarge(100_000)));
    let fits = gzip(&vec![b'x'; 100_000]);
    let answer = outcome(ok("content-encoding: gzip\r\n", fits)).await.unwrap();
    assert_eq!((answer.body.len(), answer.headers), (100_000, vec![]));
}

#[tokio::test]
async fn an_answer_in_an_encoding_that_nobody_asked_for_is_refused() {
    let mut texts = Vec::new();
    for (headers, body) in [
        ("content-encoding: br\r\n", b"x".to_vec()),
        ("content-encoding: deflate\r\n", b"x".to_vec()),
        ("content-encoding: gzip, gzip\r\n", gzip(&gzip(b"x"))),
        ("content-encoding: gzip\r\ncontent-encoding: gzip\r\n", gzip(&gzip(b"x"))),
        ("content-encoding: \x1b[31m\r\n", b"x".to_vec()),
        ("content-encoding: gzip\r\n", b"not gzip".to_vec()),
        ("content-encoding: gzip\r\n", gzip(&[b'x'; 1_000])[..20].to_vec()),
    ] {
        texts.push(format!("{:?}", outcome(ok(headers, body)).await.unwrap_err()));
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
    Transport("the answer has an encoding that was not asked for: only gzip was")
    Transport("the answer has an encoding that was not asked for: only gzip was")
    Transport("the answer has an encoding that was not asked for: only gzip was")
    Transport("the answer has an encoding that was not asked for: only gzip was")
    Transport("the exchange failed: invalid HTTP header parsed")
    Transport("the answer is broken gzip")
    Transport("the answer is broken gzip")
    "#);
}

#[tokio::test]
async fn oversize_headers_end_the_exchange() {
    let lines = (0..200).map(|i| format!("x-{i}: y\r\n")).collect::<String>();
    let text = "the answer has more than 100 headers, or 65536 bytes of them";
    let oversize = Err(Fault::Transport(text.into()));
    for headers in [format!("x: {}\r\n", "y".repeat(100_000)), lines] {
        assert_eq!(outcome(ok(&headers, "")).await, oversize);
    }
    for (first, again) in [("HTTP/1.1 200 OK\r\nx: ", "y"), ("HTTP/1.1 200 OK\r\n", "x: y\r\n"), ("HTTP/1.1 200 ", "y")]
    {
        let (port, _) = forever(first.into(), again.repeat(100).into()).await;
        assert_eq!(World::new(port).get(URL).await, oversize, "{first}");
    }
}

#[tokio::test]
async fn chunks_and_trailers_without_end_end_the_exchange() {
    let chunked = "transfer-encoding: chunked\r\n";
    for (first, again) in [("5;", "x=y;"), ("0\r\n", "x: y\r\n"), ("fffffffffffffffff\r\n", "x"), ("-1\r\n", "x")] {
        let (port, _) = forever(ok(chunked, first), again.repeat(100).into()).await;
        let fault = World::new(port).get(URL).await;
        assert!(matches!(fault, Err(Fault::Transport(_))), "{first:?} {again:?}: {fault:?}");
    }
    // Zeros before the size of a chunk cost nothing but time, which ends.
    let mut world = World::new(forever(ok(chunked, ""), b"0".repeat(100)).await.0);
    world.limits.http_total_ms = 100;
    assert_eq!(world.get(URL).await, Err(Fault::Timeout));
}

#[tokio::test]
async fn what_is_no_http_is_told_without_what_it_was() {
    let mut texts = Vec::new();
    for answer in [
        "",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/1.1 999999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx\0: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort",
    ] {
        let text = format!("{:?}", outcome(answer).await.map(|answer| answer.status));
        assert!(!text.contains("SSH") && !text.contains("hello"), "{text}");
        texts.push(text);
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
    Err(Transport("the exchange failed: connection closed before message completed"))
    Err(Transport("the exchange failed: invalid HTTP version parsed"))
    Err(Transport("the exchange failed: invalid HTTP version parsed"))
    Err(Transport("the exchange failed: invalid HTTP status-code parsed"))
    Err(Transport("the exchange failed: invalid HTTP header parsed"))
    Err(Transport("the exchange failed: invalid content-length parsed"))
    Err(Transport("the exchange failed: invalid content-length parsed"))
    Err(Transport("the exchange failed: end of file before message length reached"))
    "#);
}

#[tokio::test]
async fn hop_by_hop_headers_stay_with_the_host() {
    let answer = ok(
        "connection: x-inner, close\r\nx-inner: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic\r\n\
         proxy-connection: close\r\nte: trailers\r\ntrailer: x\r\nupgrade: h2c\r\ncontent-length: 2\r\n\
         content-type: text/plain\r\nretry-after: 5\r\nx-latin: \u{fc}\r\n",
        "ok",
    );
    let answer = outcome(answer).await.unwrap();
    insta::assert_snapshot!(
        answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n"),
        @r#"
    content-type: text/plain
    retry-after: 5
    x-latin: ü
    "#
    );
}

#[tokio::test]
async fn a_body_that_drips_ends_with_the_time_of_the_request() {
    // Each part comes in time for a limit that looks at parts alone.
    let (port, _) = server(async |mut stream| {
        let mut open = stream.write_all(&ok("", "")).await.is_ok();
        while open {
            tokio::time::sleep(Duration::from_millis(5)).await;
            open = stream.write_all(b"x").await.is_ok();
        }
    })
    .await;
    let mut world = World::new(port);
    world.limits.http_total_ms = 100;
    assert_eq!(world.get(URL).await, Err(Fault::Timeout));
    let hurried = Request { timeout: Some(Duration::from_millis(50)), ..get(URL) };
    assert_eq!(World::new(port).open().send(hurried).await, Err(Fault::Timeout));
}

#[tokio::test]
async fn an_answer_that_does_not_begin_ends_with_the_time_of_the_first_byte() {
    let silent = async |_stream| std::future::pending().await;
    let mut world = World::new(server(silent).await.0);
    // The whole has all the time of the test.
    world.limits = Limits { http_first_byte_ms: 50, http_total_ms: 3_600_000, ..world.limits };
    assert_eq!(world.get(URL).await, Err(Fault::Timeout));
    // Answers to come, without end, are no beginning.
    let (port, _) = forever(Vec::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec()).await;
    world.wire = Wire::to(port);
    assert_eq!(world.get(URL).await, Err(Fault::Timeout));
}

#[tokio::test]
async fn a_connection_that_is_not_made_ends_with_its_own_time() {
    struct Silent;
    #[async_trait::async_trait]
    impl Connect for Silent {
        async fn connect(&self, _: std::net::SocketAddr) -> std::io::Result<TcpStream> {
            std::future::pending().await
        }
    }
    let mut world = World::new(1);
    world.limits = Limits { http_connect_ms: 50, http_first_byte_ms: 3_600_000, ..world.limits };
    let net = Net::new(Arc::clone(&world.names) as _, Arc::new(Silent));
    let sent = world.grant(&net, "acme", "probe").open().send(get(URL)).await;
    assert_eq!(sent, Err(Fault::Timeout));
    // Nor is one whose TLS is never spoken.
    let (listener, port) = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    };
    world.wire = Wire::to(port);
    assert_eq!(world.get("https://metrics.example.com/").await, Err(Fault::Timeout));
    drop(listener);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_gets_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut heard = Vec::new();
        // It may be cut off.
        let _ = stream.read_to_end(&mut heard).await;
        heard
    });
    let fault = World::new(port).get("https://metrics.example.com/SECRET-PATH").await;
    assert!(matches!(&fault, Err(Fault::Transport(why)) if why.starts_with("cannot connect: ")), "{fault:?}");
    let heard = heard.await.unwrap();
    assert!(!heard.windows(11).any(|window| window == b"SECRET-PATH"));
}
