//! Every architecture and chain in ONNX, run by another project's runtime: the same probabilities,
//! on rows with unseen and missing values.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use mtl_calibrate::{Calibrator, FitRows, Isotonic, Map, NegativeSampling, Platt};
use mtl_export::{Onnx, to_onnx};
use mtl_feature::{Encoding, FeatureTable, Feed};
use mtl_model::{Calibration, Model, assemble};
use mtl_nn::{Batch, Predictor};
use rten::{Model as Runtime, NodeId, Value};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use common::{Raw, encode, model, model_of, model_of_derived, model_of_sequences};

const SMALL: &str = "embedding = { dim = 4 }\nexpert_units = [6, 5]\ngate_units = [4]\n\
                     tower_units = [4]\nbottom_units = [7, 5]\nexperts = 3\ntask_experts = 2\n";

/// Chains and their towers.
const CHAINS: [(&str, &str); 5] = [
    ("preset = 'esmm'\nlabels = { conversion = 'buy' }", "['ctr', 'cvr']"),
    ("preset = 'esm2'\nlabels = { action = 'buy', purchase = 'buy' }", "['y1', 'y2', 'y3', 'y4']"),
    ("preset = 'escm2_ips'\nlabels = { conversion = 'buy' }", "['ctr', 'cvr']"),
    ("preset = 'escm2_dr'\nlabels = { conversion = 'buy' }", "['ctr', 'cvr', 'imputation']"),
    // A softmax, one branch of which has no tower, and paths that meet again.
    (
        "event = [
            { name = 'click', from = 'impression', tower = 'c', label = 'click' },
            { name = 'cart', from = 'click', softmax = 'next', tower = 'n' },
            { name = 'wish', from = 'click', softmax = 'next' },
            { name = 'buy', label = 'buy', paths = [
                { from = 'cart', tower = 'b1' }, { from = 'wish', tower = 'b2' } ] },
        ]",
        "['c', 'n', 'b1', 'b2']",
    ),
];

/// The outputs of the runtime, rows × names in the model's order.
fn run(model: &Model, onnx: &Onnx, rows: &Raw) -> Vec<Vec<f32>> {
    let runtime = Runtime::load(onnx.model.clone()).unwrap();
    let table = encode(model, rows);
    let described = onnx.vocabulary["inputs"].as_object().unwrap();
    let input = |name: &String| -> (NodeId, Value) {
        let feature = model.schema().feature(name).unwrap();
        let value = match model.schema().ids_of(feature).encoding() {
            _ if feature.is_sequence() => lists(&table, name),
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

/// The lists of a feature as batch × the longest of them, with −1 after the last item.
fn lists(table: &FeatureTable, name: &str) -> Value {
    let lists = table.lists_of(name).unwrap();
    let longest = lists.iter().map(<[u32]>::len).max().unwrap().max(1);
    let row = |ids: &[u32]| {
        let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
        ids.into_iter().chain(std::iter::repeat(-1)).take(longest).collect::<Vec<_>>()
    };
    let ids: Vec<i32> = lists.iter().flat_map(row).collect();
    Tensor::from_data(&[ids.len() / longest, longest], ids).into()
}

/// The outputs in f64 throughout, rows × names: what both runtimes round.
fn exact(model: &Model, rows: &Raw) -> Vec<Vec<f64>> {
    let table = encode(model, rows);
    let mut narrow = Batch::for_graph(model.graph());
    Feed::new(model.graph(), &table).unwrap().fill_range(0, table.n_rows(), &mut narrow);
    let wide = |values: &Vec<f32>| values.iter().copied().map(f64::from).collect();
    let batch = Batch {
        rows: narrow.rows,
        values: narrow.values.iter().map(wide).collect(),
        ids: narrow.ids,
        lists: narrow.lists,
    };
    let graph = assemble::<f64>(model.spec(), model.schema()).unwrap().graph;
    let names: Vec<String> = graph.outputs().iter().map(|(name, _)| name.clone()).collect();
    let p = Predictor::new(graph).predict(&model.params.cast(), &batch).unwrap();
    let column = |(i, name): (usize, &String)| {
        let calibrator = model.calibration().of(name);
        p.column(i).iter().map(|&p| calibrator.map_or(p, |c| c.apply(p))).collect()
    };
    names.iter().enumerate().map(column).collect()
}

/// The runtime's outputs are ours within 1e-6, and neither is further than that from f64.
fn check(what: &str, model: &Model) {
    let onnx = to_onnx(model).unwrap_or_else(|error| panic!("{what}: {error}"));
    for n in [1, 64] {
        let rows = Raw::new(n);
        let ours = model.predict(&encode(model, &rows)).unwrap();
        let (found, exact) = (run(model, &onnx, &rows), exact(model, &rows));
        assert_eq!(onnx.vocabulary["outputs"].as_array().unwrap().len(), ours.names().len());
        let mut spread = 0.0;
        for ((name, found), exact) in ours.names().iter().zip(&found).zip(&exact) {
            let ours = ours.column(name).unwrap().to_vec();
            spread = exact.iter().fold(spread, |most: f64, p| most.max((p - exact[0]).abs()));
            let wide: Vec<f64> = ours.iter().copied().map(f64::from).collect();
            let errors = [error(found, &wide), error(found, exact), error(&ours, exact)];
            let [ours_and_found, found, ours] = errors;
            assert!(
                errors.iter().all(|&error| error <= 1e-6),
                "{what}: {name}: {ours_and_found:.1e} apart; from f64 {found:.1e}, ours {ours:.1e}"
            );
        }
        assert!(n == 1 || spread > 1e-4, "{what}: every row has the same outputs");
    }
}

/// The largest distance, relative for values beyond 1.
fn error(values: &[f32], exact: &[f64]) -> f64 {
    let distance = |(&v, &e): (&f32, &f64)| (f64::from(v) - e).abs() / e.abs().max(1.0);
    values.iter().zip(exact).map(distance).fold(0.0, f64::max)
}

fn settings(architecture: &str, more: &str) -> String {
    settings_of_towers(architecture, "['click', 'buy']", more)
}

fn settings_of_towers(architecture: &str, towers: &str, more: &str) -> String {
    let own = match architecture {
        "star" => "domain = 'city'".to_owned(),
        "aitm" => format!("sequence = {towers}"),
        _ => String::new(),
    };
    format!("name = '{architecture}'\n{own}\n{more}\n{SMALL}")
}

#[test]
fn every_architecture_predicts_the_same() {
    for name in mtl_arch::NAMES {
        for more in ["", "preset = 'paper'", "first_order = true", "batch_norm = true"] {
            check(&format!("{name} {more}"), &model(&settings(name, more), None));
        }
    }
}

#[test]
fn every_architecture_under_every_chain_predicts_the_same() {
    for name in mtl_arch::NAMES {
        for (chain, towers) in CHAINS {
            let settings = settings_of_towers(name, towers, "");
            check(&format!("{name} {chain}"), &model(&settings, Some(chain)));
        }
    }
}

#[test]
fn sequences_are_pooled_the_same() {
    for attention in ["", "softmax = true", "units = []", "activation = 'sigmoid'"] {
        check(attention, &model_of_sequences(&settings("mmoe", ""), attention));
    }
    for more in ["first_order = true", "batch_norm = true"] {
        check(more, &model_of_sequences(&settings("single_task", more), ""));
    }
    check("star", &model_of_sequences(&settings("star", ""), ""));
}

#[test]
fn tasks_of_every_kind_are_outputs() {
    let tasks = [
        "name = 'click'",
        "name = 'stars'\nkind = 'multiclass'",
        "name = 'price'\nkind = 'regression'",
    ];
    for name in ["mmoe", "star", "cross_stitch"] {
        let model = model_of(&settings(name, ""), &tasks);
        let names = ["p_click", "p_price", "p_stars_1", "p_stars_2", "p_stars_3"];
        assert_eq!(model.predict(&encode(&model, &Raw::new(1))).unwrap().names(), names);
        check(name, &model);
    }
}

#[test]
fn crosses_and_parts_of_dates_are_inputs() {
    for name in mtl_arch::NAMES {
        check(&format!("{name} derived"), &model_of_derived(&settings(name, "")));
    }
    let onnx = to_onnx(&model_of_derived(&settings("mmoe", ""))).unwrap();
    let inputs = &onnx.vocabulary["inputs"];
    let cross = &inputs["city by device"];
    assert_eq!((&cross["kind"], &cross["joined_by"]), (&"vocabulary".into(), &"\u{1f}".into()));
    assert_eq!(cross["column"], serde_json::json!(["city", "device"]));
    let hour = serde_json::json!({
        "column": "time", "kind": "date_part", "part": "hour", "time_zone": "+08:00",
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
    assert_eq!(inputs["age"]["edges"].as_array().unwrap().len(), 3);
    assert_eq!(inputs["price"]["transform"]["log1p"], true);
    let onnx = to_onnx(&model_of_sequences(&settings("mmoe", ""), "")).unwrap();
    let (inputs, attended) = (&onnx.vocabulary["inputs"], &onnx.vocabulary["inputs"]["attended"]);
    assert_eq!(attended["values"], inputs["item"]["values"], "what is shared is written twice");
    let cut = serde_json::json!({ "separator": "|", "max_length": 6, "keep": "last" });
    assert_eq!((&attended["column"], &attended["sequence"]), (&"history".into(), &cut));
    assert_eq!(inputs["counted"]["buckets"], 5);
    assert_eq!(onnx.vocabulary["outputs"], serde_json::json!(["p_buy", "p_click"]));
    let names: Vec<&String> = inputs.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 13, "labels and weights are no inputs: {names:?}");
}
