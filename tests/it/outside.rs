//! What other languages' tools say about this repository's files.

use crate::support::outside::{run, skipped};

#[test]
fn the_cloud_function_passes_its_own_tests_under_node() {
    match run("node", &["--test", "cloud-function/tillbook.test.js"]) {
        Some((passed, text)) => assert!(passed, "{text}"),
        None => {
            skipped("the_cloud_function_passes_its_own_tests_under_node", "node 18 or newer", "apt-get install nodejs")
        }
    }
}

#[test]
fn the_specs_are_valid_for_an_independent_validator() {
    let name = "the_specs_are_valid_for_an_independent_validator";
    let get = "python3 -m pip install openapi-spec-validator";
    if run("python3", &["-c", "import openapi_spec_validator"]).is_none_or(|(there, _)| !there) {
        return skipped(name, "python3 with openapi-spec-validator", get);
    }
    for spec in ["specs/fubei.yaml", "specs/trade_order.yaml", "specs/hydrogen.yaml"] {
        let (valid, text) = run("python3", &["-m", "openapi_spec_validator", spec]).expect("python3 was there");
        assert!(valid, "{spec}: {text}");
    }
}
