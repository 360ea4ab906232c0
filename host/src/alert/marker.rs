//! Markers: what people did that series may show, a deploy or a maintenance.
//!
//! A marker is put into the alerts that begin while it lasts, or within half an hour of its
//! start. It may also keep alerts from beginning: all of them, or those of points that a
//! wider band would hold. An alert that is on when a marker begins goes on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::config_digest;
use crate::series::{Labels, Matchers, Millis};

/// Something that happened outside of the series. It is kept as a document of the kind
/// [`Event`](crate::store::DocumentKind::Event), under its `id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Marker {
    /// Its name; [`Marker::id_at`] makes one.
    pub id: String,
    /// What it was, in one word: `deploy`, `maintenance`.
    pub kind: String,
    /// What it was, for people.
    pub text: String,
    /// Which alerts it is about, by their labels as [`alert_labels`](super::alert_labels)
    /// gives them.
    pub matchers: Matchers,
    /// When it began.
    pub start: Millis,
    /// When it ended, itself excluded; `None`: it was one instant.
    pub end: Option<Millis>,
    /// What it does to alerts.
    pub effect: Effect,
    /// Who entered it.
    pub by: String,
}

/// What a marker does to alerts that would begin while it lasts. That of an instant lasts
/// [`Marker::NEAR_MS`]: nobody mutes for ever by leaving out an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing.
    #[default]
    Note,
    /// None begins.
    Mute,
    /// One begins only at a point outside of the band made so many times as wide; where
    /// there is no band, the distance of the threshold to 1 is divided by this. At least 1.
    Widen(f64),
}

/// Why a marker makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// It ends before it begins.
    #[error("the event ends before it begins; give an end that is after the start, or none")]
    Backwards,
    /// A band cannot be made narrower, or be widened by what is no number.
    #[error("a band is widened by a number of at least 1: 2 makes it twice as wide")]
    Narrow,
    /// Nobody knows what it was.
    #[error("the event has no kind; write one word for it, such as deploy")]
    Nameless,
}

impl Marker {
    /// How long after its start alerts that begin are put down to it, in milliseconds.
    pub const NEAR_MS: Millis = 30 * 60_000;

    /// A name that sorts by start; `salt` keeps apart what began at the same instant.
    pub fn id_at(start: Millis, salt: &str) -> String {
        let digest = config_digest(&Value::from(salt));
        format!("{:013}-{}", start.max(0), digest.get(..8).unwrap_or_default())
    }

    /// Refuses a marker that makes no sense.
    pub fn check(&self) -> Result<(), MarkerError> {
        if self.end.is_some_and(|end| end <= self.start) {
            return Err(MarkerError::Backwards);
        }
        if self.kind.trim().is_empty() {
            return Err(MarkerError::Nameless);
        }
        match self.effect {
            Effect::Widen(factor) if !(factor.is_finite() && factor >= 1.0) => Err(MarkerError::Narrow),
            Effect::Note | Effect::Mute | Effect::Widen(_) => Ok(()),
        }
    }

    /// Whether an alert that begins at `began`, and that it is about, is put down to it.
    pub fn explains(&self, began: Millis) -> bool {
        let near = self.start.saturating_add(Self::NEAR_MS);
        let last = self.end.map_or(near, |end| end.max(near));
        (self.start..=last).contains(&began)
    }

    /// What it does at `time` to a point that it is about.
    pub fn effect_at(&self, time: Millis) -> Effect {
        let end = self.end.unwrap_or_else(|| self.start.saturating_add(Self::NEAR_MS));
        if (self.start..end).contains(&time) { self.effect } else { Effect::Note }
    }

    /// Whether it is about alerts of these labels.
    pub fn is_about(&self, labels: &Labels) -> bool {
        self.matchers.matches(labels)
    }
}

/// What markers together do at `time` to a point that they are about: to mute goes before to
/// widen, and a wider band before a narrower one.
pub fn strongest(markers: &[&Marker], time: Millis) -> Effect {
    markers.iter().map(|marker| marker.effect_at(time)).fold(Effect::Note, |so_far, effect| match (so_far, effect) {
        (Effect::Mute, _) | (_, Effect::Mute) => Effect::Mute,
        (Effect::Widen(a), Effect::Widen(b)) => Effect::Widen(a.max(b)),
        (Effect::Note, other) | (other, Effect::Note) => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = 60_000;

    fn labels(job: &str) -> Labels {
        Labels::new([("job".to_owned(), job.to_owned())]).unwrap()
    }

    fn deploy(end: Option<Millis>, effect: Effect) -> Marker {
        Marker {
            id: "1".into(),
            kind: "deploy".into(),
            text: "v2".into(),
            matchers: "job=api".parse().unwrap(),
            start: 10 * MINUTE,
            end,
            effect,
            by: "ana".into(),
        }
    }

    #[test]
    fn a_marker_explains_what_begins_within_half_an_hour_or_while_it_lasts() {
        let instant = deploy(None, Effect::Note);
        assert_eq!([9, 10, 40, 41].map(|minute| instant.explains(minute * MINUTE)), [false, true, true, false]);
        let long = deploy(Some(90 * MINUTE), Effect::Note);
        assert!(long.explains(90 * MINUTE) && !long.explains(91 * MINUTE));
        let short = deploy(Some(11 * MINUTE), Effect::Note);
        assert!(short.explains(40 * MINUTE), "the aftermath is the marker's, too");
        assert!(instant.is_about(&labels("api")) && !instant.is_about(&labels("db")));
    }

    #[test]
    fn an_effect_ends_with_its_marker_and_that_of_an_instant_after_half_an_hour() {
        let effects = |marker: &Marker, minutes: [Millis; 3]| minutes.map(|minute| marker.effect_at(minute * MINUTE));
        let (mute, note) = (Effect::Mute, Effect::Note);
        assert_eq!(effects(&deploy(Some(20 * MINUTE), mute), [9, 19, 20]), [note, mute, note]);
        assert_eq!(effects(&deploy(None, mute), [10, 39, 40]), [mute, mute, note]);
    }

    #[test]
    fn the_strongest_of_several_markers_counts() {
        let at = |effects: &[Effect]| {
            let markers: Vec<_> = effects.iter().map(|effect| deploy(None, *effect)).collect();
            strongest(&markers.iter().collect::<Vec<_>>(), 10 * MINUTE)
        };
        assert_eq!(at(&[]), Effect::Note);
        assert_eq!(at(&[Effect::Widen(2.0), Effect::Note, Effect::Widen(3.0)]), Effect::Widen(3.0));
        assert_eq!(at(&[Effect::Widen(2.0), Effect::Mute]), Effect::Mute);
    }

    #[test]
    fn a_marker_that_makes_no_sense_is_refused_with_what_to_write() {
        let refused = |marker: Marker| marker.check().unwrap_err().to_string();
        assert!(refused(deploy(Some(10 * MINUTE), Effect::Note)).contains("after the start"));
        assert!(refused(deploy(None, Effect::Widen(0.5))).contains("at least 1"));
        assert!(refused(deploy(None, Effect::Widen(f64::NAN))).contains("at least 1"));
        assert!(refused(Marker { kind: " ".into(), ..deploy(None, Effect::Note) }).contains("such as deploy"));
        assert_eq!(deploy(None, Effect::Widen(2.0)).check(), Ok(()));
    }

    #[test]
    fn a_marker_is_kept_and_read_again() {
        let marker = deploy(Some(20 * MINUTE), Effect::Widen(2.5));
        let bytes = rmp_serde::to_vec_named(&marker).unwrap();
        assert_eq!(rmp_serde::from_slice::<Marker>(&bytes).unwrap(), marker);
        assert_eq!(serde_json::from_value::<Marker>(serde_json::to_value(&marker).unwrap()).unwrap(), marker);
        assert!(Marker::id_at(999, "a") < Marker::id_at(1_000, "a"));
        assert_ne!(Marker::id_at(999, "a"), Marker::id_at(999, "b"));
    }
}
