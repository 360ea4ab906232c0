//! Files that are no component, or none of ours.

use super::text::Text;
use super::*;

/// What loading says.
async fn loaded(bytes: &[u8]) -> String {
    let scene = Scene::new().await;
    let said = match scene.survives(scene.load(bytes)).await {
        Ok(_) => "it loaded".to_owned(),
        Err(fault) => fault.to_string(),
    };
    assert!(said.len() < FAULT_BYTES, "{} bytes", said.len());
    said
}

/// A component with the exports of a detector, all empty.
fn hollow(content: &str) -> Vec<u8> {
    let exports = r#"(instance $none)
        (export "anomd:plugin/about@0.1.0" (instance $none))
        (export "anomd:plugin/detect@0.1.0" (instance $none))"#;
    wat::parse_str(format!("(component {content} {exports})")).unwrap()
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {text})")).unwrap()
}

#[tokio::test]
async fn nothing() {
    insta::assert_snapshot!(loaded(b"").await, @"");
}

#[tokio::test]
async fn garbage() {
    let garbage: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    insta::assert_snapshot!(loaded(&garbage).await, @"");
}

#[tokio::test]
async fn garbage_that_begins_well() {
    let garbage = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    let garbage: Vec<u8> = b"\0asm\x0d\0\x01\0".iter().copied().chain(garbage).collect();
    let said = loaded(&garbage).await;
    assert!(said.starts_with("plugin evil: this is a damaged WebAssembly file: "), "{said}");
}

#[tokio::test]
async fn a_component_cut_anywhere() {
    let scene = Scene::new().await;
    let whole = Text::default().component();
    assert!(scene.load(&whole).await.is_ok());
    for length in (0..whole.len()).step_by(7) {
        let Err(fault) = scene.load(&whole[..length]).await else { panic!("{length} bytes loaded") };
        assert_eq!(fault.blame, crate::fault::Blame::Plugin, "{fault}");
    }
    scene.is_quiet().await;
}

#[tokio::test]
async fn a_component_with_a_bit_turned_anywhere() {
    let scene = Scene::new().await;
    let whole = Text::default().component();
    // Some load all the same: a letter of a name is another. None does more.
    for index in (8..whole.len()).step_by(37) {
        let mut turned = whole.clone();
        turned[index] ^= 1 << (index % 8);
        if let Ok(plugin) = scene.load(&turned).await
            && let Ok(detector) = plugin.detector(usage())
        {
            let _ = fit(&detector, json!({})).await;
        }
    }
    scene.survives(std::future::ready(())).await;
}

#[tokio::test]
async fn a_core_module() {
    insta::assert_snapshot!(loaded(&wat::parse_str("(module)").unwrap()).await, @"");
}

#[tokio::test]
async fn another_world() {
    let other = component(r#"(instance $none) (export "acme:pictures/paint@1.0.0" (instance $none))"#);
    insta::assert_snapshot!(loaded(&other).await, @"");
}

#[tokio::test]
async fn two_roles() {
    let both = hollow(r#"(instance $more) (export "anomd:plugin/ingest@0.1.0" (instance $more))"#);
    insta::assert_snapshot!(loaded(&both).await, @"");
}

#[tokio::test]
async fn exports_without_end() {
    let exports: Vec<_> = (0..100_000).map(|n| format!(r#"(export "a:b/c{n}" (instance $none))"#)).collect();
    let many = component(&format!("(instance $none) {}", exports.join(" ")));
    insta::assert_snapshot!(loaded(&many).await, @"");
}

#[tokio::test]
async fn imports_without_end() {
    let imports: Vec<_> = (0..100_000).map(|n| format!(r#"(import "a:b/c{n}" (instance))"#)).collect();
    insta::assert_snapshot!(loaded(&hollow(&imports.join(" "))).await, @"");
}

#[tokio::test]
async fn a_newer_contract() {
    let newer = component(
        r#"(instance $none)
        (export "anomd:plugin/about@0.2.0" (instance $none))
        (export "anomd:plugin/detect@0.2.0" (instance $none))"#,
    );
    insta::assert_snapshot!(loaded(&newer).await, @"");
}

#[tokio::test]
async fn a_function_of_a_newer_contract() {
    let newer = r#"(import "anomd:plugin/log@0.1.9" (instance (export "erase" (func))))"#;
    insta::assert_snapshot!(loaded(&hollow(newer)).await, @"");
}

#[tokio::test]
async fn sockets() {
    let sockets = r#"(import "wasi:sockets/tcp@0.2.0" (instance (export "connect" (func))))"#;
    insta::assert_snapshot!(loaded(&hollow(sockets)).await, @"");
}

#[tokio::test]
async fn files() {
    let files = r#"(import "wasi:filesystem/preopens@0.2.0" (instance (export "get-directories" (func))))"#;
    insta::assert_snapshot!(loaded(&hollow(files)).await, @"");
}

#[tokio::test]
async fn a_function_that_nobody_offers() {
    insta::assert_snapshot!(loaded(&hollow(r#"(import "system" (func))"#)).await, @"");
}

#[tokio::test]
async fn requests_by_a_detector() {
    let http = r#"(import "anomd:plugin/http@0.1.0" (instance (export "send" (func))))"#;
    insta::assert_snapshot!(loaded(&hollow(http)).await, @"");
}

#[tokio::test]
async fn an_import_of_another_type() {
    let log = r#"(import "anomd:plugin/clock@0.1.0" (instance (export "now" (func (param "a" string)))))"#;
    let said = loaded(&hollow(log)).await;
    assert!(said.starts_with("plugin evil: it does not fit the contract: "), "{said}");
    assert!(said.contains("(blame: plugin)"), "{said}");
}

#[tokio::test]
async fn exports_that_are_hollow() {
    let said = loaded(&hollow("")).await;
    assert!(said.starts_with("plugin evil: it does not fit the contract: "), "{said}");
}

#[tokio::test]
async fn more_memories_than_others_leave() {
    let memories = r#"(core module $m (memory 1))"#.to_owned() + &"(core instance (instantiate $m))".repeat(9);
    insta::assert_snapshot!(loaded(&hollow(&memories)).await, @"");
}

#[tokio::test]
async fn more_tables_than_others_leave() {
    let tables = r#"(core module $m (table 1 funcref))"#.to_owned() + &"(core instance (instantiate $m))".repeat(9);
    insta::assert_snapshot!(loaded(&hollow(&tables)).await, @"");
}

#[tokio::test]
async fn modules_without_end() {
    let modules = r#"(core module $m)"#.to_owned() + &"(core instance (instantiate $m))".repeat(500);
    insta::assert_snapshot!(loaded(&hollow(&modules)).await, @"");
}

#[tokio::test]
async fn a_memory_of_four_gigabytes() {
    insta::assert_snapshot!(loaded(&hollow("(core module $m (memory 65536)) (core instance (instantiate $m))")).await, @"");
}

#[tokio::test]
async fn a_table_of_four_billion_entries() {
    let table = "(core module $m (table 0xffffffff funcref)) (core instance (instantiate $m))";
    insta::assert_snapshot!(loaded(&hollow(table)).await, @"");
}

#[tokio::test]
async fn components_in_components_in_components() {
    // Text does not nest so deeply. Section 4 is a component.
    let header = b"\0asm\x0d\0\x01\0";
    let nested = (0..3_000).fold(header.to_vec(), |inner, _| {
        let mut length = inner.len();
        let mut outer = [header.as_slice(), &[4]].concat();
        while length >= 0x80 {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(inner);
        outer
    });
    let mut evil = hollow("");
    evil.push(4);
    let mut length = nested.len();
    while length >= 0x80 {
        evil.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    evil.push(length as u8);
    evil.extend(nested);
    let said = loaded(&evil).await;
    assert!(said.contains("(blame: plugin)"), "{said}");
}
