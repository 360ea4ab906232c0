//! Attacks by the start function: before any export is called, `describe` included.

use super::text::{Text, start};
use super::*;

/// What loading says: `describe` needs an instance.
async fn loaded(text: Text) -> String {
    let scene = Scene::new().await;
    let component = text.component();
    match scene.survives(scene.load(&component)).await {
        Ok(_) => "it loaded".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

#[tokio::test]
async fn an_endless_loop() {
    insta::assert_snapshot!(loaded(start("(loop (br 0))")).await, @r"
    plugin evil, describe: it used more than the 50ms of CPU time that a call may use (blame: limit)
      raise limits.call_cpu_ms in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn an_endless_loop_of_host_calls() {
    let imports = r#"(import "anomd:plugin/clock@0.1.0" "now" (func $now (result i64)))"#;
    let text = Text { imports, ..start("(loop (drop (call $now)) (br 0))") };
    insta::assert_snapshot!(loaded(text).await, @r"
    plugin evil, describe: it used more than the 50ms of CPU time that a call may use (blame: limit)
      raise limits.call_cpu_ms in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn a_memory_bomb() {
    let text = start("(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)");
    insta::assert_snapshot!(loaded(text).await, @r"
    plugin evil, describe: it wanted more than the 32 MiB of memory that an instance may have (blame: limit)
      raise limits.instance_memory_bytes in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn a_table_bomb() {
    let body =
        "(loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1)))) (unreachable)";
    let mut text = start(body);
    text.fields.push_str("(table $t 1 funcref)");
    insta::assert_snapshot!(loaded(text).await, @r"
    plugin evil, describe: it trapped: wasm `unreachable` instruction executed, in start (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn a_stack_overflow() {
    insta::assert_snapshot!(loaded(start("(call $start)")).await, @r"
    plugin evil, describe: its calls nested until the stack was full (blame: plugin)
      tell the plugin's author: a recursion without an end, or very large local arrays
    ");
}

#[tokio::test]
async fn a_trap() {
    insta::assert_snapshot!(loaded(start("(unreachable)")).await, @r"
    plugin evil, describe: it trapped: wasm `unreachable` instruction executed, in start (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn a_fill_of_all_its_memory_again_and_again() {
    let text =
        Text { pages: 400, ..start("(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 26214400)) (br 0))") };
    insta::assert_snapshot!(loaded(text).await, @r"
    plugin evil, describe: it used more than the 50ms of CPU time that a call may use (blame: limit)
      raise limits.call_cpu_ms in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn a_host_call_that_needs_what_is_not_there_yet() {
    let imports = r#"(import "anomd:plugin/random@0.1.0" "draw" (func $draw (param i32 i32)))"#;
    let text = Text { imports, ..start("(call $draw (i32.const 1) (i32.const 0))") };
    let said = loaded(text).await;
    assert!(said.contains("it trapped: ") && said.contains("(blame: plugin)"), "{said}");
}
