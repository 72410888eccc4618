//! A task of several classes: trained, reported, predicted, served and exported by their names.

use serde_json::{Value, json};

use crate::report::check;
use crate::serve::Served;
use crate::support::{CONFIG, Home};

/// The city is told from the rest, in place of the rating.
fn config() -> String {
    let feature = "[[feature]]\nname = \"city\"\nkind = \"categorical\"\nmin_count = 2\n";
    let regression = "name = \"rating\"\nkind = \"regression\"\nloss = \"huber\"";
    let classes = "name = \"where\"\nlabel = \"city\"\nkind = \"multiclass\"";
    let config = CONFIG.replacen("epochs = 8", "epochs = 2", 1);
    assert!(config.contains(feature) && config.contains(regression));
    config.replace(feature, "").replace(regression, classes)
}

const OUTPUTS: [&str; 5] = ["p_buy", "p_click", "p_where_Lima", "p_where_Oslo", "p_where_Rome"];

#[test]
fn classes_go_all_the_way() {
    let home = Home::new();
    home.write("classes.toml", &config());
    home.mtl("train classes.toml --out m --figures f").ok();
    let metrics: Value = serde_json::from_slice(&home.read("m/metrics.json")).unwrap();
    let html = home.text("m/report.html");
    assert!(check(&html, &metrics) > 60 && html.contains(">where<"), "the report names it");

    home.mtl("predict m --data log.csv --out p.csv").ok();
    let text = home.text("p.csv");
    // Tasks as the configuration has them, classes as they are sorted.
    let outputs = [&["p_click", "p_buy"], &OUTPUTS[2..]].concat();
    assert_eq!(text.lines().next().unwrap(), outputs.join(","));
    let predicted: Vec<f64> =
        text.lines().nth(1).unwrap().split(',').map(|p| p.parse().unwrap()).collect();
    assert!((predicted[2..].iter().sum::<f64>() - 1.0).abs() < 1e-6, "{predicted:?}");

    let log = home.text("log.csv");
    let fields = log.lines().next().unwrap().split(',');
    let row: serde_json::Map<String, Value> = fields
        .zip(log.lines().nth(1).unwrap().split(','))
        .map(|(f, v)| (f.into(), json!(v)))
        .collect();
    let served = Served::new(&home, &["--sum", "p_where_Rome=1,p_click=0.5"]);
    let (status, answer) = served.post("/score", &json!({ "rows": [row] }));
    assert_eq!(status, "HTTP/1.1 200 OK", "{answer}");
    for (name, expected) in outputs.iter().zip(&predicted) {
        let found = answer["scores"][0][name].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-6, "{name}: {found}, expected {expected}");
    }

    home.mtl("export m --format onnx --out m.onnx").ok();
    let vocabulary: Value = serde_json::from_slice(&home.read("m.vocabulary.json")).unwrap();
    assert_eq!(vocabulary["outputs"], json!(OUTPUTS));
}

#[test]
fn a_comparison_reports_classes() {
    let home = Home::new();
    home.write("classes.toml", &config());
    home.mtl("compare classes.toml --models shared_bottom,mmoe --seeds 2 --out r").ok();
    let results: Value = serde_json::from_slice(&home.read("r/results.json")).unwrap();
    let looked_up = check(&home.text("r/report.html"), &results);
    assert!(looked_up > 50, "{looked_up}");
}
