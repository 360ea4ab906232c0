//! The language of guests, as the engine has it: each proposal of WebAssembly by an example.
//!
//! Features of Cargo are united over a build, and defaults change with versions: whatever
//! another crate or a new wasmtime switches on, this list is what guests may use.

use super::*;

/// A proposal, and a module or component that needs it.
const PROPOSALS: [(&str, &str); 30] = [
    ("mutable-global", r#"(module (global (export "g") (mut i32) (i32.const 0)))"#),
    ("sign-extension", "(module (func (drop (i32.extend8_s (i32.const 0)))))"),
    ("saturating-float-to-int", "(module (func (drop (i32.trunc_sat_f64_s (f64.const 0)))))"),
    ("multi-value", "(module (func (result i32 i32) (i32.const 0) (i32.const 0)))"),
    ("bulk-memory", "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))"),
    ("reference-types: externref", "(module (table 1 externref))"),
    ("extended-const", "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))"),
    ("simd", "(module (func (drop (i32x4.add (v128.const i32x4 0 0 0 0) (v128.const i32x4 0 0 0 0)))))"),
    ("relaxed-simd", "(module (func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))"),
    ("threads: shared memory", "(module (memory 1 1 shared))"),
    ("threads: atomics", "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))"),
    ("shared-everything-threads", "(module (global (shared i32) (i32.const 0)))"),
    ("tail-call", "(module (func $f (return_call $f)))"),
    ("multi-memory", "(module (memory 1) (memory 1))"),
    ("memory64", "(module (memory i64 1))"),
    ("table64", "(module (table i64 1 funcref))"),
    ("custom-page-sizes", "(module (memory 1 (pagesize 1)))"),
    ("exceptions", "(module (tag $t) (func (throw $t)))"),
    ("function-references", "(module (type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0))))"),
    ("gc: structures", "(module (type (struct (field i32))))"),
    ("gc: i31", "(module (func (drop (ref.i31 (i32.const 0)))))"),
    ("stack-switching", "(module (type $f (func)) (type (cont $f)))"),
    ("wide-arithmetic", "(module (func (result i64 i64) (i64.mul_wide_u (i64.const 0) (i64.const 0))))"),
    ("component-model", "(component)"),
    ("cm-async: future", "(component (type (future u8)))"),
    ("cm-async: stream", "(component (type (stream u8)))"),
    ("cm-async: functions", "(component (type (func async)))"),
    ("cm-error-context", "(component (type error-context))"),
    ("cm-fixed-length-lists", "(component (type (list u8 4)))"),
    ("cm-map", "(component (type (map string u8)))"),
];

#[test]
fn the_language_of_guests_is_small() {
    let engine = wasmtime::Engine::new(&config(&Limits::default(), InstanceAllocationStrategy::OnDemand)).unwrap();
    let list: Vec<_> = PROPOSALS
        .iter()
        .map(|(proposal, text)| {
            let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{proposal}: {error}"));
            let accepted = if text.starts_with("(component") {
                engine.precompile_component(&bytes).map(|_| ())
            } else {
                engine.precompile_module(&bytes).map(|_| ())
            };
            format!("{proposal}: {}", if accepted.is_ok() { "on" } else { "off" })
        })
        .collect();
    insta::assert_snapshot!(list.join("\n"), @r"
    mutable-global: on
    sign-extension: on
    saturating-float-to-int: on
    multi-value: on
    bulk-memory: on
    reference-types: externref: off
    extended-const: on
    simd: on
    relaxed-simd: off
    threads: shared memory: off
    threads: atomics: off
    shared-everything-threads: off
    tail-call: off
    multi-memory: off
    memory64: off
    table64: off
    custom-page-sizes: off
    exceptions: off
    function-references: off
    gc: structures: off
    gc: i31: off
    stack-switching: off
    wide-arithmetic: off
    component-model: on
    cm-async: future: off
    cm-async: stream: off
    cm-async: functions: off
    cm-error-context: off
    cm-fixed-length-lists: off
    cm-map: off
    ");
}
