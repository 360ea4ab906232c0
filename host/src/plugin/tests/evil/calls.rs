//! What an export can do wrong before it answers: the same in each of them.

use super::*;

/// Each attack in each export, a test each.
macro_rules! in_each_export {
    ($($module:ident = $export:literal;)*) => {
        $(mod $module {
            use super::*;

            #[tokio::test]
            async fn an_endless_loop() {
                let expected = "limit: it used more than the 50ms of CPU time that a call may use";
                Scene::new().await.refuses($export, "spin", expected).await;
            }

            #[tokio::test]
            async fn an_endless_loop_of_host_calls() {
                let expected = "limit: it used more than the 50ms of CPU time that a call may use";
                Scene::new().await.refuses($export, "spin-in-host-calls", expected).await;
            }

            #[tokio::test]
            async fn an_allocation_bomb() {
                let limits = Limits { call_cpu_ms: 10_000, ..small() };
                let expected = "limit: it wanted more than the 32 MiB of memory that an instance may have";
                Scene::with(limits).await.refuses($export, "allocate", expected).await;
            }

            #[tokio::test]
            async fn a_stack_overflow() {
                let expected = "plugin: its calls nested until the stack was full";
                Scene::new().await.refuses($export, "recurse", expected).await;
            }

            #[tokio::test]
            async fn a_panic_of_megabytes() {
                let limits = Limits { call_cpu_ms: 10_000, instance_memory_bytes: 128 << 20, ..small() };
                let expected = "plugin: it trapped: wasm `unreachable` instruction executed";
                Scene::with(limits).await.refuses($export, "panic-at-length", expected).await;
            }

            #[tokio::test]
            async fn a_log_line_of_megabytes() {
                let expected = "limit: it passed more than the 8 MiB that may cross to the host at once";
                Scene::new().await.refuses($export, "log-a-giant", expected).await;
            }

            #[tokio::test]
            async fn a_million_log_lines() {
                let expected = "limit: it used more than the 50ms of CPU time that a call may use";
                Scene::new().await.refuses($export, "log-a-million-lines", expected).await;
            }

            #[tokio::test]
            async fn fields_without_end() {
                let limits = Limits { call_cpu_ms: 10_000, ..small() };
                Scene::with(limits).await.shrugs_off($export, "log-many-fields").await;
            }

            #[tokio::test]
            async fn gigabytes_of_random_numbers() {
                let expected = "plugin: it trapped: random.draw of 4294967295 bytes, where 65536 are allowed";
                Scene::new().await.refuses($export, "draw-too-much", expected).await;
            }
        })*
    };
}

in_each_export! {
    check = "check";
    plan = "plan";
    fit = "fit";
    score = "score";
    fit_vectors = "fit-vectors";
    score_vectors = "score-vectors";
    fetch = "fetch";
    deliver = "deliver";
    analyse = "analyse";
}

#[tokio::test]
async fn a_trap_and_then_another_call() {
    let scene = Scene::new().await;
    let plugin = scene.evil("detector").await;
    // Warm instances too: the one that trapped is never called again.
    for warm in [false, true] {
        let detector = plugin.detector(Use { warm, ..usage() }).unwrap();
        for _ in 0..5 {
            fit(&detector, json!({"in": "fit", "attack": "recurse"})).await.unwrap_err();
            assert_eq!(fit(&detector, json!({})).await.unwrap(), [1]);
        }
    }
    drop(plugin);
    scene.is_quiet().await;
}

#[tokio::test]
async fn more_loops_than_places_are_ended_one_after_the_other() {
    let scene = Scene::new().await;
    let plugin = scene.evil("detector").await;
    let detector = plugin.detector(usage()).unwrap();
    let attacks = (0..12).map(|_| fit(&detector, json!({"in": "fit", "attack": "spin"})));
    let outcomes = scene.survives(futures_util::future::join_all(attacks)).await;
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(|fault| fault.message.contains("CPU time"))));
}
