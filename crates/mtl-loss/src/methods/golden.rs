//! Golden values for unit tests, from the float64 reference in `tests/golden/generate.py`.

use serde_json::Value;

const GOLDEN: &str = include_str!("../../tests/golden/golden.json");

/// One case of the golden file.
pub(crate) struct Case(Value);

impl Case {
    /// The numbers under `key`, nested lists in row-major order.
    pub(crate) fn numbers(&self, key: &str) -> Vec<f64> {
        let mut out = Vec::new();
        flatten(&self.0[key], &mut out);
        out
    }

    /// The random orders, one a task.
    pub(crate) fn orders(&self) -> Vec<Vec<usize>> {
        let rows = self.0["orders"].as_array().expect("orders are a list");
        let order = |row: &Value| {
            let row = row.as_array().expect("an order is a list");
            row.iter().map(|j| j.as_u64().expect("an order holds indices") as usize).collect()
        };
        rows.iter().map(order).collect()
    }
}

/// The cases under `name`.
pub(crate) fn cases(name: &str) -> Vec<Case> {
    let golden: Value = serde_json::from_str(GOLDEN).expect("the golden file is JSON");
    let cases = golden[name].as_array().expect("cases are a list");
    assert!(!cases.is_empty(), "{name}");
    cases.iter().cloned().map(Case).collect()
}

/// Fails unless all pairs agree to 1e-10, relative to 1 + |expected|.
pub(crate) fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let close = (found - expected).abs() <= 1e-10 * (1.0 + expected.abs());
        assert!(close, "{what}: {found} is not {expected}");
    }
}

fn flatten(value: &Value, out: &mut Vec<f64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, out)),
        other => out.push(other.as_f64().expect("a number")),
    }
}
