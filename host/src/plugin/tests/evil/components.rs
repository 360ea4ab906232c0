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
    insta::assert_snapshot!(loaded(b"").await, @r"
    plugin evil: this is no WebAssembly file (blame: plugin)
      tell the plugin's author, or take the file away
    ");
}

#[tokio::test]
async fn garbage() {
    let garbage: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    insta::assert_snapshot!(loaded(&garbage).await, @r"
    plugin evil: this is no WebAssembly file (blame: plugin)
      tell the plugin's author, or take the file away
    ");
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
    insta::assert_snapshot!(loaded(&wat::parse_str("(module)").unwrap()).await, @r"
    plugin evil: this is a core module and no component: `wasm-tools component new` makes one of it (blame: plugin)
      tell the plugin's author, or take the file away
    ");
}

#[tokio::test]
async fn another_world() {
    let other = component(r#"(instance $none) (export "acme:pictures/paint@1.0.0" (instance $none))"#);
    insta::assert_snapshot!(loaded(&other).await, @r"
    plugin evil: it has no role: it exports acme:pictures/paint@1.0.0, and none of anomd:plugin/{ingest,detect,notify,analyse} (blame: plugin)
      tell the plugin's author, or take the file away
    ");
}

#[tokio::test]
async fn two_roles() {
    let both = hollow(r#"(instance $more) (export "anomd:plugin/ingest@0.1.0" (instance $more))"#);
    insta::assert_snapshot!(loaded(&both).await, @r"
    plugin evil: it exports ingester and detector: a component has one role (blame: plugin)
      tell the plugin's author, or take the file away
    ");
}

#[tokio::test]
async fn exports_without_end() {
    let exports: Vec<_> = (0..300).map(|n| format!(r#"(export "a:b/c{n}" (instance $none))"#)).collect();
    let many = component(&format!("(instance $none) {}", exports.join(" ")));
    insta::assert_snapshot!(loaded(&many).await, @r"
    plugin evil: it exports more than 200 interfaces (blame: plugin)
      tell the plugin's author, or take the file away
    ");
}

#[tokio::test]
async fn imports_without_end() {
    let imports: Vec<_> = (0..300).map(|n| format!(r#"(import "a:b/c{n}" (instance))"#)).collect();
    insta::assert_snapshot!(loaded(&hollow(&imports.join(" "))).await, @r"
    plugin evil: it imports more than 200 interfaces (blame: plugin)
      tell the plugin's author, or take the file away
    ");
}

#[tokio::test]
async fn a_newer_contract() {
    let newer = component(
        r#"(instance $none)
        (export "anomd:plugin/about@0.2.0" (instance $none))
        (export "anomd:plugin/detect@0.2.0" (instance $none))"#,
    );
    insta::assert_snapshot!(loaded(&newer).await, @r"
    plugin evil: it exports anomd:plugin/detect@0.2.0; this host speaks anomd:plugin@0.1.0 (blame: plugin)
      build it against wit/ of version 0.1.0, or use an anomd that speaks 0.2.0
    ");
}

#[tokio::test]
async fn a_function_of_a_newer_contract() {
    let newer = r#"(import "anomd:plugin/log@0.1.9" (instance (export "erase" (func))))"#;
    insta::assert_snapshot!(loaded(&hollow(newer)).await, @r"
    plugin evil: it imports the function erase of anomd:plugin/log@0.1.9; this host offers anomd:plugin/log@0.1.0 with write (blame: plugin)
      build it against wit/ of version 0.1.0, or use a newer anomd
    ");
}

#[tokio::test]
async fn sockets() {
    let sockets = r#"(import "wasi:sockets/tcp@0.2.0" (instance (export "connect" (func))))"#;
    insta::assert_snapshot!(loaded(&hollow(sockets)).await, @r"
    plugin evil: it imports wasi:sockets/tcp@0.2.0, which this host does not offer; it offers anomd:plugin/{types,log,clock,random}@0.1.0 (blame: plugin)
      build it without WASI: for wasm32-unknown-unknown in Rust, with componentize-py --stub-wasi in Python, with all features disabled in JavaScript
    ");
}

#[tokio::test]
async fn files() {
    let files = r#"(import "wasi:filesystem/preopens@0.2.0" (instance (export "get-directories" (func))))"#;
    insta::assert_snapshot!(loaded(&hollow(files)).await, @r"
    plugin evil: it imports wasi:filesystem/preopens@0.2.0, which this host does not offer; it offers anomd:plugin/{types,log,clock,random}@0.1.0 (blame: plugin)
      build it without WASI: for wasm32-unknown-unknown in Rust, with componentize-py --stub-wasi in Python, with all features disabled in JavaScript
    ");
}

#[tokio::test]
async fn a_function_that_nobody_offers() {
    insta::assert_snapshot!(loaded(&hollow(r#"(import "system" (func))"#)).await, @r"
    plugin evil: it imports system, which this host does not offer; it offers anomd:plugin/{types,log,clock,random}@0.1.0 (blame: plugin)
      let its world import only what is offered
    ");
}

#[tokio::test]
async fn requests_by_a_detector() {
    let http = r#"(import "anomd:plugin/http@0.1.0" (instance (export "send" (func))))"#;
    insta::assert_snapshot!(loaded(&hollow(http)).await, @r"
    plugin evil: it is a detector and imports anomd:plugin/http@0.1.0, which this role is never granted; it may import anomd:plugin/{types,log,clock,random}@0.1.0 (blame: plugin)
      do without http here, or make it a component of another role
    ");
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
    insta::assert_snapshot!(loaded(&hollow(&memories)).await, @r"
    plugin evil: it does not compile: The component transitively contains 9 Wasm linear memories, which exceeds the configured maximum of 2 in the pooling allocator (blame: plugin)
      tell the plugin's author, or take the file away
    ");
}

#[tokio::test]
async fn more_tables_than_others_leave() {
    let tables = r#"(core module $m (table 1 funcref))"#.to_owned() + &"(core instance (instantiate $m))".repeat(9);
    insta::assert_snapshot!(loaded(&hollow(&tables)).await, @r"
    plugin evil: it does not compile: The component transitively contains 9 tables, which exceeds the configured maximum of 4 in the pooling allocator (blame: plugin)
      tell the plugin's author, or take the file away
    ");
}

#[tokio::test]
async fn modules_without_end() {
    let modules = r#"(core module $m)"#.to_owned() + &"(core instance (instantiate $m))".repeat(500);
    insta::assert_snapshot!(loaded(&hollow(&modules)).await, @r"
    plugin evil: it does not compile: The component transitively contains 500 core module instances, which exceeds the configured maximum of 100 in the pooling allocator (blame: plugin)
      tell the plugin's author, or take the file away
    ");
}

#[tokio::test]
async fn a_memory_of_four_gigabytes() {
    insta::assert_snapshot!(loaded(&hollow("(core module $m (memory 65536)) (core instance (instantiate $m))")).await, @r"
    plugin evil: it starts with 4096 MiB of memory, where an instance may have 32 MiB (blame: limit)
      raise limits.instance_memory_bytes in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn a_table_of_four_billion_entries() {
    let table = "(core module $m (table 0xffffffff funcref)) (core instance (instantiate $m))";
    insta::assert_snapshot!(loaded(&hollow(table)).await, @r"
    plugin evil: it does not compile: module table does not fit in pooling allocator requirements: table index 0 has a minimum element size of 4294967295 which exceeds the limit of 100000 (blame: plugin)
      tell the plugin's author, or take the file away
    ");
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
