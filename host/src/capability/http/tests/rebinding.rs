//! Names that move, and servers that send elsewhere.

use super::*;

/// A server that keeps its connections, and answers with how many requests came over one.
async fn keeps() -> (u16, Heard) {
    server(async |mut stream| {
        for nth in 1.. {
            if stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{nth}").as_bytes()).await.is_err()
            {
                return;
            }
            if request(&mut stream).await.is_empty() {
                return;
            }
        }
    })
    .await
}

const URL: &str = "http://metrics.example.com/";

fn moving(port: u16, answers: &[&str]) -> World {
    World { names: Names::new([("metrics.example.com", answers)]), ..World::new(port) }
}

#[tokio::test]
async fn a_name_is_looked_up_once_a_request_and_what_was_checked_is_connected_to() {
    let (port, _) = says(ok("", "")).await;
    // Whoever looks it up twice connects to the second.
    let world = moving(port, &["93.184.216.34", "169.254.169.254"]);
    assert_eq!(world.get(URL).await.unwrap().status, 200);
    assert_eq!((world.names.asked().len(), world.wire.tried()), (1, vec!["93.184.216.34:80".to_owned()]));
}

#[tokio::test]
async fn a_name_that_moves_to_a_metadata_address_is_refused_though_a_connection_is_open() {
    let (port, heard) = keeps().await;
    let world = moving(port, &["93.184.216.34", "93.184.216.34", "169.254.169.254", "10.0.0.1"]);
    let mut http = world.open();
    assert_eq!(http.send(get(URL)).await.unwrap().body, b"1");
    assert_eq!(http.send(get(URL)).await.unwrap().body, b"2");
    let mut texts = Vec::new();
    for _ in 0..2 {
        let Err(Fault::Denied(why)) = http.send(get(URL)).await else { panic!("reached") };
        texts.push(why);
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
    metrics.example.com is 169.254.169.254, a metadata, link-local or reserved address: no plugin may reach it
    metrics.example.com is 10.0.0.1, a private address: add "10.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 10.0.0.1/32`
    "#);
    assert_eq!((world.wire.tried(), heard.lock().unwrap().len()), (vec!["93.184.216.34:80".to_owned()], 1));
}

#[tokio::test]
async fn a_connection_is_left_when_its_name_moves() {
    let (port, _) = keeps().await;
    let world = moving(port, &["93.184.216.34", "93.184.216.35"]);
    let mut http = world.open();
    assert_eq!(http.send(get(URL)).await.unwrap().body, b"1");
    assert_eq!(http.send(get(URL)).await.unwrap().body, b"1");
    assert_eq!(world.wire.tried(), ["93.184.216.34:80", "93.184.216.35:80"]);
}

#[tokio::test]
async fn of_mixed_addresses_only_those_permitted_are_tried() {
    let (port, _) = says(ok("", "")).await;
    let mixed = "169.254.169.254 10.0.0.1 93.184.216.34 ::1 93.184.216.35 fd00:ec2::254";
    let wire = Wire::but(port, &["93.184.216.34"]);
    let world = World { wire, ..moving(port, &[mixed]) };
    assert_eq!(world.get(URL).await.unwrap().status, 200);
    assert_eq!(world.wire.tried(), ["93.184.216.34:80", "93.184.216.35:80"]);
}

#[tokio::test]
async fn a_redirect_to_a_metadata_address_is_an_answer_and_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let answer = format!("HTTP/1.1 {status}\r\nLocation: http://169.254.169.254/latest\r\nRefresh: 0\r\n\r\n");
        let (port, heard) = says(answer).await;
        let world = World::new(port);
        assert_eq!(world.get(URL).await.unwrap().status.to_string(), status[..3]);
        assert_eq!((world.wire.tried().len(), heard.lock().unwrap().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_server_that_wants_another_protocol_gets_none() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
        "HTTP/1.1 421 Misdirected Request\r\nAlt-Svc: h3=\"169.254.169.254:80\"\r\n\r\n",
    ] {
        let (port, _) = says(answer).await;
        let world = World::new(port);
        let _ = world.get(URL).await;
        assert_eq!(world.wire.tried(), ["93.184.216.34:80"], "{answer}");
    }
}
