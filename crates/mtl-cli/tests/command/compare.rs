//! Comparisons: the table, and `results.json`.

use std::collections::BTreeMap;

use crate::support::{CONFIG, Home};

#[test]
fn models_of_a_configuration_are_compared_over_seeds() {
    let home = Home::new();
    home.write("run.toml", &CONFIG.replace("epochs = 8", "epochs = 1"));
    let text = home.mtl("compare run.toml --models single_task,mmoe,ple --seeds 2 --out r").ok();
    for expected in ["mean ± sd of 2 seeds", "auc_click", "gauc_click", "val_user_click", "Δ auc"]
    {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    let results: serde_json::Value = serde_json::from_slice(&home.read("r/results.json")).unwrap();
    assert_eq!(results["data"], "run.toml");
    let models = results["models"].as_array().unwrap();
    let names: Vec<_> = models.iter().map(|model| model["model"].as_str().unwrap()).collect();
    assert_eq!(names, ["single_task", "mmoe", "ple"]);
    for model in models {
        assert_eq!(model["seeds"], serde_json::json!([1, 2]));
        assert!(model["train_seconds"]["sd"].is_number());
        for (metric, task) in [
            ("auc", "click"),
            ("gauc", "click"),
            ("val_users", "click"),
            ("log_loss", "click"),
            ("rmse", "rating"),
        ] {
            let spread = &model["test"][metric][task];
            assert!(spread["mean"].is_number(), "{metric} of {task}: {spread}");
            assert!(spread["sd"].is_number(), "{metric} of {task}: {spread}");
        }
    }
    assert!(models[1]["delta_auc"]["click"]["low"].is_number());
}

#[test]
fn a_precision_given_is_that_of_every_training() {
    let home = Home::new();
    let config = CONFIG.replace("epochs = 8", "epochs = 1");
    let [f32, bf16] = ["f32", "bf16"].map(|p| format!("epochs = 1\nprecision = \"{p}\""));
    home.write("f32.toml", &config.replace("epochs = 1", &f32));
    home.write("bf16.toml", &config.replace("epochs = 1", &bf16));
    let metrics = |arguments: &str| {
        let models = "--models shared_bottom,mmoe --seeds 1 --json";
        let found = home.mtl(&format!("compare {arguments} {models}")).json();
        let models = found["models"].as_array().unwrap().iter();
        models.map(|model| model["test"]["log_loss"].to_string()).collect::<Vec<_>>()
    };
    let (exact, rounded) = (metrics("f32.toml"), metrics("bf16.toml"));
    assert!(exact.iter().zip(&rounded).all(|(a, b)| a != b), "{exact:?} {rounded:?}");
    assert_eq!(metrics("f32.toml --precision bf16"), rounded);
    assert_eq!(metrics("bf16.toml --precision f32"), exact);
}

#[test]
fn the_rest_of_the_shelf_is_compared_with_a_weighting_and_says_what_it_needs() {
    let home = Home::new();
    let model = "[model]\ndomain = \"city\"\nsequence = [\"click\", \"buy\", \"rating\"]";
    let config = CONFIG.replace("epochs = 8", "epochs = 1").replace("[model]", model);
    home.write("run.toml", &config);
    let models = "star,aitm,cross_stitch";
    let json = home
        .mtl(&format!("compare run.toml --models {models} --seeds 1 --weightings pareto --json"))
        .json();
    let found: Vec<_> = json["models"].as_array().unwrap().iter().collect();
    assert_eq!(found.len(), 3);
    for model in found {
        assert!(model["test"]["auc"]["click"]["mean"].is_number(), "{model}");
    }
    for (from, to, name, expected) in [
        ("domain = \"city\"", "", "star", "[model] `star` needs `domain`"),
        ("\"city\"\ns", "\"cty\"\ns", "star", "[model] `domain` is `cty`"),
        ("\"city\"\ns", "\"price\"\ns", "star", "[model] `domain` is the number `price`"),
        ("\"buy\", ", "", "aitm", "`sequence` is [\"click\", \"rating\"], expected each of"),
    ] {
        assert!(config.contains(from), "{from}");
        home.write("wrong.toml", &config.replacen(from, to, 1));
        home.mtl(&format!("compare wrong.toml --models {name}")).fails(expected);
    }
    home.mtl("compare census --quick --models star").fails("[model] `star` needs `domain`");
}

#[test]
fn all_are_those_that_there_are_but_for_what_their_settings_lack() {
    let home = Home::new();
    let quick = CONFIG.replace("epochs = 8", "epochs = 1");
    home.write("bare.toml", &quick);
    let needs = "[model]\ndomain = \"city\"\nsequence = [\"click\", \"buy\", \"rating\"]";
    home.write("whole.toml", &quick.replace("[model]", needs));
    let names = |config: &str| {
        let options = format!("--models all --seeds 1 --out {config} --json");
        let ran = home.mtl(&format!("compare {config}.toml {options}"));
        let file = format!("{config}/results.json");
        let results: serde_json::Value = serde_json::from_slice(&home.read(&file)).unwrap();
        let models = results["models"].as_array().unwrap();
        let names = models.iter().map(|model| model["model"].as_str().unwrap().to_owned());
        (names.collect::<Vec<_>>(), ran.stderr())
    };
    let (found, said) = names("whole");
    assert_eq!((found, said.as_str()), (mtl_arch::NAMES.map(str::to_owned).to_vec(), ""));
    let (found, said) = names("bare");
    assert_eq!(found, mtl_arch::NAMES[..8]);
    let note = |name: &str, key: &str| {
        format!("note: `{name}` is left out: it needs `{key}`, and there is none\n")
    };
    assert_eq!(said, note("aitm", "sequence") + &note("star", "domain"));
    home.mtl("compare bare.toml --models all,mmoe").fails("--models names `all` beside others");
    home.mtl("compare bare.toml --models al").fails("expected all, single_task, ");
}

/// The settings of a weighting reach the training, and the results say which they were.
#[test]
fn weightings_have_the_settings_of_the_configuration_or_of_the_command_line() {
    let home = Home::new();
    let loss =
        "[loss]\nweighting = { method = \"gradnorm\", alpha = 0.25 }\nshared = \"dense\"\n[train]";
    let quick = CONFIG.replace("epochs = 8", "epochs = 1");
    home.write("run.toml", &quick.replace("[train]", loss));
    // Blanks part the test's arguments: TOML needs none here.
    let weightings = "equal,gradnorm,{method=\"gradnorm\",alpha=3.0}";
    let run = format!("compare run.toml --models mmoe --seeds 1 --weightings {weightings} --json");
    let crossed = home.mtl(&run).json();
    let own = home.mtl("compare run.toml --models mmoe --seeds 1 --json").json();
    let models = crossed["models"].as_array().unwrap();
    let names: Vec<_> = models.iter().map(|model| model["model"].as_str().unwrap()).collect();
    assert_eq!(names, ["mmoe", "mmoe gradnorm", "mmoe gradnorm alpha=3.0"]);
    let told = |model: &serde_json::Value| {
        let text = model["configuration"].as_str().unwrap();
        let table: toml::Table = text.parse().unwrap();
        let loss = &table["loss"];
        let alpha = loss["weighting"].get("alpha").and_then(toml::Value::as_float);
        (loss["shared"].as_str().unwrap().to_owned(), alpha)
    };
    let dense = || "dense".to_owned();
    let alphas = [None, Some(0.25), Some(3.0)];
    for (model, alpha) in models.iter().zip(alphas) {
        assert_eq!(told(model), (dense(), alpha));
    }
    assert_eq!(told(&own["models"][0]), (dense(), Some(0.25)));
    let found = |model: &serde_json::Value| model["test"].to_string();
    assert_eq!(found(&models[1]), found(&own["models"][0]), "the configuration's own settings");
    assert_ne!(found(&models[1]), found(&models[2]));
}

#[test]
fn the_census_is_compared_with_nothing_but_the_program() {
    let home = Home::new();
    let json = home.mtl("compare census --quick --models shared_bottom --out r --json").json();
    let written: serde_json::Value = serde_json::from_slice(&home.read("r/results.json")).unwrap();
    assert_eq!(json, written);
    assert_eq!(written["data"], "census");
    let model = &written["models"][0];
    assert_eq!(model["model"], "shared_bottom");
    assert_eq!(model["seeds"], serde_json::json!([1]));
    assert!(model["train_seconds"]["mean"].is_number());
    assert!(model["train_seconds"]["sd"].is_null(), "the sd of one seed is undefined");
    let auc = &model["test"]["auc"];
    assert!(auc["income"]["mean"].as_f64().unwrap() > 0.9, "{auc}");
    assert!(auc["never_married"]["mean"].as_f64().unwrap() > 0.98, "{auc}");
    assert!(auc["macro"]["mean"].is_number());
    // The census has no users: GAUC is undefined and says why.
    assert!(model["test"]["gauc"]["income"]["reason"].is_string());
    // By hand in docs/census.md.
    assert_eq!(model["parameters"], 19_514);
}

/// AUC, mean AUC over groups and their number follow from the written predictions alone: here by
/// their definitions, pair by pair.
#[test]
fn metrics_follow_from_the_written_predictions() {
    let home = Home::new();
    let config = CONFIG.replace("epochs = 8", "epochs = 1").replace("weight = \"w\"\n", "");
    home.write("run.toml", &config);
    home.mtl("compare run.toml --models single_task --seeds 1 --write-predictions")
        .fails("--out <DIR>");
    home.mtl("compare run.toml --models single_task --seeds 2 --out r --write-predictions").ok();
    let results: serde_json::Value = serde_json::from_slice(&home.read("r/results.json")).unwrap();
    let text = |seed| home.text(&format!("r/predictions/run-single_task-seed{seed}.csv"));
    let texts = [1, 2].map(text);
    let written = texts.each_ref().map(|text| predictions(text));
    assert_eq!(written[0].len() as u64, results["rows"].as_u64().unwrap());
    assert!(written[0].iter().zip(0..).all(|(row, i)| row["row"] == i.to_string()));
    let found =
        |metric: &str| results["models"][0]["test"][metric]["click"]["mean"].as_f64().unwrap();
    let measures: Vec<_> = written.iter().map(|rows| measure(rows, "click")).collect();
    let mean = |f: fn(&(f64, f64, f64)) -> f64| measures.iter().map(f).sum::<f64>() / 2.0;
    assert!((found("auc") - mean(|m| m.0)).abs() < 1e-12);
    assert!((found("gauc") - mean(|m| m.1)).abs() < 1e-12);
    assert_eq!(found("val_users"), mean(|m| m.2));
}

type WrittenRow<'t> = BTreeMap<&'t str, &'t str>;

fn predictions(text: &str) -> Vec<WrittenRow<'_>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines.map(|line| names.iter().copied().zip(line.split(',')).collect()).collect()
}

/// AUC, GAUC, and the groups with both classes.
fn measure(rows: &[WrittenRow<'_>], task: &str) -> (f64, f64, f64) {
    let (label, output) = (format!("label_{task}"), format!("p_{task}"));
    let mut all = Vec::new();
    let mut groups: BTreeMap<&str, Vec<(bool, f32)>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row[label.as_str()].is_empty()) {
        let pair = (row[label.as_str()] == "1", row[output.as_str()].parse().unwrap());
        all.push(pair);
        groups.entry(row["group"]).or_default().push(pair);
    }
    let of_groups: Vec<f64> = groups.values().filter_map(|rows| auc(rows)).collect();
    let n = of_groups.len() as f64;
    (auc(&all).unwrap(), of_groups.iter().sum::<f64>() / n, n)
}

/// The share of pairs in order, ties counted half.
fn auc(rows: &[(bool, f32)]) -> Option<f64> {
    let (mut won, mut pairs) = (0.0, 0.0);
    for (_, positive) in rows.iter().filter(|row| row.0) {
        for (_, negative) in rows.iter().filter(|row| !row.0) {
            pairs += 1.0;
            won += f64::from(u8::from(positive > negative) + u8::from(positive >= negative)) / 2.0;
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}
