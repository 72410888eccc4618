//! What stands beside the `.onnx` file: how raw values become its inputs.

use mtl_feature::{
    CROSS_SEPARATOR, Encoding, FIRST_KNOWN, FeatureSpec, FittedFeature, Keep, Key, MISSING,
    SEPARATOR, Schema, UNSEEN,
};
use serde_json::{Map, Value, json};

use super::features::NO_ITEM;

/// The features among `inputs`, in order of name.
pub(super) fn describe(schema: &Schema, inputs: &[&str], outputs: &[&str]) -> Value {
    let features = schema.features().iter().filter(|f| inputs.contains(&f.name()));
    let inputs: Map<String, Value> =
        features.map(|feature| (feature.name().to_owned(), input(schema, feature))).collect();
    json!({
        "unseen": UNSEEN,
        "missing": MISSING,
        "first_known": FIRST_KNOWN,
        "no_item": NO_ITEM,
        "inputs": inputs,
        "outputs": outputs,
    })
}

/// What shares another feature's ids has that feature's values here too.
fn input(schema: &Schema, feature: &FittedFeature) -> Value {
    let zone = feature.spec().time_zone.as_ref().map(ToString::to_string);
    let mut input = match schema.ids_of(feature).encoding() {
        Encoding::Vocabulary(vocabulary) => {
            let values: Vec<Value> = vocabulary.keys().iter().map(value).collect();
            json!({ "kind": "vocabulary", "values": values })
        }
        Encoding::Hashed { buckets } => {
            json!({ "kind": "hash", "hash": "xxh3_64", "buckets": buckets })
        }
        Encoding::Scaling(scaling) => {
            json!({ "kind": "number", "transform": {
                "log1p": scaling.log1p,
                "shift": scaling.shift,
                "scale": scaling.scale,
                "missing": scaling.missing,
            } })
        }
        Encoding::Quantiles(quantiles) => json!({ "kind": "number", "edges": quantiles.edges }),
        Encoding::Part(part) => json!({ "kind": "date_part", "part": part, "time_zone": zone }),
        // (−days since 1970 − shift) / scale, in 64 bits.
        Encoding::Age(scaling) => json!({
            "kind": "age_days", "time_zone": zone,
            "shift": scaling.shift, "scale": scaling.scale,
        }),
        _ => json!({ "kind": "number" }),
    };
    input["column"] = json!(feature.column());
    if feature.is_sequence() {
        input["sequence"] = sequence(feature.spec());
    }
    // A cross: the values of the columns in this order, with U+001F between.
    if feature.columns().len() > 1 {
        let mut columns = feature.columns();
        columns.sort_unstable();
        input["column"] = json!(columns);
        input["joined_by"] = json!(CROSS_SEPARATOR);
    }
    input
}

/// How a cell becomes a list.
fn sequence(spec: &FeatureSpec) -> Value {
    let keep = match spec.keep.unwrap_or_default() {
        Keep::First => "first",
        Keep::Last => "last",
    };
    let separator = spec.separator.as_deref().unwrap_or(SEPARATOR);
    json!({ "separator": separator, "max_length": spec.longest(), "keep": keep })
}

fn value(key: &Key) -> Value {
    match key {
        Key::Integer(value) => json!(value),
        Key::Unsigned(value) => json!(value),
        Key::Text(text) => json!(text),
    }
}
