//! The guest side of an analyst: implement [`Analyst`] and name it in [`export_analyst!`].

use serde::de::DeserializeOwned;

/// What `wit-bindgen` made of the role's export; the rest of the world is `anomd-guest`'s.
#[allow(missing_docs, reason = "generated; wit/anomd.wit documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package anomd:sdk; world plugin { export anomd:plugin/analyse@0.1.0; }",
        world: "anomd:sdk/plugin",
        with: { "anomd:plugin/types@0.1.0": anomd_guest::types },
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

pub use anomd_guest::types::{Kind, Samples};
pub use anomd_guest::{self as guest, Descriptor, Error, Level, Problem, SecretSlot, clock, http, log, random};
pub use bindings::exports::anomd::plugin::analyse::{Analysis, Insight, Loss, Subject, Usage};

/// Explains alerts, or finds anomalies by reading.
pub trait Analyst {
    /// The configuration, which the host has checked against the schema.
    type Config: DeserializeOwned;

    /// What the plugin says about itself.
    fn describe() -> Descriptor;

    /// What the schema cannot say.
    fn check(_config: &Self::Config) -> Vec<Problem> {
        Vec::new()
    }

    /// Says something about the subjects; [`series`] finds the samples of each. An error
    /// says that nothing was used: what comes later belongs into `lost`.
    fn analyse(config: &Self::Config, recent: &Samples, subjects: &[Subject]) -> Result<Analysis, Error>;
}

/// The time stamps and values of a series, equally many, oldest first; `None` if it is not
/// among the samples.
pub fn series<'a>(samples: &'a Samples, labels: &[(String, String)]) -> Option<(&'a [i64], &'a [f64])> {
    let index = samples.keys.iter().position(|key| key == labels)?;
    let range = *samples.offsets.get(index)? as usize..*samples.offsets.get(index + 1)? as usize;
    Some((samples.timestamps.get(range.clone())?, samples.values.get(range)?))
}

/// The calls of the contract over an [`Analyst`]; [`export_analyst!`] uses them.
pub mod glue {
    use super::*;

    /// `analyse.analyse`.
    pub fn analyse<A: Analyst>(config: &str, recent: &Samples, subjects: &[Subject]) -> Result<Analysis, Error> {
        guest::report_panics();
        A::analyse(&guest::parse(config)?, recent, subjects)
    }
}

/// Makes the component of a type that implements [`Analyst`].
#[macro_export]
macro_rules! export_analyst {
    ($analyst:ty) => {
        $crate::guest::export_about!($analyst as $crate::Analyst);
        const _: () = {
            use $crate::bindings::exports::anomd::plugin::analyse;
            struct Analyse;
            impl analyse::Guest for Analyse {
                fn analyse(
                    config: String,
                    recent: $crate::Samples,
                    subjects: Vec<analyse::Subject>,
                ) -> Result<analyse::Analysis, $crate::Error> {
                    $crate::glue::analyse::<$analyst>(&config, &recent, &subjects)
                }
            }
            #[cfg(not(target_family = "wasm"))]
            const _: () = $crate::guest::keep::<Analyse>();
            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(Analyse with_types_in $crate::bindings);
        };
    };
}
