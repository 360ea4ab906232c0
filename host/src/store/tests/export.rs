//! Export: columns, order, and that nothing but the contents shows.

use super::*;

fn exported(db: &Database, what: Export, filter: &ExportFilter, format: ExportFormat) -> Vec<String> {
    let mut bytes = Vec::new();
    let count = db.export(what, filter, &mut bytes, format).unwrap();
    let lines: Vec<_> = String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len() as u64, count + u64::from(format == ExportFormat::Csv));
    lines
}

fn filled() -> Database {
    let db = Database::in_memory(&small_limits()).unwrap();
    let app = key("app");
    db.commit(ingest(&app, T0, &[("mem", &[(T0, 0.1)]), ("cpu", &[(T0 + 1, f64::INFINITY), (T0 + MINUTE, 9.0)])]))
        .unwrap();
    let mut row = score_row(T0 + MINUTE, 0.95, &[("drift", 0.9)]);
    row.upper = f64::NAN;
    let scores = vec![(SeriesId(1), ScoreColumn { rows: vec![row] })];
    db.commit(Commit { scores, ..Commit::of(run(&app, Job::Score, T0)) }).unwrap();
    let alerts = vec![alert(&app, "x", AlertPhase::Resolved, T0 + MINUTE)];
    db.commit(Commit { alerts, ..Commit::of(run(&app, Job::Alert, T0)) }).unwrap();
    let tenant = BatchKey { tenant: "acme".to_owned(), batch: "app".to_owned() };
    db.commit(ingest(&tenant, T0, &[("a,b\"c", &[(T0, 1e300)])])).unwrap();
    db
}

#[test]
fn rows_have_the_six_columns_in_a_fixed_order() {
    let lines = exported(&filled(), Export::Metrics, &ExportFilter::default(), ExportFormat::Csv);
    let expected = [
        r#"metric_timestamp,metric_batch,metric_name,metric_type,metric_value,metadata"#,
        r#"2026-01-01T00:00:00Z,app,"a,b""c",metric,1e+300,"{""tenant"":""acme"",""labels"":{""__name__"":""a,b\""c"",""host"":""a""}}""#,
        r#"2026-01-01T00:00:00.001Z,app,cpu,metric,+Inf,"{""labels"":{""__name__"":""cpu"",""host"":""a""}}""#,
        r#"2026-01-01T00:01:00Z,app,cpu,metric,9.0,"{""labels"":{""__name__"":""cpu"",""host"":""a""}}""#,
        r#"2026-01-01T00:01:00Z,app,cpu,score,0.95,"{""labels"":{""__name__"":""cpu"",""host"":""a""},""lower"":1.0,""terms"":{""drift"":0.9}}""#,
        r#"2026-01-01T00:01:00Z,app,cpu,alert,1.0,"{""labels"":{""__name__"":""cpu"",""host"":""a""},""alert"":""x"",""state"":""resolved"",""kind"":""anomaly"",""start"":""2026-01-01T00:01:00Z"",""end"":""2026-01-01T00:02:00Z"",""threshold"":0.8,""worst"":{""time"":""2026-01-01T00:01:00Z"",""value"":9.0,""score"":0.95,""lower"":null,""upper"":null},""terms"":{""drift"":0.9},""models"":{""m"":""abc""}}""#,
        r#"2026-01-01T00:00:00Z,app,mem,metric,0.1,"{""labels"":{""__name__"":""mem"",""host"":""a""}}""#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn an_export_is_the_same_after_sealing_and_in_json_lines() {
    let db = filled();
    let all = |format| exported(&db, Export::Metrics, &ExportFilter::default(), format);
    let before = (all(ExportFormat::Csv), all(ExportFormat::JsonLines));
    db.seal().unwrap();
    assert_eq!((all(ExportFormat::Csv), all(ExportFormat::JsonLines)), before);
    let row: serde_json::Value = serde_json::from_str(&before.1[3]).unwrap();
    assert_eq!(row["metric_timestamp"], "2026-01-01T00:01:00Z");
    assert_eq!(row["metric_type"], "score");
    assert_eq!(row["metric_value"], 0.95);
    let metadata: serde_json::Value = serde_json::from_str(row["metadata"].as_str().unwrap()).unwrap();
    assert_eq!(metadata["terms"]["drift"], 0.9);
}

#[test]
fn filters_choose_batches_types_and_times() {
    let db = filled();
    let count = |filter| exported(&db, Export::Metrics, &filter, ExportFormat::JsonLines).len();
    assert_eq!(count(ExportFilter { key: Some(key("app")), ..ExportFilter::default() }), 5);
    assert_eq!(count(ExportFilter { types: Some(vec![MetricType::Alert]), ..ExportFilter::default() }), 1);
    assert_eq!(count(ExportFilter { times: Some(T0 + 1..T0 + MINUTE), ..ExportFilter::default() }), 1);
    assert_eq!(count(ExportFilter { key: Some(key("none")), ..ExportFilter::default() }), 0);
}

#[test]
fn exported_runs_do_not_show_the_wall_clock() {
    let db = filled();
    let mut late = run(&key("app"), Job::Ingest, T0 + MINUTE);
    (late.started, late.duration_ms, late.state) = (987_654_321, 987_654_321, RunState::Skipped("why".to_owned()));
    db.commit(Commit::of(late)).unwrap();
    let filter = ExportFilter { key: Some(key("app")), ..ExportFilter::default() };
    let lines = exported(&db, Export::Runs, &filter, ExportFormat::JsonLines);
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| !line.contains("987654321")), "{lines:?}");
    assert_eq!(
        lines[3],
        r#"{"scheduled":"2026-01-01T00:01:00Z","tenant":"default","metric_batch":"app","job":"ingest","state":{"skipped":"why"},"attempts":1,"reason":"cron","counts":{"samples":1},"messages":{"log":["a line"],"error":null}}"#
    );
}
