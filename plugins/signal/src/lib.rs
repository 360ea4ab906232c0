//! What detectors of single series have in common: the scale on which a series is judged, its
//! season, what the season says of a column, and how odd a raw score is.

pub mod calibration;
pub mod forecast;
pub mod history;
pub mod odds;
pub mod period;
pub mod season;
pub mod transform;
pub mod week;
pub mod window;
