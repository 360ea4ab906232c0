//! Answers that have the types of the contract and break its promises.

use super::*;

macro_rules! refused {
    ($($name:ident: $export:literal, $attack:literal => $expected:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let limits = Limits { call_cpu_ms: 10_000, instance_memory_bytes: 128 << 20, ..small() };
            Scene::with(limits).await.refuses($export, $attack, $expected).await;
        })*
    };
}

refused! {
    a_plan_of_nothing: "plan", "nothing" => "plugin: it answered what the contract forbids: it wants 0 columns of history";
    a_plan_of_everything: "plan", "everything" => "limit: it wants 4294967295 columns at once, where 524288 fit into a call";
    an_error_of_megabytes: "plan", "complain" => "plugin: a fault in the plugin: woe! woe!";
    too_few_models: "fit", "few" => "plugin: it answered what the contract forbids: 0 models for 1 rows";
    too_many_models: "fit", "many" => "plugin: it answered what the contract forbids: 100000 models for 1 rows";
    a_giant_model: "fit", "giant" => "limit: the model of row 0 has 2097152 bytes, where 1048576 are allowed";
    too_many_heads: "fit", "many-heads" => "plugin: it answered what the contract forbids: 100000 heads of models for 1 rows";
    a_head_beyond_its_model: "fit", "giant-head" => "plugin: it answered what the contract forbids: the head of row 0 has 4294967295 bytes, where its model has 1";
    a_skip_of_a_row_that_is_not: "fit", "skip-what-is-not" => "plugin: it answered what the contract forbids: it skips row 4294967295 of 1";
    a_skip_twice: "fit", "skip-twice" => "plugin: it answered what the contract forbids: it skips row 0 twice";
    a_fit_that_complains_at_length: "fit", "complain" => "plugin: a fault in the plugin: woe! woe!";
    too_few_scores: "score", "few" => "plugin: it answered what the contract forbids: 0 scores for 1 rows of 1 columns";
    too_many_scores: "score", "many" => "plugin: it answered what the contract forbids: 1000000 scores for 1 rows of 1 columns";
    scores_beyond_one: "score", "beyond" => "plugin: it answered what the contract forbids: the score of row 0, column 0, is 1.5, not 0 to 1";
    infinite_scores: "score", "infinite" => "plugin: it answered what the contract forbids: the score of row 0, column 0, is inf, not 0 to 1";
    an_infinite_band: "score", "infinite-band" => "plugin: it answered what the contract forbids: upper of row 0, column 0, is inf; NaN stands for none";
    a_band_of_another_length: "score", "short-band" => "plugin: it answered what the contract forbids: lower has 2 values for 1 scores";
    terms_without_end: "score", "many-terms" => "plugin: it answered what the contract forbids: 10000 terms, where 32 are allowed";
    two_terms_of_a_name: "score", "same-terms" => "plugin: it answered what the contract forbids: the term \"a\" stands twice";
    a_term_of_a_giant_name: "score", "giant-term" => "plugin: it answered what the contract forbids: \"aaaaaaaa";
    an_infinite_term: "score", "infinite-term" => "plugin: it answered what the contract forbids: term \"a\" of row 0, column 0, is -inf; NaN stands for none";
    a_score_that_skips_what_is_not: "score", "skip-what-is-not" => "plugin: it answered what the contract forbids: it skips row 4294967295 of 1";
    a_giant_model_of_a_table: "fit-vectors", "giant" => "limit: the model has 2097152 bytes, where 1048576 are allowed";
    too_few_scores_of_a_table: "score-vectors", "few" => "plugin: it answered what the contract forbids: 0 scores for 2 rows of 1 columns";
    infinite_scores_of_a_table: "score-vectors", "infinite" => "plugin: it answered what the contract forbids: the score of row 0, column 0, is inf, not 0 to 1";
    a_giant_term_of_a_table: "score-vectors", "giant-term" => "plugin: it answered what the contract forbids: \"aaaaaaaa";
    instants_that_do_not_ascend: "fetch", "unsorted" => "plugin: it answered what the contract forbids: the timestamps of series up do not ascend";
    an_instant_twice: "fetch", "same-instant" => "plugin: it answered what the contract forbids: the timestamps of series up do not ascend";
    an_instant_before_all_time: "fetch", "before-time" => "plugin: it answered what the contract forbids: timestamp -9223372036854775808 is not within the years 1970 to 9999";
    an_instant_after_all_time: "fetch", "after-time" => "plugin: it answered what the contract forbids: timestamp 9223372036854775807 is not within the years 1970 to 9999";
    an_infinite_value: "fetch", "infinite" => "plugin: it answered what the contract forbids: value 1 is infinite; NaN stands for a value that is missing";
    a_billion_declared_values: "fetch", "billion" => "plugin: it answered what the contract forbids: the offsets of series 0 are not in order";
    offsets_that_run_backwards: "fetch", "backwards" => "plugin: it answered what the contract forbids: ";
    fewer_values_than_instants: "fetch", "few-values" => "plugin: it answered what the contract forbids: 1 series have 0 kinds, 2 offsets, 2 timestamps and 1 values";
    no_offsets: "fetch", "few-offsets" => "plugin: it answered what the contract forbids: 1 series have 0 kinds, 0 offsets, 2 timestamps and 2 values";
    kinds_without_series: "fetch", "many-kinds" => "plugin: it answered what the contract forbids: 1 series have 100000 kinds";
    series_without_end: "fetch", "many-series" => "limit: it gave 200000 series, where 100000 are allowed";
    a_series_twice: "fetch", "same-series" => "plugin: it answered what the contract forbids: series {a=\"b\"} stands twice";
    losses_without_end: "fetch", "many-losses" => "plugin: it answered what the contract forbids: 100000 losses in one page, where 1000 are allowed";
    a_giant_cursor: "fetch", "giant-cursor" => "plugin: it answered what the contract forbids: a cursor of 8388608 bytes, where 65536 are allowed";
    too_few_receipts: "deliver", "few" => "plugin: it answered what the contract forbids: 0 results for 1 alerts";
    too_many_receipts: "deliver", "many" => "plugin: it answered what the contract forbids: 100000 results for 1 alerts";
    an_insight_of_nobody: "analyse", "other-subject" => "plugin: it answered what the contract forbids: insight 0 is about subject 4294967295 of 1";
    an_insight_of_all_time: "analyse", "other-time" => "plugin: it answered what the contract forbids: insight 0 is from -9223372036854775808 to 9223372036854775807";
    an_insight_without_score: "analyse", "no-score" => "plugin: it answered what the contract forbids: the score of insight 0 is NaN, not 0 to 1";
    an_insight_without_text: "analyse", "no-text" => "plugin: it answered what the contract forbids: insight 0 has no text";
    insights_without_end: "analyse", "many" => "limit: it gave 50000 insights, where 1000 are allowed";
    a_subject_lost_twice: "analyse", "lost-twice" => "plugin: it answered what the contract forbids: it lost subject 0 of 1, or lost it twice";
}

macro_rules! shrugged_off {
    ($($name:ident: $export:literal, $attack:literal => $expected:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let limits = Limits { call_cpu_ms: 10_000, instance_memory_bytes: 128 << 20, ..small() };
            let said = Scene::with(limits).await.shrugs_off($export, $attack).await;
            assert!(said.contains($expected), "{said}");
        })*
    };
}

// Texts are cut, and what the labels of one series do wrong is that series' loss.
shrugged_off! {
    problems_without_end: "check", "many" => "100 problems";
    a_giant_problem: "check", "giant" => "1 problems";
    a_reason_at_length: "fit", "skip-at-length" => "why? …";
    labels_of_a_name: "fetch", "same-labels" => "series 1";
    labels_out_of_order: "fetch", "unsorted-labels" => "Page";
    giant_labels: "fetch", "giant-labels" => "series 1";
    labels_without_end: "fetch", "many-labels" => "a series of 100000 labels, where 128 are allowed";
    labels_that_move_the_cursor: "fetch", "moving-labels" => "has a control character";
    a_giant_loss: "fetch", "giant-loss" => "woe! woe!";
    a_giant_receipt: "deliver", "giant" => "thanks! …";
    a_receipt_that_moves_the_cursor: "deliver", "moving" => "\u{fffd}[2J\u{fffd}";
    receipts_that_complain_at_length: "deliver", "complain" => "woe! woe!";
    a_giant_text: "analyse", "giant-text" => "word…";
    a_giant_author: "analyse", "giant-author" => "me me";
}
