//! Columns of a file that no log has: what a configuration's outputs are measured against.

use mtl_data::funnel;
use mtl_eval::{BinaryRows, auc};

use crate::report::check;
use crate::support::Home;

const ROWS: u64 = 8_000;

const CONFIG: &str = r#"
[data]
train = "funnel.parquet"
split = { by = "column", column = "day", validation_from = 8, test_from = 9 }

[[feature]]
name = "user_intent"
kind = "numeric"
transform = "standardise"

[[feature]]
name = "item_appeal"
kind = "numeric"
transform = "standardise"

[[feature]]
name = "item_trend"
kind = "numeric"
transform = "standardise"

[model]
name = "towers"
tower_units = [8]

[chain]
preset = "esmm"
labels = { conversion = "purchase" }

[train]
epochs = 3
batch_size = 64
learning_rate = 0.01
monitor = "loss"

[[truth]]
output = "pCTR"
probability = "truth.p_click"

[[truth]]
output = "pCTCVR"
probability = ["truth.p_click", "truth.p_purchase_given_click"]

[[truth]]
output = "pCVR"
probability = "truth.p_purchase_given_click"
if_clicked = { probability = "truth.p_purchase_if_clicked", label = "truth.purchase_if_clicked" }
"#;

fn generated() -> Home {
    let home = Home::new();
    home.mtl(&format!("generate funnel --rows {ROWS} --out funnel.parquet")).ok();
    home.write("run.toml", CONFIG);
    home
}

#[test]
fn a_file_s_truth_is_what_the_generator_knows() {
    let home = generated();
    let found = home.mtl("compare run.toml --models towers --seeds 1 --out r --json").json();
    let config = funnel::Config { rows: ROWS, ..funnel::Config::default() };
    let data = funnel::load(&config).unwrap();
    let truth = &data.truth.as_ref().unwrap().test;
    let auc_of = |labels: &[f32], p: &str| {
        let rows = BinaryRows::new(labels, truth.label_of(p).unwrap()).unwrap();
        auc(&rows).value()
    };
    let best = &found["truth"];
    let click = auc_of(data.test.label_of("click").unwrap(), "p_click");
    assert_eq!(best["auc"]["pCTR"]["mean"].as_f64(), click);
    let would = truth.label_of("purchase_if_clicked").unwrap();
    let entire = auc_of(would, "p_purchase_given_click");
    assert_eq!(best["auc_entire"]["pCVR"]["mean"].as_f64(), entire);
    assert_eq!(best["log_odds_rmse"]["pCTCVR"]["mean"], 0.0);

    let test = &found["models"][0]["test"];
    let mean = |metric: &str, output: &str| test[metric][output]["mean"].as_f64().unwrap();
    assert!(mean("auc_entire", "pCVR") < entire.unwrap());
    for output in ["pCTR", "pCTCVR", "pCVR"] {
        let rmse = mean("log_odds_rmse", output);
        assert!(rmse > 0.1 && rmse < 4.0, "{output}: {rmse}");
    }
    assert!(test["log_odds_rmse_if_clicked"].get("pCTR").is_none());

    // The page has the truth's row too, in every table of what it reaches.
    let page = home.text("r/report.html");
    check(&page, &json(&home, "r/results.json"));
    let click = click.unwrap();
    for (caption, reached) in [
        ("AUC", click),
        ("AUC over the entire space, against the truth", entire.unwrap()),
        ("RMSE of the log-odds, against the truth", 0.0),
    ] {
        let (_, table) = page.split_once(&format!("<caption>{caption}</caption>")).unwrap();
        let table = table.split("</table>").next().unwrap();
        let (_, row) = table.split_once("<th scope=\"row\">(truth)</th>").unwrap();
        assert!(row.contains(&format!("<data value=\"{reached}\">")), "{caption}: {row}");
    }

    // Rows that stay in their file are measured alike.
    let streams = CONFIG.replace("[data]", "[data]\nstream = true\nheld_rows = 100");
    home.write("streams.toml", &streams);
    let streamed = home.mtl("compare streams.toml --models towers --seeds 1 --json").json();
    assert_eq!(streamed["truth"], *best);
    assert_eq!(streamed["models"][0]["test"], *test);
}

fn json(home: &Home, file: &str) -> serde_json::Value {
    serde_json::from_slice(&home.read(file)).unwrap()
}

#[test]
fn a_training_is_measured_against_the_truth_of_its_reported_rows() {
    let home = generated();
    let said = home.mtl("train run.toml --out m").ok();
    assert_eq!(said.matches("Against the truth, over all rows").count(), 1, "{said}");
    let trained = json(&home, "m/metrics.json");
    assert!(trained["validation"]["truth"].is_null());

    // As `compare` measures the same training.
    let compared = home.mtl("compare run.toml --models towers --seeds 1 --json").json();
    let test = &compared["models"][0]["test"];
    let found = trained["test"]["truth"].as_array().unwrap();
    assert_eq!(found.len(), 3);
    for of in found {
        let output = of["output"].as_str().unwrap();
        assert!(of["log_odds_rmse"].is_number(), "{of}");
        for metric in ["log_odds_rmse", "log_odds_rmse_if_clicked"] {
            assert_eq!(of[metric], test[metric][output]["mean"], "{metric} of {output}");
        }
    }
    assert_eq!(found[2]["auc_entire"]["value"], test["auc_entire"]["pCVR"]["mean"]);
    let page = home.text("m/report.html");
    assert!(page.contains("Test rows, against the truth"));
    check(&page, &trained);

    // Where there are no test rows, of the validation rows.
    home.write("two.toml", &CONFIG.replace(", test_from = 9", ""));
    home.mtl("train two.toml --out two").ok();
    let trained = json(&home, "two/metrics.json");
    assert!(trained["validation"]["truth"][0]["log_odds_rmse"].is_number(), "{trained}");
}

#[test]
fn a_model_is_measured_against_the_truth_of_a_file_that_has_it() {
    let home = generated();
    home.mtl("train run.toml --out m").ok();
    home.mtl(&format!("generate funnel --rows {ROWS} --seed 2 --out later.csv")).ok();
    let found = home.mtl("evaluate m --data later.csv --json").json();
    let truth = found["truth"].as_array().unwrap();
    let outputs: Vec<_> = truth.iter().map(|of| of["output"].as_str().unwrap()).collect();
    assert_eq!(outputs, ["pCTR", "pCTCVR", "pCVR"]);
    assert!(truth.iter().all(|of| of["log_odds_rmse"].as_f64().unwrap() > 0.1), "{found}");
    assert!(truth[0]["auc_entire"].is_null() && truth[2]["auc_entire"]["value"].is_number());
    let said = home.mtl("evaluate m --data later.csv --out e").ok();
    assert!(said.contains("Against the truth, over all rows"), "{said}");
    let page = home.text("e/report.html");
    assert!(page.contains("All rows, against the truth"));
    check(&page, &json(&home, "e/metrics.json"));

    // A log has no such columns, and is measured as logs are.
    let text = home.text("later.csv");
    let kept: Vec<usize> = (0..)
        .zip(text.lines().next().unwrap().split(','))
        .filter(|(_, name)| !name.starts_with("truth."))
        .map(|(i, _)| i)
        .collect();
    let cut = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        kept.iter().map(|&i| fields[i]).collect::<Vec<_>>().join(",") + "\n"
    };
    home.write("log.csv", &text.lines().map(cut).collect::<String>());
    let log = home.mtl("evaluate m --data log.csv --json").json();
    assert!(log["truth"].is_null());
    assert_eq!(log["tasks"], found["tasks"]);
}

#[test]
fn what_cannot_be_true_is_said_before_training() {
    let home = generated();
    for (from, to, expected) in [
        ("output = \"pCVR\"", "output = \"pCVX\"", "wrong.toml: [[truth]] `output` is `pCVX`"),
        ("output = \"pCVR\"", "output = \"pCTR\"", "[[truth]] names `pCTR` twice"),
        (
            "probability = \"truth.p_click\"",
            "",
            "[[truth]] of `pCTR` names no column, expected `probability` or `if_clicked`",
        ),
        ("if_clicked = {", "if_clickd = {", "unknown field `if_clickd`"),
        (
            "name = \"item_trend\"",
            "name = \"item_trend\"\ncolumn = \"truth.p_click\"",
            "[feature `item_trend`] reads the column `truth.p_click`, which holds the truth",
        ),
        ("\"truth.p_click\"\n", "\"truth.p_clik\"\n", "funnel.parquet: "),
        ("\"truth.p_click\"\n", "\"position\"\n", "column `position`: found"),
    ] {
        let wrong = CONFIG.replacen(from, to, 1);
        assert_ne!(wrong, CONFIG, "{from}");
        home.write("wrong.toml", &wrong);
        home.mtl("compare wrong.toml --models towers --seeds 1").fails(expected);
        home.mtl("train wrong.toml --out m").fails(expected);
        assert!(!home.path("m").exists(), "{to}");
    }
}
