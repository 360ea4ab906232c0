//! Guests that break the canonical ABI: pointers, lengths, cases and texts that are none.

use super::text::Text;
use super::*;

async fn fitted(text: Text) -> String {
    let scene = Scene::new().await;
    let component = text.component();
    let plugin = scene.load(&component).await.unwrap();
    let detector = plugin.detector(usage()).unwrap();
    match scene.survives(fit(&detector, json!({}))).await {
        Ok(model) => format!("a model of {} bytes", model.len()),
        Err(fault) => fault.to_string(),
    }
}

fn fitting(fit: &'static str) -> Text {
    Text { fit, ..Text::default() }
}

#[tokio::test]
async fn a_detector_as_text_fits() {
    assert_eq!(fitted(Text::default()).await, "a model of 0 bytes");
}

#[tokio::test]
async fn a_result_outside_of_its_memory() {
    insta::assert_snapshot!(fitted(fitting("(i32.const -16)")).await, @r"
    tenant acme: plugin evil 0.1.0, fit: it trapped: pointer out of bounds of memory (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn a_result_at_an_odd_address() {
    insta::assert_snapshot!(fitted(fitting("(i32.const 161)")).await, @r"
    tenant acme: plugin evil 0.1.0, fit: it trapped: return pointer not aligned (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn a_billion_models() {
    insta::assert_snapshot!(fitted(fitting("(i32.const 448)")).await, @r"
    tenant acme: plugin evil 0.1.0, fit: it trapped: list pointer/length out of bounds of memory (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn neither_a_result_nor_an_error() {
    insta::assert_snapshot!(fitted(fitting("(i32.const 512)")).await, @r"
    tenant acme: plugin evil 0.1.0, fit: it trapped: invalid expected discriminant (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn an_error_that_is_no_text() {
    insta::assert_snapshot!(fitted(fitting("(i32.const 648)")).await, @r"
    tenant acme: plugin evil 0.1.0, fit: it trapped: invalid utf-8 sequence of 1 bytes from index 0 (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn an_allocator_that_gives_what_is_not_there() {
    insta::assert_snapshot!(fitted(Text { realloc: "(i32.const -8)", ..Text::default() }).await, @r"
    tenant acme: plugin evil 0.1.0, plan: it trapped: realloc return: beyond end of memory (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn an_allocator_that_does_not_end() {
    insta::assert_snapshot!(fitted(Text { realloc: "(loop (br 0)) (unreachable)", ..Text::default() }).await, @r"
    tenant acme: plugin evil 0.1.0, plan: it used more than the 50ms of CPU time that a call may use (blame: limit)
      raise limits.call_cpu_ms in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn an_allocator_that_calls_the_host() {
    let imports = r#"(import "anomd:plugin/clock@0.1.0" "now" (func $now (result i64)))"#;
    let text = Text { imports, realloc: "(drop (call $now)) (i32.const 4096)", ..Text::default() };
    insta::assert_snapshot!(fitted(text).await, @r"
    tenant acme: plugin evil 0.1.0, plan: it trapped: cannot leave component instance (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn an_end_of_a_call_that_does_not_end() {
    let fields = r#"(func (export "cabi_post_anomd:plugin/detect@0.1.0#fit") (param i32) (loop (br 0)))"#;
    insta::assert_snapshot!(fitted(Text { fields: fields.into(), ..Text::default() }).await, @r"
    tenant acme: plugin evil 0.1.0, fit: it used more than the 50ms of CPU time that a call may use (blame: limit)
      raise limits.call_cpu_ms in anomd.yaml, or let the plugin need less
    ");
}
