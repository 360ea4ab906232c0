//! Each limit is hit, and the fault says which, how much, and where to raise it.

use std::time::Duration;

use super::*;
use crate::config::Quotas;
use crate::fault::Blame;

#[tokio::test]
async fn memory_is_limited() {
    insta::assert_snapshot!(fault(&small(), act("allocate")).await, @r"
    tenant acme: plugin probe 0.1.0, fit: it wanted more than the 32 MiB of memory that an instance may have (blame: limit)
      raise limits.instance_memory_bytes in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn cpu_time_is_limited() {
    insta::assert_snapshot!(fault(&small(), act("spin")).await, @r"
    tenant acme: plugin probe 0.1.0, fit: it used more than the 100ms of CPU time that a call may use (blame: limit)
      raise limits.call_cpu_ms in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn what_a_plugin_says_of_itself_is_limited_too() {
    let plugin = plugin(&runtime(&small()), "probe_detector").await;
    let problems = plugin.check_config(&act("spin")).await;
    insta::assert_snapshot!(problems[0].message, @r"
    plugin probe 0.1.0, check: it used more than the 100ms of CPU time that a call may use (blame: limit)
      raise limits.call_cpu_ms in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn the_stack_is_limited() {
    insta::assert_snapshot!(fault(&small(), act("recurse")).await, @r"
    tenant acme: plugin probe 0.1.0, fit: its calls nested until the stack was full (blame: plugin)
      tell the plugin's author: a recursion without an end, or very large local arrays
    ");
}

#[tokio::test]
async fn what_crosses_at_once_is_limited() {
    let limits = Limits { crossing_bytes: 1 << 20, model_bytes: 8 << 20, ..small() };
    insta::assert_snapshot!(fault(&limits, json!({"do": "large", "n": 2 << 20})).await, @r"
    tenant acme: plugin probe 0.1.0, fit: it passed more than the 1 MiB that may cross to the host at once (blame: limit)
      raise limits.crossing_bytes in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn a_panic_is_told_in_the_words_of_its_author() {
    let text = fault(&small(), act("panic")).await;
    // The line number moves with every change of the guest.
    let text = text.split_once("lib.rs:").map_or(text.clone(), |(before, after)| {
        format!("{before}lib.rs:…{}", after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':'))
    });
    insta::assert_snapshot!(text, @r"
    tenant acme: plugin probe 0.1.0, fit: it trapped: wasm `unreachable` instruction executed, in anomd:plugin/detect@0.1.0#fit (blame: plugin)
      log: panicked at probe/detector/src/lib.rs:…
      log: index out of bounds: the len is 2 but the index is 1000000
      tell the plugin's author
    ");
}

#[tokio::test]
async fn log_lines_are_limited() {
    let detector = detector(&Limits { log_lines_per_call: 2, ..small() }, false).await;
    let (call, lines) = call();
    let config = json!({"do": "log", "n": 1_000}).to_string();
    detector.fit(&call, &config, &matrix(1, 2), &models(1)).await.unwrap();
    insta::assert_snapshot!(lines.0.lock().unwrap().join("\n"), @r"
    INFO probe: line 0 row=0
    INFO probe: line 1 row=0
    WARN probe: 998 more lines dropped (limits.log_lines_per_call)
    ");
}

#[tokio::test]
async fn random_bytes_are_limited() {
    let text = fault(&small(), json!({"do": "draw", "n": 100_000})).await;
    assert!(text.contains("random.draw of 100000 bytes, where 65536 are allowed"), "{text}");
}

#[tokio::test]
async fn a_spinning_guest_does_not_keep_others_from_running() {
    let limits = Limits { call_cpu_ms: 60_000, call_wall_ms: 60_000, ..small() };
    let detector = detector(&limits, false).await;
    // More of them than threads; dropping a call stops it.
    let spinning: Vec<_> = (0..3)
        .map(|_| {
            let detector = Arc::clone(&detector);
            tokio::spawn(async move { fit(&detector, act("spin")).await })
        })
        .collect();
    assert!(fit(&detector, act("calls")).await.is_ok());
    spinning.iter().for_each(|call| call.abort());
    // Their places come back: otherwise only one of four would be free.
    let again = (0..4).map(|_| fit(&detector, act("calls")));
    let all = tokio::time::timeout(Duration::from_secs(60), futures_util::future::try_join_all(again)).await;
    assert!(all.unwrap().is_ok());
}

#[tokio::test]
async fn calls_wait_for_a_place() {
    let detector = detector(&Limits { instances: 1, ..small() }, true).await;
    let calls = (0..20).map(|_| fit(&detector, act("calls")));
    assert_eq!(futures_util::future::try_join_all(calls).await.unwrap().len(), 20);
}

#[tokio::test]
async fn a_tenant_whose_calls_wait_leaves_places_to_others() {
    let limits = Limits { instances: 2, call_cpu_ms: 60_000, call_wall_ms: 60_000, ..small() };
    let runtime = runtime(&limits);
    runtime.set_quotas("acme", &Quotas { calls_at_once: Some(1), ..Quotas::default() });
    let plugin = plugin(&runtime, "probe_detector").await;
    let greedy = plugin.detector(usage()).unwrap();
    let modest = plugin.detector(Use { tenant: "other".into(), ..usage() }).unwrap();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let greedy = Arc::clone(&greedy);
            tokio::spawn(async move { fit(&greedy, act("spin")).await })
        })
        .collect();
    // Its first call has its place, and the other four are not before anybody.
    while runtime.free_places() == 2 {
        tokio::task::yield_now().await;
    }
    assert!(fit(&modest, act("calls")).await.is_ok());
    assert_eq!((runtime.free_places(), runtime.waiting_calls()), (1, 0));
    calls.iter().for_each(|call| call.abort());
}

#[tokio::test]
async fn what_calls_cost_is_kept_by_tenant_and_plugin() {
    let runtime = runtime(&small());
    let plugin = plugin(&runtime, "probe_detector").await;
    let detector = plugin.detector(usage()).unwrap();
    fit(&detector, act("calls")).await.unwrap();
    fit(&detector, act("spin")).await.unwrap_err();
    fit(&detector, act("panic")).await.unwrap_err();
    let costs = runtime.costs_of("acme");
    let cost = &costs["probe"];
    // Each fit asks for the plan first, until the detector knows it.
    assert!(cost.calls >= 4, "{cost:?}");
    assert_eq!(cost.faults, BTreeMap::from([(Blame::Limit, 1), (Blame::Plugin, 1)]));
    assert!(!cost.cpu.is_zero() && cost.memory_peak > 1 << 16, "{cost:?}");
    assert!(runtime.costs_of("other").is_empty());
}

fn count(model: Vec<u8>) -> u32 {
    u32::from_le_bytes(model.try_into().unwrap())
}

#[tokio::test]
async fn a_fresh_instance_remembers_nothing_and_a_warm_one_serves_its_calls() {
    let fresh = detector(&small(), false).await;
    let warm = detector(&Limits { warm_calls: 3, ..small() }, true).await;
    let (mut of_fresh, mut of_warm) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        of_fresh.push(count(fit(&fresh, act("calls")).await.unwrap()));
        of_warm.push(count(fit(&warm, act("calls")).await.unwrap()));
    }
    assert_eq!(of_fresh, [1, 1, 1, 1]);
    // The first fit asks for the plan: an instance of three calls serves plan, fit, fit.
    assert_eq!(of_warm, [1, 2, 1, 2]);
}

#[tokio::test]
async fn a_warm_instance_is_given_up_after_a_trap_and_when_it_has_grown() {
    let warm = detector(&Limits { warm_memory_bytes: 8 << 20, ..small() }, true).await;
    assert_eq!(count(fit(&warm, act("calls")).await.unwrap()), 1);
    assert_eq!(count(fit(&warm, act("calls")).await.unwrap()), 2);
    fit(&warm, act("panic")).await.unwrap_err();
    assert_eq!(count(fit(&warm, act("calls")).await.unwrap()), 1);
    assert_eq!(count(fit(&warm, json!({"do": "grow", "n": 9 << 20})).await.unwrap()), 2);
    assert_eq!(count(fit(&warm, act("calls")).await.unwrap()), 1);
}

#[tokio::test]
async fn warm_instances_are_not_shared_between_bindings() {
    let runtime = runtime(&small());
    let plugin = plugin(&runtime, "probe_detector").await;
    for _ in 0..2 {
        let detector = plugin.detector(Use { warm: true, ..usage() }).unwrap();
        assert_eq!(count(fit(&detector, act("calls")).await.unwrap()), 1);
    }
}
