//! What a person reads in a browser, journey by journey.

use anomd_tests::{Anomd, journey, or_skip};

#[test]
fn a_node_without_a_batch_says_what_to_do_next() {
    let anomd = Anomd::new();
    let (_server, url) = anomd.serve();
    or_skip!(journey("overview", &url, &[]));
}
