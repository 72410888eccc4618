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
fn what_cannot_be_swept_is_said_before_training() {
    let home = two_tasks();
    for (arguments, expected) in [
        ("--grid 0", "--grid is 0, expected at least 1"),
        ("--grid 400", "--grid 400 of 3 losses: more than 500 runs"),
        ("--methods mgdaa", "--methods: [loss] unknown variant `mgdaa`"),
        ("--metrics auc_click", "--metrics names 1, expected two"),
        ("--metrics auc_click,auc_rating", "--metrics: `auc_rating`, expected one of"),
    ] {
        home.mtl(&format!("sweep run.toml {arguments} --out s")).fails(expected);
        assert!(!home.path("s").exists(), "{arguments}");
    }
    home.mtl("sweep nothing.toml").fails("nothing.toml");
}
