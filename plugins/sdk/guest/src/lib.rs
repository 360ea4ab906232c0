//! What guests of every role share: the contract's types, the capabilities, `about`, the
//! configuration, and the message of a panic. The crate of a role (`anomd-detector` and
//! so on) adds its own trait and export, and names what an author needs from here.
//!
//! A module gets the sum of the worlds of the crates in it, so this one exports `about`
//! and nothing else, and no crate of a role may depend on another. Importing `http`, `kv`
//! or `mail` here grants nothing: the linker drops what a plugin does not call, so the
//! imports of the finished component are the ones that it uses.

mod refusal;

use serde::de::DeserializeOwned;

/// What `wit-bindgen` made of `wit/`.
#[allow(missing_docs, reason = "generated; wit/anomd.wit documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package anomd:guest; world plugin {
            include anomd:plugin/base@0.1.0;
            import anomd:plugin/types@0.1.0;
            import anomd:plugin/http@0.1.0;
            import anomd:plugin/kv@0.1.0;
            import anomd:plugin/mail@0.1.0;
        }",
        world: "anomd:guest/plugin",
        pub_export_macro: true,
        additional_derives: [PartialEq],
        generate_all,
    });
}

pub use bindings::anomd::plugin::log::{self, Level};
pub use bindings::anomd::plugin::types::{self, Error};
pub use bindings::anomd::plugin::{clock, http, kv, mail, random};
pub use bindings::exports::anomd::plugin::about::{self, Descriptor, Problem, SecretSlot};

/// The configuration of a call. The host has checked it against the schema, so an error
/// here means that schema and type disagree.
pub fn parse<C: DeserializeOwned>(config: &str) -> Result<C, Error> {
    serde_json::from_str(config).map_err(|e| Error::BadConfig(e.to_string()))
}

/// `about.check`: a configuration that does not parse is the one problem.
pub fn check<C: DeserializeOwned>(config: &str, check: impl FnOnce(&C) -> Vec<Problem>) -> Vec<Problem> {
    match serde_json::from_str(config) {
        Ok(config) => check(&config),
        Err(e) => vec![Problem { pointer: String::new(), message: e.to_string() }],
    }
}

/// Logs the panic that stops a call: a trap has no message of its own, and the host shows
/// the last log lines beside it. Every exported call begins with this.
pub fn report_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| log::write(Level::Error, &info.to_string(), &[])));
    });
}

/// Stands for an export where there is no host, in a native test: without it the compiler
/// calls a plugin dead code. A native library with the exports' names does not link.
pub const fn keep<T>() {}

/// Exports `about` for a type whose trait has `Config`, `describe` and `check`; the export
/// macros of the roles use it.
#[macro_export]
macro_rules! export_about {
    ($plugin:ty as $role:path) => {
        const _: () = {
            use $crate::about;
            struct About;
            impl about::Guest for About {
                fn describe() -> about::Descriptor {
                    $crate::report_panics();
                    <$plugin as $role>::describe()
                }
                fn check(config: String) -> Vec<about::Problem> {
                    $crate::report_panics();
                    $crate::check(&config, <$plugin as $role>::check)
                }
            }
            #[cfg(not(target_family = "wasm"))]
            const _: () = $crate::keep::<About>();
            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(About with_types_in $crate::bindings);
        };
    };
}
