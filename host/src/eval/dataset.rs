//! Labelled series as files: `timestamp?,value,label`, or NAB's layout.
//!
//! A folder is NAB's where it has `data/` and `labels/combined_windows.json`; its labels are the
//! windows. Else each csv in it is a series that has a column for the value and one for the
//! label (`label`, `anomaly` or `is_anomaly`; any number above 0.5, or `true`). A csv without
//! them is none of ours and is passed over. What lies in subfolders is a set of its own.
//! Beside files there are the series of [`super::generated`].

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::EvalError;
use super::generated::{Recipe, Truth};
use crate::series::Millis;

/// Midnight, so that slots of the grid begin with a series that has no time of its own.
const START: Millis = 1_767_225_600_000;
/// Bytes of one file.
const FILE_BYTES: u64 = 256 << 20;
/// Columns that a grid may have for each row: more is no grid, but a wrong step.
const COLUMNS_A_ROW: i64 = 50;

/// Where a labelled series comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The set that it is in: the name of its folder, or of what generates it.
    pub set: String,
    /// Its name in the set.
    pub file: String,
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// A file; its labels may be NAB's windows, as they are written.
    File(PathBuf, Option<Vec<[String; 2]>>),
    Generated(Recipe),
}

/// A labelled series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    /// One a row; see [`in_order`].
    pub timestamps: Vec<Millis>,
    /// One a row; NaN where it is missing.
    pub values: Vec<f64>,
    /// One a row.
    pub labels: Vec<bool>,
    /// NAB's windows as first and last row; `None` for other sets.
    pub windows: Option<Vec<(usize, usize)>>,
    /// Milliseconds between rows: the median, or what was given where rows have no time.
    pub step_ms: u32,
    /// Sha-256 of the file and its windows, in hex.
    pub digest: String,
}

/// The labelled series in a folder, or the file itself; sorted by set and name.
pub fn find(path: &Path) -> Result<Vec<Source>, EvalError> {
    if !path.exists() {
        return Err(EvalError::Absent(path.to_owned()));
    }
    let mut found = Vec::new();
    if path.is_file() {
        let set = path.parent().map(name).unwrap_or_default();
        found.push(Source { set, file: name(path), origin: Origin::File(path.to_owned(), None) });
    } else {
        let sets = if is_nab(path) || !own(path)?.is_empty() { vec![path.to_owned()] } else { folders(path)? };
        for set in sets {
            found.extend(if is_nab(&set) { nab(&set)? } else { own(&set)? });
        }
    }
    if found.is_empty() {
        return Err(EvalError::Empty(path.to_owned()));
    }
    found.sort_by(|a, b| (&a.set, &a.file).cmp(&(&b.set, &b.file)));
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_nab(folder: &Path) -> bool {
    folder.join("data").is_dir() && folder.join("labels/combined_windows.json").is_file()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, EvalError> {
    let unreadable = |e| EvalError::unreadable(folder, e);
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(unreadable)).collect()
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, EvalError> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

fn own(folder: &Path) -> Result<Vec<Source>, EvalError> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if path.extension().is_some_and(|e| e == "csv") && header(&path)?.is_some() {
            found.push(Source { set: name(folder), file: name(&path), origin: Origin::File(path, None) });
        }
    }
    Ok(found)
}

fn nab(folder: &Path) -> Result<Vec<Source>, EvalError> {
    let path = folder.join("labels/combined_windows.json");
    let text = fs::read_to_string(&path).map_err(|e| EvalError::unreadable(&path, e))?;
    let windows: std::collections::BTreeMap<String, Vec<[String; 2]>> =
        serde_json::from_str(&text).map_err(|e| EvalError::wrong(&path, None, format!("no NAB windows: {e}")))?;
    let set = name(folder);
    let source = |(file, windows): (String, Vec<[String; 2]>)| Source {
        set: set.clone(),
        origin: Origin::File(folder.join("data").join(&file), Some(windows)),
        file,
    };
    Ok(windows.into_iter().map(source).collect())
}

/// Where the columns are.
#[derive(Clone, Copy)]
struct Header {
    time: Option<usize>,
    value: usize,
    label: Option<usize>,
}

/// The columns of a labelled series; `None` where the csv is something else.
fn header(path: &Path) -> Result<Option<Header>, EvalError> {
    let mut reader = csv::Reader::from_path(path).map_err(|e| EvalError::wrong(path, None, e.to_string()))?;
    let names = reader.headers().map_err(|e| EvalError::wrong(path, Some(1), e.to_string()))?;
    let names: Vec<String> = names.iter().map(|name| name.trim().to_lowercase()).collect();
    let at = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
    let (time, label) = (at(&["timestamp", "time", "date"]), at(&["label", "anomaly", "is_anomaly"]));
    let others: Vec<usize> = (0..names.len()).filter(|n| Some(*n) != time && Some(*n) != label).collect();
    let value = at(&["value"]).or(match *others {
        [only] => Some(only),
        _ => None,
    });
    Ok(value.filter(|_| label.is_some()).map(|value| Header { time, value, label }))
}

impl Source {
    pub(super) fn generated(recipe: Recipe) -> Self {
        Self { set: recipe.set().to_owned(), file: recipe.name(), origin: Origin::Generated(recipe) }
    }

    /// Whether it has NAB's windows.
    pub fn has_windows(&self) -> bool {
        matches!(self.origin, Origin::File(_, Some(_)))
    }

    /// The season that it has, where that is known.
    pub fn season(&self) -> Option<Truth> {
        match self.origin {
            Origin::File(..) => None,
            Origin::Generated(recipe) => recipe.truth(),
        }
    }

    /// The kind of a series that is generated: its name without its number.
    pub fn kind(&self) -> Option<&str> {
        match self.origin {
            Origin::File(..) => None,
            Origin::Generated(_) => self.file.rsplit_once('-').map(|(kind, _)| kind),
        }
    }

    /// Reads or makes the series. Rows of a file without a time of their own are `step_ms` apart.
    pub fn read(&self, step_ms: u32) -> Result<Labelled, EvalError> {
        match &self.origin {
            Origin::File(path, windows) => read(path, windows.as_deref(), step_ms),
            Origin::Generated(recipe) => Ok(recipe.series()),
        }
    }
}

fn read(path: &Path, windows: Option<&[[String; 2]]>, step_ms: u32) -> Result<Labelled, EvalError> {
    let wrong = |line: Option<u64>, why: String| EvalError::wrong(path, line, why);
    let unreadable = |e| EvalError::unreadable(path, e);
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_BYTES {
        return Err(wrong(None, format!("it has {length} bytes, where {FILE_BYTES} are read: cut it")));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let columns = match (header(path)?, windows) {
        (_, Some(_)) => Header { time: Some(0), value: 1, label: None },
        (Some(header), None) => header,
        (None, None) => {
            return Err(wrong(Some(1), "no labelled series: the first line names `value` and `label`".into()));
        }
    };
    let mut series = Labelled {
        timestamps: Vec::new(),
        values: Vec::new(),
        labels: Vec::new(),
        windows: None,
        step_ms: step_ms.max(1),
        digest: digest(&bytes, windows, step_ms),
    };
    for record in csv::Reader::from_reader(&bytes[..]).records() {
        let record = record.map_err(|e| wrong(e.position().map(csv::Position::line), e.to_string()))?;
        let line = record.position().map(csv::Position::line);
        let field = |column: usize| record.get(column).unwrap_or_default().trim();
        let time = match columns.time {
            Some(column) => instant(field(column)).ok_or_else(|| {
                wrong(line, format!("{:?} is no time: write 2014-04-01 00:00:00, or seconds", field(column)))
            })?,
            None => START + Millis::from(series.step_ms) * series.values.len() as Millis,
        };
        series.timestamps.push(time);
        let value = field(columns.value);
        let parsed = if value.is_empty() { Some(f64::NAN) } else { value.parse().ok() };
        series.values.push(parsed.ok_or_else(|| wrong(line, format!("{value:?} is no number")))?);
        series.labels.push(columns.label.is_some_and(|column| is_true(field(column))));
    }
    if columns.time.is_some() {
        series.step_ms = step(&series.timestamps).map_err(|why| wrong(None, why))?;
    }
    if let Some(windows) = windows {
        let windows = rows(windows, &series.timestamps).map_err(|why| wrong(None, why))?;
        for (first, last) in &windows {
            series.labels.iter_mut().take(last + 1).skip(*first).for_each(|label| *label = true);
        }
        series.windows = Some(windows);
    }
    Ok(series)
}

pub(super) fn digest(bytes: &[u8], windows: Option<&[[String; 2]]>, step_ms: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.update(serde_json::to_string(&windows).unwrap_or_default());
    hash.update(step_ms.to_le_bytes());
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Seconds or milliseconds since the Unix epoch, or a date with a time, in UTC.
fn instant(text: &str) -> Option<Millis> {
    if let Ok(number) = text.parse::<i64>() {
        // Seconds until the year 5138, and milliseconds since 1973.
        return if number.abs() < 100_000_000_000 { Some(number * 1000) } else { Some(number) };
    }
    let zoned = chrono::DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    let plain = || {
        let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
        formats.iter().find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok())
    };
    zoned.ok().or_else(|| Some(plain()?.and_utc().timestamp_millis()))
}

fn is_true(text: &str) -> bool {
    text.parse::<f64>().map_or_else(|_| text.eq_ignore_ascii_case("true"), |number| number > 0.5)
}

/// The rows that are not earlier than one before them. A clock that was set back repeats an hour
/// (one of NAB's files does): nobody would have judged that anew.
pub(super) fn in_order(timestamps: &[Millis]) -> impl Iterator<Item = (usize, Millis)> {
    let mut newest = Millis::MIN;
    timestamps.iter().copied().enumerate().filter(move |(_, time)| {
        let kept = *time >= newest;
        newest = newest.max(*time);
        kept
    })
}

/// The median of the steps. A file whose rows are far apart for its step would be nearly all gaps.
fn step(timestamps: &[Millis]) -> Result<u32, String> {
    let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) else { return Ok(60_000) };
    let backwards = timestamps.windows(2).filter(|pair| pair.first() > pair.last()).count();
    if backwards * 1000 > timestamps.len() {
        return Err("its times do not ascend: sort it".to_owned());
    }
    let mut steps: Vec<Millis> = timestamps.iter().zip(timestamps.iter().skip(1)).map(|(a, b)| b - a).collect();
    steps.sort_unstable();
    let median = steps.get(steps.len() / 2).copied().unwrap_or(60_000).max(1);
    if (last - first) / median > COLUMNS_A_ROW * timestamps.len() as i64 {
        return Err(format!(
            "most of its rows are {median} ms apart, and it spans {} ms: cut it at its gaps",
            last - first
        ));
    }
    u32::try_from(median).map_err(|_| format!("its rows are {median} ms apart, where 49 days are the most"))
}

fn rows(windows: &[[String; 2]], timestamps: &[Millis]) -> Result<Vec<(usize, usize)>, String> {
    let row = |text: &str| {
        let row = instant(text).and_then(|time| timestamps.iter().position(|t| *t == time));
        row.ok_or_else(|| format!("no row is of {text}, where a window begins or ends"))
    };
    windows.iter().map(|[first, last]| Ok((row(first)?, row(last)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_of_sets_has_those_that_are_labelled() {
        let folder = folder(&[
            ("a/one.csv", "value,label\n1.5,0\n,1\n"),
            ("a/notes.csv", "file,score\nx,1\n"),
            ("b/two.csv", "timestamp,seasonal,anomaly\n0,1,0.0\n300,2,1.0\n600,3,0\n"),
        ]);
        let found = find(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|s| (s.set.as_str(), s.file.as_str())).collect();
        assert_eq!(names, [("a", "one.csv"), ("b", "two.csv")]);
        let one = found[0].read(60_000).unwrap();
        assert_eq!(
            (one.labels, one.step_ms, one.timestamps[1] - one.timestamps[0]),
            (vec![false, true], 60_000, 60_000)
        );
        assert!(one.values[1].is_nan());
        let two = found[1].read(60_000).unwrap();
        assert_eq!((two.labels, two.step_ms), (vec![false, true, false], 300_000));
    }

    #[test]
    fn nab_has_its_windows_as_labels() {
        let rows: String = (0..9).map(|i| format!("2014-04-01 00:{:02}:00,{i}\n", i * 5)).collect();
        let windows = r#"{"real/x.csv": [["2014-04-01 00:10:00.000000", "2014-04-01 00:20:00.000000"]]}"#;
        let folder = folder(&[
            ("nab/data/real/x.csv", &format!("timestamp,value\n{rows}")),
            ("nab/labels/combined_windows.json", windows),
        ]);
        let found = find(&folder.path().join("nab")).unwrap();
        let series = found[0].read(60_000).unwrap();
        assert_eq!(series.windows, Some(vec![(2, 4)]));
        assert_eq!(series.labels, [false, false, true, true, true, false, false, false, false]);
        assert_eq!(series.step_ms, 300_000);
    }

    #[test]
    fn a_clock_that_was_set_back_gives_no_rows_until_it_has_caught_up() {
        let rows: Vec<usize> = in_order(&[1, 2, 3, 3, 2, 3, 4]).map(|(row, _)| row).collect();
        assert_eq!(rows, [0, 1, 2, 3, 5, 6]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let folder =
            folder(&[("s/x.csv", "value,label\n1,0\nmuch,0\n"), ("t/y.csv", "timestamp,value,label\n9,1,0\n3,1,0\n")]);
        let error = |name: &str| find(&folder.path().join(name)).unwrap()[0].read(1000).unwrap_err().to_string();
        assert!(error("s").ends_with("x.csv:3: \"much\" is no number"), "{}", error("s"));
        assert!(error("t").ends_with("y.csv: its times do not ascend: sort it"), "{}", error("t"));
        let absent = find(&folder.path().join("none")).unwrap_err().to_string();
        assert!(absent.starts_with("there is no ") && absent.contains("--help"), "{absent}");
    }
}
