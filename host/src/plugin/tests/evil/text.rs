//! A detector as text: what Rust would not let a guest do.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The parts of a core module; each export is a body that leaves what the contract wants.
pub(super) struct Text {
    pub imports: &'static str,
    pub pages: u32,
    pub fields: String,
    pub realloc: &'static str,
    pub describe: &'static str,
    pub check: &'static str,
    pub plan: &'static str,
    pub fit: &'static str,
    pub score: &'static str,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            imports: "",
            pages: 2,
            fields: String::new(),
            // Never gives back: the next place after the last, whole eights.
            realloc: "(local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at)",
            describe: "(i32.const 16)",
            check: "(i32.const 256)",
            plan: "(i32.const 128)",
            fit: "(i32.const 160)",
            score: "(i32.const 320)",
        }
    }
}

impl Text {
    /// The component.
    pub(super) fn component(&self) -> Vec<u8> {
        let Self { imports, pages, fields, realloc, describe, check, plan, fit, score } = self;
        let module = format!(
            r#"(module
            {imports}
            (memory (export "memory") {pages})
            (global $next (mut i32) (i32.const 4096))
            ;; `describe`: name, version, summary, schema, no origins, no secrets.
            (data (i32.const 16) "\00\04\00\00\04\00\00\00\08\04\00\00\05\00\00\00\10\04\00\00\01\00\00\00\18\04\00\00\02\00\00\00")
            (data (i32.const 1024) "evil\00\00\00\000.1.0\00\00\00-\00\00\00\00\00\00\00{{}}")
            ;; `plan`: 10 columns of history, 2 of context.
            (data (i32.const 128) "\00\00\00\00\0a\00\00\00\02\00\00\00")
            ;; `fit`: one empty model.
            (data (i32.const 160) "\00\00\00\00\e0\00\00\00\01\00\00\00")
            ;; `score`: one score.
            (data (i32.const 320) "\00\00\00\00\80\01\00\00\01\00\00\00")
            ;; A billion of whatever it is, none of which is there.
            (data (i32.const 448) "\00\00\00\00\00\02\00\00\00\ca\9a\3b")
            ;; Neither a result nor an error.
            (data (i32.const 512) "\07\00\00\00")
            ;; A name that is no UTF-8: of `describe`, and as an error.
            (data (i32.const 600) "\00\04\00\00\04\00\00\00")
            (data (i32.const 648) "\01\00\00\00\05\00\00\00\a0\02\00\00\04\00\00\00")
            (data (i32.const 672) "\ff\fe\fd\fc")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
            (func (export "anomd:plugin/about@0.1.0#describe") (result i32) {describe})
            (func (export "anomd:plugin/about@0.1.0#check") (param i32 i32) (result i32) {check})
            (func (export "anomd:plugin/detect@0.1.0#plan") (param i32 i32 i32) (result i32) {plan})
            (func (export "anomd:plugin/detect@0.1.0#fit")
                (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32) (result i32) {fit})
            (func (export "anomd:plugin/detect@0.1.0#score")
                (param i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i32) (result i32) {score})
            {fields})"#
        );
        let mut module = wat::parse_str(module).unwrap();
        let mut contract = Resolve::default();
        let (package, _) = contract.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).unwrap();
        let world = contract.select_world(&[package], Some("detector")).unwrap();
        embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8, false).unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
    }
}

/// A function that runs when an instance is made.
pub(super) fn start(body: &str) -> Text {
    Text { fields: format!("(start $start) (func $start {body})"), ..Text::default() }
}
