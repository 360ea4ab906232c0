//! `anomd demo --seeds`: the demo's table over many histories.
//!
//! Each history begins on the same Monday, so the figures are the same on any day. With --out
//! what a seed gave is kept, and not done again by the same binary with the same detectors.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{ALL_DAYS, Acts, CliError, DemoArgs, Global, HOUR, LEARNT_DAYS, open, output};
use crate::config::Environment;
use crate::demo::table::Table;
use crate::node;
use crate::series::Millis;

/// A Monday at midnight, UTC: 2026-01-05.
const START: Millis = 1_767_571_200_000;

/// `1-10`, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seeds(RangeInclusive<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| format!("{text:?} is no seed: write 1-10"));
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last - first >= 1000 {
            return Err(format!("{text:?} are no seeds: write 1-10, and not more than 1000"));
        }
        Ok(Self(first..=last))
    }
}

/// What came of one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    seed: u64,
    /// Incidents that were found.
    found: usize,
    /// Incidents.
    of: usize,
    /// Names of the scenarios that were missed.
    missed: Vec<String>,
    /// The longest delay to an incident that was found, in minutes.
    slowest_min: Option<i64>,
    others_a_day: f64,
    others_a_day_without_incidents: f64,
    /// How long before its limit was reached that was foretold, in hours: of the incident that has one.
    limit_foretold_h: Option<f64>,
    /// What a threshold at the extremes of the first week found.
    static_found: usize,
}

impl Row {
    fn of(seed: u64, acts: &Acts) -> Self {
        let Acts { judged, quiet, threshold } = acts;
        let missed = |table: &Table| -> Vec<String> {
            let rows = table.rows.iter().filter(|row| row.found.is_none());
            rows.map(|row| row.scenario.name().to_owned()).collect()
        };
        let delays = judged.rows.iter().filter_map(|row| row.found.as_ref()).map(|found| found.delay_ms / 60_000);
        Self {
            seed,
            found: judged.found(),
            of: judged.rows.len(),
            missed: missed(judged),
            slowest_min: delays.max(),
            others_a_day: judged.others_a_day(),
            others_a_day_without_incidents: quiet.others_a_day(),
            limit_foretold_h: judged.rows.iter().find_map(|row| row.ahead_ms).map(|ms| ms as f64 / HOUR as f64),
            static_found: threshold.found(),
        }
    }
}

pub(super) async fn run(global: &Global, args: &DemoArgs, seeds: &Seeds) -> Result<(), CliError> {
    let key = key(global).await?;
    let mut rows = Vec::new();
    for seed in seeds.0.clone() {
        let place = args.out.as_ref().map(|folder| folder.join(format!("seed-{seed}.json")));
        if let Some(row) = place.as_ref().and_then(|place| kept(place, &key)) {
            rows.push(row);
            continue;
        }
        let folder = tempfile::Builder::new().prefix("anomd-demo-").tempdir()?;
        let data = folder.path().join("data");
        let (acts, _) = super::perform(global, seed, START, folder.path(), &data).await?;
        let row = Row::of(seed, &acts);
        eprintln!("seed {seed}: {} of {} found, {:.2} other alerts a day", row.found, row.of, row.others_a_day);
        if let Some(place) = &place {
            keep(place, &key, &row)?;
        }
        rows.push(row);
    }
    show(global, &rows)?;
    held(args, &rows)
}

/// Equal for the same program, with all that is in it, and the same components beside it.
async fn key(global: &Global) -> Result<String, CliError> {
    let (catalogue, _) = node::load_plugins(&open::node_config(global, &Environment::of_process())?).await?;
    let mut hash = Sha256::new_with_prefix(fs::read(std::env::current_exe()?)?);
    catalogue.iter().for_each(|plugin| hash.update(plugin.digest()));
    Ok(data_encoding::HEXLOWER.encode(&hash.finalize()))
}

/// What is kept of a seed.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
    row: Row,
}

fn kept(place: &Path, key: &str) -> Option<Row> {
    let kept: Kept = serde_json::from_slice(&fs::read(place).ok()?).ok()?;
    (kept.key == key).then_some(kept.row)
}

fn keep(place: &Path, key: &str, row: &Row) -> Result<(), CliError> {
    let kept = Kept { key: key.to_owned(), row: row.clone() };
    let text = serde_json::to_vec(&kept).map_err(|e| CliError::other(e.to_string()))?;
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = place.with_extension("part");
    fs::write(&beside, text)?;
    Ok(fs::rename(&beside, place)?)
}

/// All seeds together.
struct Whole {
    found: usize,
    of: usize,
    others_a_day: f64,
    others_a_day_without_incidents: f64,
    static_found: usize,
}

impl Whole {
    fn of(rows: &[Row]) -> Self {
        let sum = |of: fn(&Row) -> usize| rows.iter().map(of).sum();
        let mean = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>() / rows.len().max(1) as f64;
        Self {
            found: sum(|row| row.found),
            of: sum(|row| row.of),
            others_a_day: mean(|row| row.others_a_day),
            others_a_day_without_incidents: mean(|row| row.others_a_day_without_incidents),
            static_found: sum(|row| row.static_found),
        }
    }
}

fn show(global: &Global, rows: &[Row]) -> Result<(), CliError> {
    let whole = Whole::of(rows);
    if global.json {
        return output::json(&json!({
            "seeds": rows, "found": whole.found, "of": whole.of,
            "others_a_day": whole.others_a_day,
            "others_a_day_without_incidents": whole.others_a_day_without_incidents,
            "static_found": whole.static_found,
        }));
    }
    let mut table = output::table([
        "seed",
        "found",
        "missed",
        "slowest",
        "limit foretold",
        "other alerts a day",
        "without incidents",
        "static threshold",
    ]);
    for row in rows {
        table.add_row([
            row.seed.to_string(),
            format!("{} of {}", row.found, row.of),
            row.missed.join(", "),
            row.slowest_min.map(|minutes| format!("{minutes} min")).unwrap_or_default(),
            row.limit_foretold_h.map_or_else(|| "no".to_owned(), |hours| format!("{hours:.0} h before")),
            format!("{:.2}", row.others_a_day),
            format!("{:.2}", row.others_a_day_without_incidents),
            format!("{} of {}", row.static_found, row.of),
        ]);
    }
    table.add_row([
        "all".to_owned(),
        format!("{} of {}", whole.found, whole.of),
        String::new(),
        String::new(),
        String::new(),
        format!("{:.2}", whole.others_a_day),
        format!("{:.2}", whole.others_a_day_without_incidents),
        format!("{} of {}", whole.static_found, whole.of),
    ]);
    output::line(table);
    output::line(format!("{} days of each history are judged, all series together", ALL_DAYS - LEARNT_DAYS));
    Ok(())
}

/// Whether what was asked for is reached.
fn held(args: &DemoArgs, rows: &[Row]) -> Result<(), CliError> {
    let mut short = Vec::new();
    let whole = Whole::of(rows);
    if let Some(least) = args.min_found.filter(|least| whole.found < *least) {
        short.push(format!("{} of {} incidents were found, where {least} is the least", whole.found, whole.of));
    }
    if let Some(most) = args.max_others {
        let loud = rows.iter().filter(|row| row.others_a_day > most);
        short.extend(loud.map(|row| {
            format!("seed {} has {:.2} other alerts a day, where {most} is the most", row.seed, row.others_a_day)
        }));
    }
    if let Some(least) = args.min_foretold {
        let late = rows.iter().filter(|row| row.limit_foretold_h.is_none_or(|hours| hours < least));
        short.extend(late.map(|row| format!("seed {} foretold its limit less than {least} h before", row.seed)));
    }
    if short.is_empty() { Ok(()) } else { Err(CliError::Run(short.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_span_or_one() {
        assert_eq!("1-10".parse(), Ok(Seeds(1..=10)));
        assert_eq!("7".parse(), Ok(Seeds(7..=7)));
        assert!("10-1".parse::<Seeds>().unwrap_err().contains("write 1-10"));
        assert!("a-b".parse::<Seeds>().unwrap_err().contains("is no seed"));
    }

    #[test]
    fn what_another_binary_gave_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out/seed-3.json");
        let row = Row {
            seed: 3,
            found: 6,
            of: 7,
            missed: vec!["network".into()],
            slowest_min: Some(12),
            others_a_day: 0.5,
            others_a_day_without_incidents: 0.25,
            limit_foretold_h: Some(30.0),
            static_found: 1,
        };
        keep(&place, "a", &row).unwrap();
        assert_eq!(kept(&place, "a"), Some(row));
        assert_eq!(kept(&place, "b"), None);
    }
}
