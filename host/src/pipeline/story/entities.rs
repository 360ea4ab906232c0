//! Series that are judged together.

use super::*;
use crate::plugin::{Judge, Judged, Table, Term};

/// Learns how far its two features are apart on average; what is more than 5 off that is odd.
struct Apart;

fn apart(row: &[f64]) -> f64 {
    row[0] - row[1]
}

#[async_trait]
impl Judge for Apart {
    async fn fit(&self, _: &Call, _: &str, history: &Table) -> Result<Vec<u8>, Fault> {
        let all: Vec<f64> =
            history.values.chunks(history.features.len()).map(apart).filter(|apart| apart.is_finite()).collect();
        Ok((all.iter().sum::<f64>() / all.len() as f64).to_le_bytes().to_vec())
    }

    async fn score(&self, _: &Call, _: &str, model: &Arc<[u8]>, recent: &Table) -> Result<Judged, Fault> {
        let mean = f64::from_le_bytes(model.as_ref().try_into().unwrap());
        let rows = || recent.values.chunks(recent.features.len());
        let odd = |row: &[f64]| if (apart(row) - mean).abs() > 5.0 { 1.0 } else { 0.1 };
        let scores = rows().map(|row| if apart(row).is_nan() { f64::NAN } else { odd(row) }).collect();
        let term = |(index, name): (usize, &String)| Term {
            name: name.clone(),
            values: rows().map(|row| row[index]).collect(),
        };
        Ok(Judged { scores, terms: recent.features.iter().enumerate().map(term).collect() })
    }
}

fn stage(source: Script) -> Stage {
    let mut stage = Stage::new("entity_labels: [instance]\n", source);
    stage.bound.detectors[0].judge = Some(Arc::new(Apart));
    stage
}

/// Memory that follows the CPU, but for the minutes that are given.
fn memory(but: &'static [Millis]) -> impl Fn(Millis) -> Option<f64> + Send + Sync {
    move |minute| Some(if but.contains(&minute) { 39.0 } else { (minute % 20) as f64 * 2.0 })
}

fn cpu(minute: Millis) -> Option<f64> {
    Some((minute % 20) as f64 * 2.0 + 1.0)
}

#[tokio::test]
async fn what_no_series_shows_by_itself_is_an_alert_of_the_entity_and_names_its_features() {
    let source =
        Script::default().with("cpu@a", cpu).with("mem@a", memory(&[])).with("cpu@b", cpu).with("mem@b", memory(&[41]));
    let stage = stage(source);
    stage.live(0..=50).await;
    let alerts = stage.alerts(AlertKind::Anomaly);
    let names: Vec<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(names, [r#"story{instance="b"}"#]);
    assert_eq!(alerts[0].started, minute(41));
    let terms: Vec<&str> = alerts[0].terms.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(terms, ["mem", "cpu"]);
    assert_eq!(stage.scores(r#"story{instance="b"}"#).iter().filter(|(_, score)| *score > 0.5).count(), 1);
    // Its values are its scores, and its features have none.
    assert_eq!(stage.values(r#"story{instance="b"}"#)[&41], 1.0);
    assert!(stage.scores(r#"cpu{instance="b"}"#).is_empty());
}

#[tokio::test]
async fn a_row_waits_for_each_of_its_features_and_is_judged_once() {
    let late = |minute: Millis| if minute == 45 { None } else { cpu(minute) };
    let stage = stage(Script::default().with("cpu@a", late).with("mem@a", memory(&[])));
    stage.live(0..=60).await;
    let minutes: Vec<Millis> = stage.scores(r#"story{instance="a"}"#).iter().map(|(minute, _)| *minute).collect();
    let expected: Vec<Millis> = (30..60).filter(|minute| *minute != 45).collect();
    assert_eq!(minutes, expected, "entered by the first fit's run, fit by the second");
}

#[tokio::test]
async fn a_feature_that_is_gone_is_left_out_by_the_next_fit() {
    let gone = |minute: Millis| (minute < 10).then_some(3.0);
    let source = Script::default().with("cpu@a", cpu).with("mem@a", memory(&[])).with("old@a", gone);
    let stage = stage(source);
    stage.live(0..=130).await;
    let minutes: Vec<Millis> = stage.scores(r#"story{instance="a"}"#).iter().map(|(minute, _)| *minute).collect();
    // While it counts, no row is complete.
    assert!(!minutes.contains(&40), "{minutes:?}");
    assert!(minutes.contains(&129), "{minutes:?}");
}
