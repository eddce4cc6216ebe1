//! The three specs that this program was built from, and tools for who edits a copy of them.
//!
//! The checks are the build's own, compiled a second time from the same files: what `specs check` passes, the build
//! takes.

mod surface;

// The build script's modules name each other through `super`; here they meet the same neighbours.
#[path = "../../../build/keys.rs"]
mod keys;
#[path = "../../../build/lint.rs"]
#[allow(dead_code, reason = "the generator uses parts that the check alone does not")]
mod lint;
#[path = "../../../build/lint_schema.rs"]
mod lint_schema;
#[path = "../../../build/required.rs"]
#[allow(dead_code, reason = "the generator uses parts that the check alone does not")]
mod required;
#[path = "../../../build/required_hydrogen.rs"]
mod required_hydrogen;
#[path = "../../../build/required_table.rs"]
mod required_table;
#[path = "../../../build/required_trade_order.rs"]
mod required_trade_order;
#[path = "../../../build/yaml.rs"]
#[allow(dead_code, reason = "the generator uses parts that the check alone does not")]
mod yaml;

pub(crate) use surface::{Change, changes};

/// The specs by name.
pub(crate) const SPECS: [(&str, &str); 3] = [
    ("fubei", include_str!("../../../specs/fubei.yaml")),
    ("trade_order", include_str!("../../../specs/trade_order.yaml")),
    ("hydrogen", include_str!("../../../specs/hydrogen.yaml")),
];

/// Something wrong with a spec, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column, from 1.
    pub(crate) column: usize,
    /// JSON pointer of the part.
    pub(crate) pointer: String,
    /// What is wrong.
    pub(crate) message: String,
}

impl From<yaml::Fault> for Fault {
    fn from(fault: yaml::Fault) -> Fault {
        Fault { line: fault.line, column: fault.column, pointer: fault.pointer, message: fault.message }
    }
}

/// Every fault of a spec's text, as the build would report them. A name that is none of ours has no required fields.
pub(crate) fn check(name: &str, text: &str) -> Vec<Fault> {
    let faults = match yaml::load(text) {
        Ok(document) => lint::check(name, &document),
        Err(faults) => faults,
    };
    faults.into_iter().map(Fault::from).collect()
}

/// A spec's text as JSON.
///
/// # Errors
/// Where it is not YAML as the build reads it.
pub(crate) fn read(text: &str) -> Result<serde_json::Value, Vec<Fault>> {
    yaml::load(text).map(|document| document.value).map_err(|faults| faults.into_iter().map(Fault::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_specs_have_no_faults() {
        for (name, text) in SPECS {
            assert_eq!(check(name, text), [], "{name}");
        }
    }
}
