//! Comparisons: the table, and `results.json`.

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
