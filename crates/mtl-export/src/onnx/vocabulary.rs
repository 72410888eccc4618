//! What stands beside the `.onnx` file: how raw values become its inputs.

use mtl_feature::{
    CROSS_SEPARATOR, Encoding, FIRST_KNOWN, FittedFeature, Key, MISSING, Schema, UNSEEN,
};
use serde_json::{Map, Value, json};

/// The features among `inputs`, in order of name.
pub(super) fn describe(schema: &Schema, inputs: &[&str], outputs: &[&str]) -> Value {
    let features = schema.features().iter().filter(|f| inputs.contains(&f.name()));
    let inputs: Map<String, Value> =
        features.map(|feature| (feature.name().to_owned(), input(feature))).collect();
    json!({
        "unseen": UNSEEN,
        "missing": MISSING,
        "first_known": FIRST_KNOWN,
        "inputs": inputs,
        "outputs": outputs,
    })
}

fn input(feature: &FittedFeature) -> Value {
    let column = feature.column();
    let offset = feature.spec().utc_offset.map(|offset| offset.to_string());
    let mut described = match feature.encoding() {
        Encoding::Vocabulary(vocabulary) => {
            let values: Vec<Value> = vocabulary.keys().iter().map(value).collect();
            json!({ "column": column, "kind": "vocabulary", "values": values })
        }
        Encoding::Hashed { buckets } => {
            json!({ "column": column, "kind": "hash", "hash": "xxh3_64", "buckets": buckets })
        }
        Encoding::Part(part) => {
            json!({ "column": column, "kind": "date_part", "part": part, "utc_offset": offset })
        }
        // (−days since 1970 − shift) / scale, in 64 bits.
        Encoding::Age(scaling) => json!({
            "column": column, "kind": "age_days", "utc_offset": offset,
            "shift": scaling.shift, "scale": scaling.scale,
        }),
        _ => json!({ "column": column, "kind": "number" }),
    };
    // A cross: the values of the columns in this order, with U+001F between.
    if feature.columns().len() > 1 {
        let mut columns = feature.columns();
        columns.sort_unstable();
        described["column"] = json!(columns);
        described["joined_by"] = json!(CROSS_SEPARATOR);
    }
    described
}

fn value(key: &Key) -> Value {
    match key {
        Key::Integer(value) => json!(value),
        Key::Unsigned(value) => json!(value),
        Key::Text(text) => json!(text),
    }
}
