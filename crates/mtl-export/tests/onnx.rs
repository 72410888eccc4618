//! Every architecture and chain in ONNX, run by another project's runtime: the same probabilities,
//! on rows with unseen and missing values.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use mtl_calibrate::{Calibrator, FitRows, Isotonic, Map, NegativeSampling, Platt};
use mtl_export::{Onnx, to_onnx};
use mtl_feature::Encoding;
use mtl_model::{Calibration, Model};
use rten::{Model as Runtime, NodeId, Value};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use common::{Raw, derived, encode, model, model_of};

const SMALL: &str = "embedding = { dim = 4 }\nexpert_units = [6, 5]\ngate_units = [4]\n\
                     tower_units = [4]\nbottom_units = [7, 5]\nexperts = 3\ntask_experts = 2\n";

const CHAINS: [&str; 5] = [
    "preset = 'esmm'\nlabels = { conversion = 'buy' }",
    "preset = 'esm2'\nlabels = { action = 'buy', purchase = 'buy' }",
    "preset = 'escm2_ips'\nlabels = { conversion = 'buy' }",
    "preset = 'escm2_dr'\nlabels = { conversion = 'buy' }",
    // A softmax, one branch of which has no tower, and paths that meet again.
    "event = [
        { name = 'click', from = 'impression', tower = 'c', label = 'click' },
        { name = 'cart', from = 'click', softmax = 'next', tower = 'n' },
        { name = 'wish', from = 'click', softmax = 'next' },
        { name = 'buy', label = 'buy', paths = [
            { from = 'cart', tower = 'b1' }, { from = 'wish', tower = 'b2' } ] },
    ]",
];

/// The outputs of the runtime, rows × names in the model's order.
fn run(model: &Model, onnx: &Onnx, rows: &Raw) -> Vec<Vec<f32>> {
    let runtime = Runtime::load(onnx.model.clone()).unwrap();
    let table = encode(model, rows);
    let described = onnx.vocabulary["inputs"].as_object().unwrap();
    let input = |name: &String| -> (NodeId, Value) {
        let feature = model.schema().feature(name).unwrap();
        let value = match feature.encoding() {
            Encoding::Vocabulary(_) | Encoding::Hashed { .. } | Encoding::Part(_) => {
                let ids: Vec<i32> = table.ids_of(name).unwrap().iter().map(|&i| i as i32).collect();
                Tensor::from_data(&[ids.len()], ids).into()
            }
            Encoding::Age(_) => {
                let missing = rows.column(feature.column()).iter().map(String::is_empty);
                let ages = table.values_of(name).unwrap().iter().zip(missing);
                let ages: Vec<f32> =
                    ages.map(|(&age, missing)| if missing { f32::NAN } else { age }).collect();
                Tensor::from_data(&[ages.len()], ages).into()
            }
            _ => {
                let raw = rows.column(feature.column()).iter();
                let numbers: Vec<f32> =
                    raw.map(|x| if x.is_empty() { f32::NAN } else { x.parse().unwrap() }).collect();
                Tensor::from_data(&[numbers.len()], numbers).into()
            }
        };
        (runtime.node_id(name).unwrap(), value)
    };
    let inputs = described.keys().map(input).map(|(id, value)| (id, value.into())).collect();
    let names: Vec<&str> = onnx.vocabulary["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_str().unwrap())
        .collect();
    let ids: Vec<NodeId> = names.iter().map(|name| runtime.node_id(name).unwrap()).collect();
    let outputs = runtime.run(inputs, &ids, None).unwrap();
    let floats = |value: Value| -> Vec<f32> {
        let tensor: Tensor<f32> = value.try_into().unwrap();
        assert_eq!(tensor.ndim(), 1, "an output is a column");
        tensor.to_vec()
    };
    outputs.into_iter().map(floats).collect()
}

/// The largest difference between the runtime's outputs and ours.
fn check(what: &str, model: &Model) {
    let onnx = to_onnx(model).unwrap_or_else(|error| panic!("{what}: {error}"));
    for n in [1, 64] {
        let rows = Raw::new(n);
        let expected = model.predict(&encode(model, &rows)).unwrap();
        let found = run(model, &onnx, &rows);
        assert_eq!(onnx.vocabulary["outputs"].as_array().unwrap().len(), expected.names().len());
        let mut most = 0.0;
        for (name, found) in expected.names().iter().zip(found) {
            let expected = expected.column(name).unwrap();
            most = expected.iter().fold(most, |most: f32, p| most.max((p - expected[0]).abs()));
            for (row, (e, f)) in expected.iter().zip(&found).enumerate() {
                // Sums in another order: the weights here are wide apart, and a normalisation widens.
                assert!((e - f).abs() <= 5e-6, "{what}: {name}, row {row}: {f}, expected {e}");
            }
        }
        assert!(n == 1 || most > 1e-4, "{what}: every row has the same outputs");
    }
}

fn settings(architecture: &str, more: &str) -> String {
    format!("name = '{architecture}'\n{more}\n{SMALL}")
}

/// Those with ops that have no form in ONNX yet.
const WITHOUT: [&str; 3] = ["star", "aitm", "cross_stitch"];

fn exported() -> impl Iterator<Item = &'static str> {
    mtl_arch::NAMES.into_iter().filter(|name| !WITHOUT.contains(name))
}

#[test]
fn an_op_without_a_form_is_named() {
    for (name, more, kind) in
        [("aitm", "sequence = ['click', 'buy']", "dot_scores"), ("cross_stitch", "", "stitch")]
    {
        let error = to_onnx(&model(&settings(name, more), None)).unwrap_err().to_string();
        assert!(error.contains(kind), "{name}: {error}");
    }
}

#[test]
fn every_architecture_predicts_the_same() {
    for name in exported() {
        for more in ["", "preset = 'paper'", "first_order = true", "batch_norm = true"] {
            check(&format!("{name} {more}"), &model(&settings(name, more), None));
        }
    }
}

#[test]
fn every_architecture_under_every_chain_predicts_the_same() {
    for name in exported() {
        for chain in CHAINS {
            check(&format!("{name} {chain}"), &model(&settings(name, ""), Some(chain)));
        }
    }
}

#[test]
fn crosses_and_parts_of_dates_are_inputs() {
    for name in exported() {
        check(&format!("{name} derived"), &model_of(derived(), &settings(name, ""), None));
    }
    let onnx = to_onnx(&model_of(derived(), &settings("mmoe", ""), None)).unwrap();
    let inputs = &onnx.vocabulary["inputs"];
    let cross = &inputs["city by device"];
    assert_eq!((&cross["kind"], &cross["joined_by"]), (&"vocabulary".into(), &"\u{1f}".into()));
    assert_eq!(cross["column"], serde_json::json!(["city", "device"]));
    let hour = serde_json::json!({
        "column": "time", "kind": "date_part", "part": "hour", "utc_offset": "+08:00",
    });
    assert_eq!(inputs["time.hour"], hour);
    assert!(inputs["time.age_days"]["scale"].as_f64().unwrap() > 1.0);
}

#[test]
fn a_calibration_is_in_the_graph() {
    let curve = {
        let p: Vec<f32> = (0..200_u8).map(|i| f32::from(i) / 200.0).collect();
        let y: Vec<f32> = (0..200_u32).map(|i| f32::from(u8::from(i * i % 211 < i))).collect();
        Isotonic::fit(&FitRows::new(&y, &p, None).unwrap())
    };
    let platt = Map::Platt(Platt { slope: 0.7, offset: -1.3 });
    let sampling = Some(NegativeSampling::new(0.1).unwrap());
    for map in [None, Some(platt), Some(Map::Isotonic(curve))] {
        for sampling in [None, sampling] {
            let mut model = model(&settings("mmoe", ""), None);
            let mut calibration = Calibration::default();
            let calibrator = Calibrator::new(sampling, map.clone()).unwrap();
            calibration.insert("p_buy", calibrator);
            model.set_calibration(calibration).unwrap();
            check(&format!("{sampling:?} {map:?}"), &model);
        }
    }
}

#[test]
fn inputs_are_described_by_values_and_columns() {
    let onnx = to_onnx(&model(&settings("mmoe", ""), None)).unwrap();
    let inputs = &onnx.vocabulary["inputs"];
    assert_eq!(inputs["city"]["kind"], "vocabulary");
    assert_eq!(inputs["city"]["values"].as_array().unwrap().len(), 4);
    assert_eq!(inputs["device"]["buckets"], 7);
    assert_eq!(inputs["age"]["kind"], "number");
    assert_eq!(onnx.vocabulary["outputs"], serde_json::json!(["p_buy", "p_click"]));
    let names: Vec<&String> = inputs.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 8, "labels and weights are no inputs: {names:?}");
}
