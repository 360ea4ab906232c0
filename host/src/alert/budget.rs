//! What a tenant lets analysts spend a day.
//!
//! A day is one of UTC. The bound is kept between calls and not within them: what a call
//! uses is known at its end, so the last one of a day may go over. Pass the time of the
//! wall clock, and not the logical time of a replay, which would open the budget anew.

use std::fmt;

use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::plugin::Usage;
use crate::series::Millis;

/// What may be used a day; 0 allows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Requests to models.
    pub calls_per_day: u64,
    /// Tokens read and written, together.
    pub tokens_per_day: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { calls_per_day: 1_000, tokens_per_day: 2_000_000 }
    }
}

/// What was used on a day; kept by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The day in UTC.
    pub day: NaiveDate,
    /// Requests to models.
    pub calls: u64,
    /// Tokens read and written.
    pub tokens: u64,
}

/// The budget of a day is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Exhausted {
    /// What was used.
    pub spent: Spent,
    /// What was allowed.
    pub budget: Budget,
}

impl Budget {
    /// Whether another call may be made. Since the bound is not kept within a call, pass
    /// few subjects to each.
    pub fn allows(&self, spent: &Spent, now: Millis) -> Result<(), Exhausted> {
        let spent = spent.on(day(now));
        if spent.calls < self.calls_per_day && spent.tokens < self.tokens_per_day {
            return Ok(());
        }
        Err(Exhausted { spent, budget: *self })
    }
}

impl Spent {
    /// Counts what a call used.
    pub fn add(&mut self, usage: Usage, now: Millis) {
        *self = self.on(day(now));
        self.calls = self.calls.saturating_add(usage.calls);
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// The same day, or a new one without use. A clock that goes back does not open a day
    /// again, nor forget the one that was.
    fn on(self, day: NaiveDate) -> Self {
        if day > self.day { Self { day, ..Self::default() } } else { self }
    }
}

/// What a failed call is counted as: nothing where the analyst answered that it could not
/// ask, else one call, since a call that was stopped cannot say what it used.
pub fn used_by(fault: &Fault) -> Usage {
    Usage { calls: u64::from(fault.answer.is_none()), ..Usage::default() }
}

impl Exhausted {
    /// When the next day begins.
    pub fn opens(&self) -> Millis {
        let next = self.spent.day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
        next.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spent, budget } = self;
        write!(
            f,
            "the budget of the day is spent: {} of {} calls, {} of {} tokens; it opens again at {}",
            spent.calls,
            budget.calls_per_day,
            spent.tokens,
            budget.tokens_per_day,
            DateTime::from_timestamp_millis(self.opens()).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ")
        )
    }
}

fn day(now: Millis) -> NaiveDate {
    DateTime::from_timestamp_millis(now).unwrap_or_default().date_naive()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Blame, PluginError};

    const HOUR: Millis = 3_600_000;
    /// 22:00 UTC.
    const EVENING: Millis = 1_767_571_200_000 + 22 * HOUR;

    fn usage(calls: u64, tokens: u64) -> Usage {
        Usage { calls, input_tokens: tokens, output_tokens: tokens }
    }

    #[test]
    fn a_spent_budget_opens_again_with_the_next_day() {
        let budget = Budget { calls_per_day: 3, tokens_per_day: 1_000 };
        let mut spent = Spent::default();
        spent.add(usage(2, 100), EVENING);
        assert_eq!(budget.allows(&spent, EVENING), Ok(()));
        // The last call may go over.
        spent.add(usage(2, 100), EVENING + HOUR);
        let exhausted = budget.allows(&spent, EVENING + HOUR).unwrap_err();
        assert_eq!(
            exhausted.to_string(),
            "the budget of the day is spent: 4 of 3 calls, 400 of 1000 tokens; it opens again at 2026-01-06T00:00:00Z"
        );
        assert_eq!(exhausted.opens(), EVENING + 2 * HOUR);
        assert!(budget.allows(&spent, exhausted.opens() - 1).is_err());
        assert_eq!(budget.allows(&spent, exhausted.opens()), Ok(()));
        spent.add(usage(1, 1), exhausted.opens());
        assert_eq!((spent.calls, spent.tokens), (1, 2));
    }

    #[test]
    fn tokens_are_bounded_as_calls_are_and_nothing_overflows() {
        let budget = Budget { calls_per_day: 1_000, tokens_per_day: 1_000 };
        let mut spent = Spent::default();
        spent.add(usage(1, 499), EVENING);
        assert_eq!(budget.allows(&spent, EVENING), Ok(()));
        spent.add(usage(u64::MAX, u64::MAX), EVENING);
        spent.add(usage(1, 1), EVENING);
        assert!(budget.allows(&spent, EVENING).is_err());
        assert!(Budget { calls_per_day: 0, ..budget }.allows(&Spent::default(), EVENING).is_err());
    }

    #[test]
    fn a_clock_that_goes_back_opens_nothing() {
        let budget = Budget { calls_per_day: 1, tokens_per_day: 1_000 };
        let mut spent = Spent::default();
        spent.add(usage(1, 1), EVENING);
        spent.add(usage(1, 1), EVENING - 48 * HOUR);
        assert_eq!((spent.calls, spent.day), (2, day(EVENING)));
        assert!(budget.allows(&spent, EVENING - 48 * HOUR).is_err());
    }

    #[test]
    fn what_was_spent_is_the_same_after_a_restart() {
        let mut spent = Spent::default();
        spent.add(usage(1, 10), EVENING);
        let text = serde_json::to_string(&spent).unwrap();
        assert_eq!(text, r#"{"day":"2026-01-05","calls":1,"tokens":20}"#);
        assert_eq!(serde_json::from_str::<Spent>(&text).unwrap(), spent);
    }

    #[test]
    fn a_call_that_was_stopped_is_counted() {
        let fault = |answer| Fault {
            blame: Blame::Remote,
            tenant: "default".into(),
            plugin: "llm".into(),
            version: "0.1.0".into(),
            export: "analyse".into(),
            message: String::new(),
            remedy: String::new(),
            log_tail: vec![],
            answer,
            until: None,
        };
        assert_eq!(used_by(&fault(None)).calls, 1);
        assert_eq!(used_by(&fault(Some(PluginError::Busy(None)))), Usage::default());
    }
}
