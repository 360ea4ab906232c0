//! A history on the grid, and which of its columns something may be compared with.

/// Seasons at whose phase something is looked for, at most.
const SEASONS: i64 = 60;

/// Which columns may be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those before this one, as when a point is scored.
    Before(i64),
    /// All but so many on either side of the query, as when the history judges itself.
    Around(i64),
}

/// The history in which references lie. Column numbers are counted from the Unix epoch.
#[derive(Clone, Copy)]
pub struct History<'a> {
    /// The judged values; NaN where one is missing.
    pub values: &'a [f32],
    /// The column of the first value.
    pub start: i64,
    /// The length of a season, in columns.
    pub season: Option<usize>,
}

impl<'a> History<'a> {
    /// The value of a column; NaN where there is none or `reach` forbids it.
    pub fn at(&self, column: i64, reach: Reach) -> f32 {
        match reach {
            Reach::Before(end) if column >= end => f32::NAN,
            _ => {
                usize::try_from(column - self.start).ok().and_then(|i| self.values.get(i)).copied().unwrap_or(f32::NAN)
            }
        }
    }

    /// The values of a column and of so many on either side, as far as there are and `reach` lets.
    pub fn near(&self, column: i64, beside: i64, reach: Reach) -> &'a [f32] {
        let end = match reach {
            Reach::Before(end) => end.min(column + beside + 1),
            Reach::Around(_) => column + beside + 1,
        };
        let place = |column: i64| (column - self.start).clamp(0, self.values.len() as i64) as usize;
        self.values.get(place(column - beside)..place(end)).unwrap_or_default()
    }

    /// So many values from a column on; empty where there is none of them, `None` where there are some.
    pub fn span(&self, column: i64, count: usize, reach: Reach) -> Option<&'a [f32]> {
        let end = match reach {
            Reach::Before(end) => end.min(self.end()),
            Reach::Around(_) => self.end(),
        };
        let last = column + count as i64;
        if last <= self.start || column >= end {
            return Some(&[]);
        }
        if last > end {
            return None;
        }
        let from = usize::try_from(column - self.start).ok()?;
        self.values.get(from..from + count)
    }

    /// The values up to a column, so many or as many as there are.
    pub fn upto(&self, column: i64, count: usize) -> &'a [f32] {
        let end = usize::try_from(column + 1 - self.start).unwrap_or(0).min(self.values.len());
        self.values.get(end.saturating_sub(count)..end).unwrap_or_default()
    }

    /// The columns at the phase of `column`, of as many seasons as there are or [`SEASONS`].
    pub fn in_phase(&self, column: i64, reach: Reach) -> impl Iterator<Item = i64> {
        let season = self.season.unwrap_or(0) as i64;
        let seasons = if season == 0 { 0 } else { (self.values.len() as i64 / season + 2).min(SEASONS) };
        let first = if matches!(reach, Reach::Around(_)) { -seasons } else { 1 };
        (first..=seasons).filter(|&k| k != 0).map(move |k| column - k * season)
    }

    /// The column after the last value.
    pub fn end(&self) -> i64 {
        self.start + self.values.len() as i64
    }
}
