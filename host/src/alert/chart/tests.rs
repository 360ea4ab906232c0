use super::*;

const START: Millis = 1_767_571_200_000;
const MINUTE: u32 = 60_000;

/// A curve with a day's rhythm and some noise, and the band that fits it.
fn series(grid: &Grid, level: f64, spread: f64) -> ChartSeries {
    let course = |column: usize| {
        let day = grid.time(column) as f64 / 86_400_000.0;
        level + level * 0.4 * (day * std::f64::consts::TAU).sin()
    };
    let noise = |column: usize| ((column * 7919 + 13) % 1009) as f64 / 1009.0 - 0.5;
    let rows = |f: &dyn Fn(usize) -> f64| (0..grid.columns).map(f).collect::<Vec<f64>>();
    ChartSeries {
        values: rows(&|i| course(i) + spread * noise(i)),
        lower: rows(&|i| course(i) - spread),
        upper: rows(&|i| course(i) + spread),
        scores: rows(&|i| noise(i).abs() * 0.5),
        threshold: Some(0.8),
        ..ChartSeries::default()
    }
}

fn grid(columns: usize, step_ms: u32) -> Grid {
    Grid { start: START, step_ms, columns }
}

fn chart(grid: Grid, series: Vec<ChartSeries>) -> ChartInput {
    let title = "cpu_usage of web-1".to_owned();
    ChartInput { title, grid, zone: chrono_tz::Europe::Berlin, series, markers: Vec::new() }
}

fn spike() -> ChartInput {
    let grid = grid(250, MINUTE);
    let mut one = series(&grid, 3.0, 0.6);
    for (column, value) in [(200, 6.0), (201, 9.2), (202, 8.8), (203, 8.1), (204, 5.0)] {
        one.values[column] = value;
        one.scores[column] = 0.93;
    }
    one.alerts.push(grid.time(200)..grid.time(206));
    let deploy = ChartMarker { start: grid.time(188), end: None, name: "deploy v2".into() };
    ChartInput { markers: vec![deploy], ..chart(grid, vec![one]) }
}

fn shift() -> ChartInput {
    let grid = grid(250, 300_000);
    let mut one = series(&grid, 10.0, 1.5);
    one.values[170..].iter_mut().for_each(|value| *value += 15.0);
    one.scores = Vec::new();
    one.alerts.push(grid.time(170)..grid.end());
    chart(grid, vec![one])
}

fn flat() -> ChartInput {
    let grid = grid(250, MINUTE);
    let one = ChartSeries {
        values: vec![42.0; 250],
        lower: vec![42.0; 250],
        upper: vec![42.0; 250],
        ..series(&grid, 42.0, 0.0)
    };
    chart(grid, vec![one])
}

fn limits() -> ChartInput {
    let grid = grid(120, MINUTE);
    let mut one = ChartSeries { unit: Unit::Bytes, ..series(&grid, 5e9, 4e8) };
    (one.lower, one.upper, one.scores, one.threshold) = (Vec::new(), Vec::new(), Vec::new(), None);
    one.limits = vec![f64::from(1 << 30) * 6.0];
    one.values[40..60].fill(f64::NAN);
    one.values[50] = 6.1e9;
    one.values[95..].iter_mut().for_each(|value| *value += 1.9e9);
    one.alerts.push(grid.time(95)..grid.end());
    let maintenance = ChartMarker { start: grid.time(38), end: Some(grid.time(61)), name: "maintenance".into() };
    ChartInput { markers: vec![maintenance], ..chart(grid, vec![one]) }
}

fn months() -> ChartInput {
    let grid = grid(61 * 1440, MINUTE);
    let mut one = series(&grid, 900.0, 300.0);
    one.values[50_000..52_000].iter_mut().for_each(|value| *value += 1500.0);
    one.scores[50_000..52_000].fill(0.95);
    one.alerts.push(grid.time(50_000)..grid.time(52_000));
    ChartInput { title: "requests_total of api (2 months)".into(), ..chart(grid, vec![one]) }
}

/// Nothing compresses worse.
fn noise() -> ChartInput {
    let grid = grid(20_000, MINUTE);
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut row = || (0..grid.columns).map(|_| random().powi(6)).collect::<Vec<f64>>();
    let one = |_| ChartSeries { values: row(), lower: row(), upper: row(), ..ChartSeries::default() };
    chart(grid, (0..6).map(one).collect())
}

fn several() -> ChartInput {
    let grid = grid(250, MINUTE);
    let one = |index: usize| {
        let mut one = ChartSeries {
            name: format!("latency_seconds of svc-{index}"),
            unit: Unit::Seconds,
            ..series(&grid, 0.2, 0.05)
        };
        let from = 180 + 4 * index;
        one.values[from..from + 20].iter_mut().for_each(|value| *value += 0.6);
        one.alerts.push(grid.time(from)..grid.time(from + 20));
        one
    };
    let deploy = ChartMarker { start: grid.time(176), end: None, name: "deploy".into() };
    let title = "12 series of batch orders look anomalous".into();
    ChartInput { title, markers: vec![deploy], ..chart(grid, (0..6).map(one).collect()) }
}

/// Width, height and pixels.
fn decoded(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[test]
fn every_kind_of_picture_is_a_png_that_fits_into_a_mail() {
    let mut seen = Vec::new();
    for input in [spike(), shift(), flat(), limits(), months(), several(), noise()] {
        let bytes = draw(&input, 60_000).unwrap();
        assert!(bytes.len() <= 60_000, "{} bytes", bytes.len());
        let (width, height, pixels) = decoded(&bytes);
        assert_eq!(width, 800);
        assert!((300..=900).contains(&height), "{height}");
        assert!(!seen.contains(&pixels), "two pictures are equal");
        seen.push(pixels);
    }
}

#[test]
fn equal_input_gives_equal_bytes_and_another_value_another_picture() {
    let bytes = draw(&spike(), 60_000).unwrap();
    assert_eq!(bytes, draw(&spike(), 60_000).unwrap());
    let mut other = spike();
    other.series[0].values[100] += 2.0;
    assert_ne!(bytes, draw(&other, 60_000).unwrap());
}

#[test]
fn a_gap_stays_a_gap() {
    let blue = |input: &ChartInput| {
        let (width, _, pixels) = decoded(&draw(input, 60_000).unwrap());
        let is_line = |pixel: &[u8]| pixel[2] > 150 && pixel[0] < 60;
        // Columns of pixels, in the panel, in which there is a piece of the line.
        (100..780)
            .filter(|x| pixels.chunks(3 * width as usize).skip(66).any(|row| is_line(&row[3 * x..3 * x + 3])))
            .count()
    };
    let grid = grid(200, MINUTE);
    let mut input = chart(grid, vec![ChartSeries { values: series(&grid, 3.0, 0.5).values, ..ChartSeries::default() }]);
    let whole = blue(&input);
    input.series[0].values[50..150].fill(f64::NAN);
    let half = blue(&input);
    assert!(half < whole * 55 / 100 && half > whole * 45 / 100, "{half} of {whole}");
}

#[test]
fn no_value_is_too_odd_to_be_drawn() {
    let odd = [
        vec![],
        vec![7.0],
        vec![f64::NAN; 50],
        vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0],
        vec![f64::MAX, f64::MIN, 0.0],
        vec![1e15, 1e15 + 1.0, 1e15 + 2.0],
        vec![1e-300, 3e-300, 2e-300],
        vec![0.0; 9],
        vec![-5.0; 9],
    ];
    for values in odd {
        for unit in [Unit::None, Unit::Bytes, Unit::Seconds, Unit::Ratio, Unit::PerSecond, Unit::BytesPerSecond] {
            let one = ChartSeries {
                name: "\u{202e}行\0\n".repeat(500),
                unit,
                lower: values.iter().map(|x| x - 1.0).collect(),
                upper: values.iter().rev().copied().collect(),
                scores: values.clone(),
                threshold: Some(f64::NAN),
                limits: vec![f64::NAN, f64::INFINITY, 0.0],
                before: Some(f64::NAN),
                forecast: values.iter().rev().copied().collect(),
                alerts: vec![Range { start: Millis::MAX, end: Millis::MIN }, Millis::MIN..Millis::MAX, START..START],
                values: values.clone(),
            };
            let columns = values.len();
            let marker = ChartMarker { start: Millis::MIN, end: Some(Millis::MAX), name: "m".repeat(9_999) };
            let odd = ChartInput { markers: vec![marker; 3], ..chart(grid(columns, MINUTE), vec![one; 2]) };
            assert!(draw(&odd, 60_000).is_some());
            let odd = ChartInput {
                grid: Grid { start: Millis::MAX - 10_000_000_000_000, step_ms: u32::MAX, columns },
                series: odd.series[..1].to_vec(),
                ..odd
            };
            assert!(draw(&odd, 60_000).is_some());
        }
    }
    assert!(draw(&chart(grid(0, MINUTE), Vec::new()), 60_000).is_some());
    assert!(draw(&spike(), 100).is_none(), "a picture that is too large is left out");
}
