//! What the detector takes as native code, for `make bench`, which puts it beside the same
//! work in the sandbox.
//!
//!     cargo run --release -p robust --example native
//!
//! Prints one object of JSON: the CPU time of a fit of one row in milliseconds, and of a new
//! point of one row in microseconds, when 32 rows are scored together. It does what the
//! guest does with a row, the encoding of models included, on the series of `anomd bench`.

use std::hint::black_box;

use robust::ensemble::{Ensemble, HISTORY, Series};
use robust::member::CONTEXT;
use robust::model::Model;

#[path = "../../../host/src/eval/cpu.rs"]
mod cpu;
#[path = "../../../host/src/cli/bench/walk.rs"]
mod walk;

const STEP_MS: u32 = 60_000;
/// The first minute of the series, since the epoch.
const START: i64 = 1_767_225_600_000 / STEP_MS as i64;
/// Different series: as many as a call has.
const FITTED: usize = TOGETHER;
const TOGETHER: usize = 32;
const FITS: usize = 64;
const CALLS: usize = 1_000;

fn main() {
    let ensemble = Ensemble::default();
    let (history, context) = (HISTORY as usize, CONTEXT as usize);
    let rows: Vec<Vec<f64>> = (0..FITTED).map(|row| walk::walk(row, history + 1)).collect();
    let fit = |row: &[f64]| {
        let series = Series { values: &row[..history], start: START, step_ms: STEP_MS };
        ensemble.fit(series, Model::decode_whole(&[])).expect("a day has enough minutes").encode()
    };
    // The warm-up, too. Scoring is passed the heads alone.
    let mut heads: Vec<Vec<u8>> = rows.iter().map(|row| fit(row)).collect();
    heads.iter_mut().for_each(|model| model.truncate(Model::head_bytes(model)));
    let begun = cpu::cpu_seconds();
    for index in 0..FITS {
        black_box(fit(black_box(&rows[index % FITTED])));
    }
    let fit_ms = (cpu::cpu_seconds() - begun) * 1e3 / FITS as f64;
    let from = history - context;
    let begun = cpu::cpu_seconds();
    for index in (0..TOGETHER).cycle().take(TOGETHER * CALLS) {
        let model = Model::decode(black_box(&heads[index % FITTED])).expect("it was just encoded");
        let values = &rows[index % FITTED][from..];
        let series = Series { values, start: START + from as i64, step_ms: STEP_MS };
        black_box(ensemble.score(&model, series, 1));
    }
    let score_us = (cpu::cpu_seconds() - begun) * 1e6 / (TOGETHER * CALLS) as f64;
    println!("{{\"fit_ms\": {fit_ms}, \"score_us\": {score_us}}}");
}
