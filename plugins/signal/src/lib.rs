//! What detectors of single series have in common: the scale on which a series is judged, its
//! season, what the season says of a column, and how odd a raw score is.
//!
//! The default detector compiles the same files.

#[path = "../../robust/src/calibration.rs"]
pub mod calibration;
#[path = "../../robust/src/forecast.rs"]
pub mod forecast;
pub mod odds;
pub mod period;
#[path = "../../robust/src/season.rs"]
pub mod season;
#[path = "../../robust/src/transform.rs"]
pub mod transform;
pub mod week;
#[path = "../../robust/src/window.rs"]
pub mod window;
