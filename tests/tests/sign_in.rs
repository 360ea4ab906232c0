//! Browsers that are signed in: what their cookie is, what it allows, and when it ends.

#![expect(clippy::unwrap_used, reason = "tests")]

use anomd_tests::{Anomd, Api, Server, Visitor, journey, or_skip, until};
use serde_json::{Value, json};

/// A token of a tenant.
fn token(anomd: &Anomd, tenant: &str, scope: &str) -> String {
    anomd.run(&["tenant", "token", tenant, scope, "--scope", scope]).done().stdout.trim().to_owned()
}

/// A node with the tenants `shop` and `rival`.
fn shared(config: &str) -> (Anomd, Server, String) {
    let anomd = Anomd::new();
    anomd.config(config);
    for tenant in ["shop", "rival"] {
        anomd.run(&["tenant", "create", tenant]).done();
    }
    let (server, url) = anomd.serve();
    (anomd, server, url)
}

/// The CSRF token of the session that a browser has.
fn csrf(browser: &mut Visitor) -> String {
    browser.get("/sign-in").csrf().unwrap()
}

fn silence() -> Value {
    json!({"matchers": "job=\"x\"", "author": "ana", "end": "2999-01-01T00:00:00Z"})
}

const SILENCES: &str = "/api/v1/tenants/shop/silences";

#[test]
fn a_token_becomes_a_session_that_scripts_cannot_read_and_the_store_does_not_have() {
    let (anomd, server, url) = shared("");
    let mut browser = Visitor::new(&url);
    assert_eq!(browser.get(SILENCES).status, 401);
    let refused = browser.sign_in("anomd_0011223344556677_not-a-token");
    assert_eq!((refused.status, refused.set_cookies.len()), (401, 0), "{refused:?}");
    assert!(refused.text.contains("This token is not known here"), "{refused:?}");

    let shop = token(&anomd, "shop", "operate");
    let done = browser.submit("/sign-in", &[("token", &shop), ("next", "/t/shop/alerts?state=firing")]);
    assert_eq!((done.status, done.header("location")), (303, "/t/shop/alerts?state=firing"), "{done:?}");
    let cookie = done.set_cookies[0].clone();
    for flag in ["anomd-session=", "; Path=/", "; Max-Age=", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(flag), "{flag} is not in {cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    assert_eq!(browser.get(SILENCES).status, 200);

    // It outlives the node, whose store has nothing by which somebody could sign in.
    let secret = browser.cookies()["anomd-session"].clone();
    assert_eq!(server.stop(), Some(0));
    anomd.run(&["backup", "kept"]).done();
    let kept = std::fs::read(anomd.home().join("kept")).unwrap();
    assert!(!kept.windows(secret.len()).any(|window| window == secret.as_bytes()), "the session lies in the store");
    let (_server, url) = anomd.serve();
    let mut again = Visitor::new(&url);
    let cookie = format!("anomd-session={secret}");
    assert_eq!(again.send("GET", SILENCES, &[("cookie", &cookie)], None).status, 200);
    // Through a proxy with TLS the cookie is for TLS alone.
    let encrypted = again.submit_from(&url.replace("http:", "https:"), "/sign-in", &[("token", &shop)]);
    let cookie = &encrypted.set_cookies[0];
    assert!(cookie.starts_with("__Host-anomd-session=") && cookie.contains("; Secure"), "{cookie}");
    // And nobody is led elsewhere.
    let led = again.submit("/sign-in", &[("token", &shop), ("next", "//evil.example.com/")]);
    assert_eq!(led.header("location"), "/t/shop");
}

#[test]
fn what_another_site_has_a_browser_send_changes_nothing() {
    let (anomd, _server, url) = shared("");
    let (operate, mut browser) = (token(&anomd, "shop", "operate"), Visitor::new(&url));
    let login = browser.submit_from("https://evil.example.com", "/sign-in", &[("token", &operate)]);
    assert_eq!((login.status, login.set_cookies.len()), (403, 0), "{login:?}");
    browser.sign_in(&operate);
    let csrf = csrf(&mut browser);
    let body = silence().to_string();
    let json = ("content-type", "application/json");
    let shown = ("x-csrf-token", csrf.as_str());
    for (what, headers) in [
        ("another site", vec![("sec-fetch-site", "cross-site"), shown]),
        ("another port of this machine", vec![("sec-fetch-site", "same-site"), shown]),
        ("another origin", vec![("origin", "https://evil.example.com"), shown]),
        ("a page without origin", vec![("origin", "null"), shown]),
        ("nobody says who", vec![shown]),
        ("no CSRF token", vec![("origin", url.as_str())]),
        ("another CSRF token", vec![("origin", url.as_str()), ("x-csrf-token", "AAAA")]),
    ] {
        let headers: Vec<_> = headers.into_iter().chain([json]).collect();
        let told = browser.send("POST", SILENCES, &headers, Some(body.clone()));
        assert_eq!((told.status, told.header("content-type")), (403, "application/problem+json"), "{what}: {told:?}");
    }
    // A form cannot name the header; what it sends without the field is refused too.
    assert_eq!(browser.submit(SILENCES, &[("author", "eve")]).status, 403);
    assert_eq!(browser.get(SILENCES).json()["items"], json!([]));
    // Nor can another site read by a script of its own, while a link to a page works.
    let reads = browser.send("GET", SILENCES, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")], None);
    assert_eq!(reads.status, 403);
    let follows =
        browser.send("GET", SILENCES, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], None);
    assert_eq!(follows.status, 200);

    let done = browser.change("POST", SILENCES, &csrf, &silence());
    assert_eq!(done.status, 200, "{done:?}");
    // A program with a token is no browser, and needs none of that.
    assert_eq!(Api::new(&url, Some(&operate)).send("POST", SILENCES, Some(&silence())).status, 200);
}

#[test]
fn a_session_ends_when_it_is_ended_with_its_token_and_in_time() {
    let (anomd, _server, url) = shared("");
    let shop = token(&anomd, "shop", "read");
    let (mut one, mut other) = (Visitor::new(&url), Visitor::new(&url));
    one.sign_in(&shop);
    other.sign_in(&shop);
    let copied = one.cookies()["anomd-session"].clone();
    assert_eq!(one.get(SILENCES).status, 200);
    assert_eq!(one.submit("/sign-out", &[("csrf", "AAAA")]).status, 403, "another site signs nobody out");
    let csrf = csrf(&mut one);
    let out = one.submit("/sign-out", &[("csrf", &csrf)]);
    assert_eq!((out.status, out.header("location")), (303, "/sign-in"), "{out:?}");
    assert!(one.cookies().is_empty());
    let replayed = one.send("GET", SILENCES, &[("cookie", &format!("anomd-session={copied}"))], None);
    assert_eq!(replayed.status, 401, "what was copied before has ended as well");

    assert_eq!(other.get(SILENCES).status, 200);
    let id = anomd.json(&["tenant", "token", "shop"])[0]["id"].as_str().unwrap().to_owned();
    anomd.run(&["tenant", "token", "shop", "--revoke", &id]).done();
    assert_eq!(other.get(SILENCES).status, 401, "the token is revoked");

    let (anomd, _server, url) = shared("  session_ms: 1000\n");
    let mut browser = Visitor::new(&url);
    assert_eq!(browser.sign_in(&token(&anomd, "shop", "read")).status, 303);
    until("its time is over", || (browser.get(SILENCES).status == 401).then_some(()));
}

#[test]
fn a_session_may_what_its_token_may_and_sees_no_other_tenant() {
    let (anomd, _server, url) = shared("");
    let signed_in = |tenant: &str, scope: &str| {
        let mut browser = Visitor::new(&url);
        assert_eq!(browser.sign_in(&token(&anomd, tenant, scope)).status, 303);
        let csrf = csrf(&mut browser);
        (browser, csrf)
    };
    let (mut viewer, of_viewer) = signed_in("shop", "read");
    assert_eq!(viewer.get(SILENCES).status, 200);
    let refused = viewer.change("POST", SILENCES, &of_viewer, &silence());
    assert!(refused.status == 403 && refused.text.contains("has the scope read, and operate is needed"), "{refused:?}");
    assert_eq!(viewer.get("/api/v1/tenants/shop/tokens").status, 403);
    let (mut rival, of_rival) = signed_in("rival", "admin");
    assert_eq!(rival.get(SILENCES).status, 404);
    assert_eq!(rival.change("POST", SILENCES, &of_rival, &silence()).status, 404);
    assert_eq!(rival.get("/api/v1/tenants").status, 403);
    let (mut operator, _) = signed_in("shop", "operate");
    assert_eq!(operator.change("POST", SILENCES, &of_viewer, &silence()).status, 403, "the CSRF token of another");

    let presence = std::fs::read_to_string(anomd.home().join("data/node.json")).unwrap();
    let presence: Value = serde_json::from_str(&presence).unwrap();
    let mut browser = Visitor::new(&url);
    assert_eq!(browser.sign_in(presence["token"].as_str().unwrap()).header("location"), "/");
    assert_eq!(browser.get("/api/v1/tenants").status, 200, "who has the node's own token is its operator");
    assert_eq!(browser.get("/api/v1/tenants/nobody/silences").status, 404);
}

#[test]
fn who_is_signed_in_acts_in_the_name_of_their_token_and_in_no_other() {
    let (anomd, _server, url) = shared("");
    let mut browser = Visitor::new(&url);
    browser.sign_in(&token(&anomd, "shop", "operate"));
    let csrf = csrf(&mut browser);
    let form = browser.get("/t/shop/silences");
    assert!(!form.text.contains("name=\"by\""), "{form:?}");
    let fields = [("csrf", csrf.as_str()), ("matchers", "job=x"), ("hours", "1"), ("by", "eve")];
    assert_eq!(browser.submit("/t/shop/silences", &fields).status, 303);
    assert_eq!(browser.get(SILENCES).json()["items"][0]["author"], "operate");
}

#[test]
fn the_description_says_how_a_browser_shows_who_it_is() {
    let (anomd, _server, url) = shared("");
    let mut browser = Visitor::new(&url);
    browser.sign_in(&token(&anomd, "shop", "operate"));
    let described = browser.get("/api/v1/openapi.json").json();
    let scheme = |name: &str| &described["components"]["securitySchemes"][name];
    assert_eq!((&scheme("session")["in"], &scheme("csrf")["in"]), (&json!("cookie"), &json!("header")));
    assert!(browser.cookies().contains_key(scheme("session")["name"].as_str().unwrap()));
    let path = &described["paths"]["/api/v1/tenants/{tenant}/silences"];
    assert_eq!(path["get"]["security"], json!([{"token": ["read"]}, {"session": ["read"]}]));
    let both = json!({"session": ["operate"], "csrf": ["operate"]});
    assert_eq!(path["post"]["security"], json!([{"token": ["operate"]}, both]));
    // What is described is what is done.
    let csrf = csrf(&mut browser);
    let (name, kind) = (scheme("csrf")["name"].as_str().unwrap(), ("content-type", "application/json"));
    let headers = [("origin", url.as_str()), kind, (name, csrf.as_str())];
    assert_eq!(browser.send("POST", SILENCES, &headers, Some(silence().to_string())).status, 200);
}

#[test]
fn who_tries_too_often_waits_and_is_told_how_long() {
    let (anomd, _server, url) = shared("  sign_ins_per_minute: 3\n  wrong_tokens_per_minute: 5\n");
    let shop = token(&anomd, "shop", "read");
    let mut browser = Visitor::new(&url);
    for _ in 0..3 {
        assert_eq!(browser.sign_in("wrong").status, 401);
    }
    let late = browser.sign_in(&shop);
    assert_eq!(late.status, 429, "the right token comes too late: {late:?}");
    let wait: u64 = late.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait) && late.text.contains(&format!("wait {wait} s")), "{late:?}");
    // Another address, as the proxy on this machine says it.
    let form = ("content-type", "application/x-www-form-urlencoded");
    let from = [("x-forwarded-for", "203.0.113.7"), ("origin", url.as_str()), form];
    assert_eq!(browser.send("POST", "/sign-in", &from, Some("token=wrong".to_owned())).status, 401);

    let wrong = Api::new(&url, Some("anomd_0011223344556677_x"));
    let told: Vec<u16> = (0..7).map(|_| wrong.get(SILENCES).status).collect();
    assert_eq!(told, [401, 401, 401, 401, 401, 429, 429]);
    assert_eq!(Api::new(&url, Some(&shop)).get(SILENCES).status, 200, "a right token is never refused for others");
}

#[test]
fn at_ones_own_machine_it_works_without_and_other_sites_cannot_use_that() {
    let anomd = Anomd::new();
    let (_server, url) = anomd.serve();
    let path = SILENCES.replace("shop", "default");
    let mut browser = Visitor::new(&url);
    assert_eq!(browser.get(&path).status, 200);
    let body = silence().to_string();
    let json = ("content-type", "application/json");
    for (what, header) in [
        ("another site", ("sec-fetch-site", "cross-site")),
        ("another port", ("sec-fetch-site", "same-site")),
        ("another origin", ("origin", "http://localhost:3000")),
    ] {
        assert_eq!(browser.send("POST", &path, &[header, json], Some(body.clone())).status, 403, "{what}");
    }
    for (what, header) in [
        ("a name that is led here", ("host", "evil.example.com")),
        ("a proxy that serves others", ("x-forwarded-for", "203.0.113.7")),
    ] {
        assert_eq!(browser.send("POST", &path, &[header, json], Some(body.clone())).status, 401, "{what}");
        assert_eq!(browser.send("GET", &path, &[header], None).status, 401, "{what}");
    }
    assert_eq!(browser.get(&path).json()["items"], json!([]));
    assert_eq!(browser.change("POST", &path, "", &silence()).status, 200);
    token(&anomd, "default", "read");
    assert_eq!(browser.get(&path).status, 401, "somebody has a token now, so everybody needs one");
}

#[test]
fn every_page_forbids_what_it_does_not_need() {
    let (_anomd, _server, url) = shared("");
    let page = Visitor::new(&url).get("/sign-in");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{rule} is not in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("referrer-policy", "same-origin"), ("cache-control", "no-store")]
    {
        assert_eq!(page.header(name), value);
    }
    for inline in ["<script>", "<style", " style=", " onclick="] {
        assert!(!page.text.contains(inline), "{inline}");
    }
}

#[test]
fn a_person_signs_in_makes_a_token_revokes_it_and_signs_out() {
    let (anomd, _server, url) = shared("");
    let token = token(&anomd, "shop", "admin");
    or_skip!(journey("sign_in", &url, &[("ANOMD_TOKEN", &token), ("ANOMD_OPERATOR", &anomd.operator())]));
}
