//! Attacks in `describe`, which runs before anybody decided to use the plugin.

use super::text::Text;
use super::*;

async fn loaded(text: Text) -> String {
    let scene = Scene::new().await;
    let component = text.component();
    let said = match scene.survives(scene.load(&component)).await {
        Ok(_) => "it loaded".to_owned(),
        Err(fault) => fault.to_string(),
    };
    assert!(said.len() < FAULT_BYTES, "{} bytes", said.len());
    said
}

fn describing(describe: &'static str) -> Text {
    Text { describe, ..Text::default() }
}

#[tokio::test]
async fn a_component_as_text_is_no_worse_than_others() {
    assert_eq!(loaded(Text::default()).await, "it loaded");
}

#[tokio::test]
async fn an_endless_loop() {
    insta::assert_snapshot!(loaded(describing("(loop (br 0)) (unreachable)")).await, @r"
    plugin evil, describe: it used more than the 50ms of CPU time that a call may use (blame: limit)
      raise limits.call_cpu_ms in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn a_memory_bomb() {
    let describe = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    insta::assert_snapshot!(loaded(describing(describe)).await, @r"
    plugin evil, describe: it wanted more than the 32 MiB of memory that an instance may have (blame: limit)
      raise limits.instance_memory_bytes in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn a_trap() {
    insta::assert_snapshot!(loaded(describing("(unreachable)")).await, @r"
    plugin evil, describe: it trapped: wasm `unreachable` instruction executed (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn a_name_of_megabytes() {
    // The name begins at 1024, and goes on for 6 MB.
    let describe = "(i32.store (i32.const 20) (i32.const 6000000)) (i32.const 16)";
    insta::assert_snapshot!(loaded(Text { pages: 100, ..describing(describe) }).await, @r#"
    plugin evil: it answered what the contract forbids: its name is "evil����0.1.0���-�������{}������������������������������������������������������…": a name has 1 to 64 of the characters a-z 0-9 - _ (blame: plugin)
      tell the plugin's author
    "#);
}

#[tokio::test]
async fn origins_without_end() {
    // 100 000 empty strings, of which there is nothing but zeros.
    let describe =
        "(i32.store (i32.const 48) (i32.const 1000000)) (i32.store (i32.const 52) (i32.const 100000)) (i32.const 16)";
    insta::assert_snapshot!(loaded(Text { pages: 100, ..describing(describe) }).await, @r"
    plugin evil: it answered what the contract forbids: it lists 100000 origins; 64 are allowed (blame: plugin)
      tell the plugin's author
    ");
}

/// A description whose schema is this text.
fn schema(schema: &str) -> Text {
    let length = schema.len();
    let escaped: String = schema.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    Text {
        pages: 10,
        fields: format!(
            r#"(data (i32.const 40) "\00\00\02\00") (data (i32.const 131072) "{escaped}")
            (func $length (i32.store (i32.const 44) (i32.const {length}))) (start $length)"#
        ),
        ..Text::default()
    }
}

#[tokio::test]
async fn a_schema_that_refers_to_itself() {
    insta::assert_snapshot!(loaded(schema(r##"{"allOf": [{"$ref": "#"}]}"##)).await, @r##"
    plugin evil: it answered what the contract forbids: its config-schema is no JSON Schema: the reference "#" leads back to itself (blame: plugin)
      tell the plugin's author
    "##);
}

#[tokio::test]
async fn a_schema_that_doubles_with_every_line() {
    let lines: Vec<_> = (0..16)
        .map(|n| format!(r##""{n}": {{"allOf": [{{"$ref": "#/$defs/{0}"}}, {{"$ref": "#/$defs/{0}"}}]}}"##, n + 1))
        .collect();
    let text = format!(r##"{{"$ref": "#/$defs/0", "$defs": {{{}, "16": {{"type": "string"}}}}}}"##, lines.join(", "));
    insta::assert_snapshot!(loaded(schema(&text)).await, @r"
    plugin evil: it answered what the contract forbids: its config-schema is no JSON Schema: it takes more than 50000 steps, references followed (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn a_schema_of_a_thousand_large_patterns() {
    let patterns: Vec<_> = (0..1_000).map(|n| format!(r#"{{"pattern": "[a-z]{{{n}}}"}}"#)).collect();
    insta::assert_snapshot!(loaded(schema(&format!(r#"{{"anyOf": [{}]}}"#, patterns.join(",")))).await, @r"
    plugin evil: it answered what the contract forbids: its config-schema is no JSON Schema: it has 1000 patterns; 64 are allowed (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn a_schema_that_fetches() {
    insta::assert_snapshot!(loaded(schema(r#"{"$ref": "http://169.254.169.254/latest"}"#)).await, @r##"
    plugin evil: it answered what the contract forbids: its config-schema is no JSON Schema: the reference "http://169.254.169.254/latest" is none to a place in it, as "#/$defs/name" is (blame: plugin)
      tell the plugin's author
    "##);
}
