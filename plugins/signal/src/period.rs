//! The length of a season as a configuration has it, and the one that is believed.

use serde::{Deserialize, Deserializer};

/// `"auto"`, a length in seconds, or null for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    /// Found in the data.
    #[default]
    Auto,
    /// There is none.
    None,
    /// Given.
    Seconds(u64),
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelled {
            Seconds(u64),
            Word(String),
        }
        match Option::<Spelled>::deserialize(deserializer)? {
            None => Ok(Self::None),
            Some(Spelled::Seconds(seconds)) => Ok(Self::Seconds(seconds)),
            Some(Spelled::Word(word)) if word == "auto" => Ok(Self::Auto),
            Some(Spelled::Word(word)) => {
                Err(serde::de::Error::custom(format!("season is \"{word}\": write \"auto\", seconds or null")))
            }
        }
    }
}

impl Period {
    /// What was given, in columns of so many milliseconds; `None` if it has to be found. A season of
    /// fewer than two columns is none.
    pub fn given(self, step_ms: u32) -> Option<Option<usize>> {
        match self {
            Self::Auto => None,
            Self::None => Some(None),
            Self::Seconds(seconds) => {
                let columns = seconds.saturating_mul(1_000) / u64::from(step_ms.max(1));
                Some(usize::try_from(columns).ok().filter(|columns| *columns >= 2))
            }
        }
    }
}

/// Equal answers after which another season is believed.
const TIMES: u32 = 3;

/// The season that is believed, and the one that was found of late, with how often in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Belief {
    /// In columns; `None`: there is none.
    pub season: Option<usize>,
    /// Another that was found since.
    pub rival: Option<usize>,
    /// How often, without one of the others between.
    pub times: u32,
}

impl Belief {
    /// What is believed after one more answer: a season where there was none at once, another after
    /// three equal answers.
    pub fn after(self, found: Option<usize>) -> Self {
        let certain = Self { season: found, rival: None, times: 0 };
        if found == self.season || self.season.is_none() {
            return certain;
        }
        let times = if self.times > 0 && found == self.rival { self.times + 1 } else { 1 };
        if times >= TIMES { certain } else { Self { rival: found, times, ..self } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_is_auto_seconds_or_none() {
        let read = |text: &str| serde_json::from_str::<Period>(text);
        assert_eq!(read("\"auto\"").unwrap().given(60_000), None);
        assert_eq!(read("null").unwrap().given(60_000), Some(None));
        assert_eq!(read("86400").unwrap().given(60_000), Some(Some(1440)));
        assert_eq!(read("60").unwrap().given(60_000), Some(None));
        assert!(read("\"daily\"").unwrap_err().to_string().contains("write \"auto\""));
    }

    #[test]
    fn a_season_that_is_believed_gives_way_to_three_equal_answers() {
        let day = Belief::default().after(Some(1440));
        assert_eq!(day.season, Some(1440));
        let doubted = day.after(Some(60)).after(Some(60));
        assert_eq!(doubted.season, Some(1440));
        assert_eq!(doubted.after(Some(61)).after(Some(60)).season, Some(1440));
        assert_eq!(doubted.after(Some(60)).season, Some(60));
        assert_eq!(day.after(None).after(None).after(None).season, None);
    }
}
