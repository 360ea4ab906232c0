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
    insta::assert_snapshot!(fitted(fitting("(i32.const -16)")).await, @"");
}

#[tokio::test]
async fn a_result_at_an_odd_address() {
    insta::assert_snapshot!(fitted(fitting("(i32.const 161)")).await, @"");
}

#[tokio::test]
async fn a_billion_models() {
    insta::assert_snapshot!(fitted(fitting("(i32.const 448)")).await, @"");
}

#[tokio::test]
async fn neither_a_result_nor_an_error() {
    insta::assert_snapshot!(fitted(fitting("(i32.const 512)")).await, @"");
}

#[tokio::test]
async fn an_error_that_is_no_text() {
    insta::assert_snapshot!(fitted(fitting("(i32.const 648)")).await, @"");
}

#[tokio::test]
async fn an_allocator_that_gives_what_is_not_there() {
    insta::assert_snapshot!(fitted(Text { realloc: "(i32.const -8)", ..Text::default() }).await, @"");
}

#[tokio::test]
async fn an_allocator_that_does_not_end() {
    insta::assert_snapshot!(fitted(Text { realloc: "(loop (br 0)) (unreachable)", ..Text::default() }).await, @"");
}

#[tokio::test]
async fn an_allocator_that_calls_the_host() {
    let imports = r#"(import "anomd:plugin/clock@0.1.0" "now" (func $now (result i64)))"#;
    let text = Text { imports, realloc: "(drop (call $now)) (i32.const 4096)", ..Text::default() };
    insta::assert_snapshot!(fitted(text).await, @"");
}

#[tokio::test]
async fn an_end_of_a_call_that_does_not_end() {
    let fields = r#"(func (export "cabi_post_anomd:plugin/detect@0.1.0#fit") (param i32) (loop (br 0)))"#;
    insta::assert_snapshot!(fitted(Text { fields: fields.into(), ..Text::default() }).await, @"");
}
