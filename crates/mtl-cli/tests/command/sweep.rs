//! `mtl sweep`: a point a weighting, the front among them, and errors before training.

use crate::support::{CONFIG, Home};

fn two_tasks() -> Home {
    let home = Home::new();
    let quick = CONFIG.replacen("epochs = 8", "epochs = 1", 1);
    home.write("run.toml", &quick.replacen("monitor = \"loss\"\n", "", 1));
    home
}

#[test]
fn every_weighting_is_a_point_and_the_best_are_on_the_front() {
    let home = two_tasks();
    let methods = "equal,gradnorm,pareto,famo";
    let printed = home
        .mtl(&format!(
            "sweep run.toml --grid 2 --methods {methods} --metrics auc_click,rmse_rating --out s"
        ))
        .ok();
    assert!(printed.contains("● is on the Pareto front of auc_click and rmse_rating"), "{printed}");
    let sweep: serde_json::Value = serde_json::from_slice(&home.read("s/sweep.json")).unwrap();
    let points = sweep["points"].as_array().unwrap();
    // Three losses, grid 2: three fixed weights.
    assert_eq!(points.len(), 3 + 4);
    let names: Vec<_> = points.iter().map(|p| p["weighting"].as_str().unwrap()).collect();
    assert_eq!(names, ["fixed", "fixed", "fixed", "equal", "gradnorm", "pareto", "famo"]);
    assert!(points.iter().all(|point| point["weights"].as_object().unwrap().len() == 3));
    let value = |i: usize, metric: usize| points[i]["values"][metric].as_f64().unwrap();
    for (i, point) in points.iter().enumerate() {
        let beaten = (0..points.len()).any(|j| {
            let (auc, rmse) = (value(j, 0) - value(i, 0), value(i, 1) - value(j, 1));
            auc >= 0.0 && rmse >= 0.0 && auc + rmse > 0.0
        });
        assert_eq!(point["on_front"].as_bool(), Some(!beaten), "{point}");
    }
    let picture = home.text("s/sweep.svg");
    assert!(picture.starts_with("<svg") && picture.contains("rmse_rating (less is better)"));
}

#[test]
fn a_grid_of_weights_is_every_combination() {
    let home = two_tasks();
    let rest = "--methods none --metrics auc_click,rmse_rating";
    let grid = format!("--weights click=0.1,10 --weights rating=1,2 {rest}");
    let sweep = home.mtl(&format!("sweep run.toml {grid} --json")).json();
    let points = sweep["points"].as_array().unwrap();
    let weights: Vec<_> = points.iter().map(|point| point["weights"].clone()).collect();
    let of = |click: f64, rating: f64| serde_json::json!({ "buy": 1.0, "click": click, "rating": rating });
    assert_eq!(weights, [of(0.1, 1.0), of(0.1, 2.0), of(10.0, 1.0), of(10.0, 2.0)]);
    // A point is the training under these weights.
    let loss = "[loss]\nweighting = { method = \"fixed\", weights = { click = 10.0, rating = 2.0 } }\n\
                [train]";
    home.write("one.toml", &home.text("run.toml").replace("[train]", loss));
    let one = home.mtl("compare one.toml --models mmoe --seeds 1 --json").json();
    let found = &one["models"][0]["test"];
    assert_eq!(points[3]["values"][0], found["auc"]["click"]["mean"]);
    assert_eq!(points[3]["values"][1], found["rmse"]["rating"]["mean"]);
    // Beside a simplex that is asked for.
    let both = home.mtl(&format!("sweep run.toml --grid 1 --weights buy=3 {rest} --json")).json();
    assert_eq!(both["points"].as_array().unwrap().len(), 2);
}

#[test]
fn a_weighting_that_fails_is_a_point_that_says_why() {
    let home = two_tasks();
    // A weight beyond what f32 holds: the first step's gradient is no number.
    let grid = "--weights click=1,1e300 --methods none --metrics auc_click,rmse_rating";
    let printed = home.mtl(&format!("sweep run.toml {grid} --out s")).ok();
    assert!(printed.contains("row 2 failed: fixed: seed 1: "), "{printed}");
    let read =
        |file: &str| -> serde_json::Value { serde_json::from_slice(&home.read(file)).unwrap() };
    let sweep = read("s/sweep.json");
    let [good, bad] = &sweep["points"].as_array().unwrap()[..] else { panic!("{sweep}") };
    assert!(good["values"][0].is_number() && good["on_front"] == true && good["failed"].is_null());
    assert!(bad["values"].is_null() && bad["on_front"] == false, "{bad}");
    assert!(bad["failed"].as_str().unwrap().starts_with("seed 1: "), "{bad}");
    assert_eq!(bad["weights"]["click"], 1e300);
    assert_eq!(sweep["planned"], 2);
    assert!(home.text("s/report.html").contains("fixed failed: seed 1: "));

    // A metric that no run has: nothing is left, and what was tried is written all the same.
    let rare = "sweep run.toml --weights click=1,2 --methods none --metrics auc_click,gauc_buy";
    let config = home.text("run.toml");
    home.write("run.toml", &config.replace("group = \"user\"\n", ""));
    let ran = home.mtl(&format!("{rare} --out t"));
    ran.fails("every run failed; the first, weighting `fixed`: seed 1: `gauc_buy` is undefined");
    assert_eq!(read("t/sweep.json")["points"].as_array().unwrap().len(), 2);
}

#[test]
fn a_method_has_the_settings_of_the_configuration_or_of_the_command_line() {
    let home = two_tasks();
    let loss = "[loss]\nweighting = { method = \"gradnorm\", alpha = 0.25 }\n[train]";
    home.write("run.toml", &home.text("run.toml").replace("[train]", loss));
    let methods = "gradnorm,{method=\"gradnorm\",alpha=3.0} --metrics auc_click,rmse_rating";
    let sweep = home.mtl(&format!("sweep run.toml --grid 1 --methods {methods} --json")).json();
    let points = sweep["points"].as_array().unwrap();
    let names: Vec<_> = points.iter().map(|p| p["weighting"].as_str().unwrap()).collect();
    assert_eq!(names, ["fixed", "gradnorm", "gradnorm alpha=3.0"]);
    assert_eq!(points[1]["method"]["alpha"], 0.25);
    assert_eq!(points[2]["method"]["alpha"], 3.0);
    assert_ne!(points[1]["values"], points[2]["values"]);
}

#[test]
fn a_point_of_several_seeds_is_their_mean_and_tells_every_run() {
    let home = two_tasks();
    let options = "--grid 1 --methods rlw --metrics auc_click,rmse_rating";
    let printed = home.mtl(&format!("sweep run.toml {options} --seeds 2 --out s")).ok();
    assert!(printed.contains("mean ± sd of 2 seeds"), "{printed}");
    let read =
        |file: &str| -> serde_json::Value { serde_json::from_slice(&home.read(file)).unwrap() };
    let sweep = read("s/sweep.json");
    assert_eq!(sweep["seeds"], serde_json::json!([1, 2]));
    for point in sweep["points"].as_array().unwrap() {
        let value = |run: usize| point["runs"][run]["values"][0].as_f64().unwrap();
        let (a, b) = (value(0), value(1));
        let close = |found: &serde_json::Value, expected: f64| {
            assert!((found.as_f64().unwrap() - expected).abs() < 1e-12, "{point}");
        };
        assert!(a != b, "{point}");
        close(&point["values"][0], (a + b) / 2.0);
        close(&point["sd"][0], (a - b).abs() / 2f64.sqrt());
    }
    // A seed's run is the run that the seed has alone.
    home.write("two.toml", &home.text("run.toml").replacen("[train]\n", "[train]\nseed = 2\n", 1));
    home.mtl(&format!("sweep two.toml {options} --out alone")).ok();
    let alone = read("alone/sweep.json");
    assert_eq!(alone["seeds"], serde_json::json!([2]));
    for i in 0..2 {
        assert_eq!(alone["points"][i]["values"], sweep["points"][i]["runs"][1]["values"]);
    }
    let html = home.text("s/report.html");
    assert!(html.contains("arms one standard deviation long"));
}

#[test]
fn what_cannot_be_swept_is_said_before_training() {
    let home = two_tasks();
    for (arguments, expected) in [
        ("--grid 0", "--grid is 0, expected at least 1"),
        ("--grid 400", "--grid 400 of 3 losses: more than 500 runs"),
        ("--seeds 0", "--seeds is 0, expected at least 1"),
        ("--weights click", "--weights has `click`, expected such as click=0.1,1,10"),
        ("--weights clik=1", "--weights names `clik`, expected one of buy, click, rating; did"),
        ("--weights click=1,ten", "--weights of `click` has `ten`, expected a finite number"),
        ("--weights click=1,-1", "--weights of `click` has `-1`, expected a finite number"),
        ("--weights click=1,1.0", "--weights of `click` has 1 twice"),
        ("--weights click=1 --weights click=2", "--weights names `click` twice"),
        ("--grid 20 --seeds 3", "--grid 20 of 3 losses with 3 seeds: more than 500 runs"),
        ("--methods mgdaa", "--methods: [loss] unknown variant `mgdaa`"),
        ("--methods rlw,famo,rlw", "--methods names `rlw` twice"),
        ("--methods {method=\"gradnorm\",alpha=-1}", "--methods: [loss] gradnorm"),
        ("--metrics auc_click", "--metrics names 1, expected two"),
        ("--metrics auc_click,auc_rating", "--metrics: `auc_rating`, expected one of"),
    ] {
        home.mtl(&format!("sweep run.toml {arguments} --out s")).fails(expected);
        assert!(!home.path("s").exists(), "{arguments}");
    }
    home.mtl("sweep nothing.toml").fails("nothing.toml");
}
