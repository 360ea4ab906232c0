//! The contract in version 0.1: generated bindings, and the way to and from our own types.
//!
//! One world imports and exports everything, so that each interface is found or not by
//! itself: what a component imports is linked piece by piece, what it exports is probed.

mod guest;
mod host;

pub(super) use guest::{Guest, Prepared};

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "package anomd:host; world plugins {
        import anomd:plugin/log@0.1.0;
        import anomd:plugin/clock@0.1.0;
        import anomd:plugin/random@0.1.0;
        import anomd:plugin/http@0.1.0;
        import anomd:plugin/kv@0.1.0;
        import anomd:plugin/mail@0.1.0;
        export anomd:plugin/about@0.1.0;
        export anomd:plugin/ingest@0.1.0;
        export anomd:plugin/detect@0.1.0;
        export anomd:plugin/inspect@0.1.0;
        export anomd:plugin/vectors@0.1.0;
        export anomd:plugin/notify@0.1.0;
        export anomd:plugin/analyse@0.1.0;
    }",
    world: "anomd:host/plugins",
    imports: { default: async | trappable },
    exports: { default: async },
    // The host's large lists are lent to the guest's memory, not copied on the way.
    ownership: Borrowing { duplicate_if_necessary: true },
    require_store_data_send: true,
});
