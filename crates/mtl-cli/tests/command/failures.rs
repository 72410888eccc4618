//! A run that fails half-way: what it says, and what it leaves.

use crate::support::{CONFIG, Home, csv, rows};

/// A rating whose square is beyond 32 bits, in the third batch of the second epoch at the latest.
#[test]
fn a_loss_that_is_not_finite_is_named_and_the_last_good_weights_are_saved() {
    for weighting in ["equal", "uncertainty", "mgda"] {
        let home = Home::new();
        let mut rows = rows(1_200);
        rows.iter_mut().filter(|row| row[3] == "70").for_each(|row| row[7] = "1e30".to_owned());
        home.write("log.csv", &csv(&rows));
        let loss = format!("[loss]\nweighting = \"{weighting}\"\n[train]");
        let config = CONFIG.replace("loss = \"huber\"", "").replace("[train]", &loss);
        home.write("run.toml", &config);
        let failed = home.mtl("train run.toml --out m");
        failed
            .fails(": the loss `rating` is inf in batch rows 0..64; the weights before that step");
        assert!(failed.stderr().contains("m.last-good"), "{}", failed.stderr());
        assert!(failed.stderr().starts_with("error: step "), "{}", failed.stderr());
        assert!(!home.path("m").exists(), "there is no model of the whole run");
        home.mtl("predict m.last-good --data log.csv --out p.csv").ok();
        assert_eq!(home.text("p.csv").lines().count(), 1_201);
    }
}

/// Its first update takes every prediction's square beyond 32 bits.
#[test]
fn a_rate_that_diverges_leaves_weights_that_predict() {
    for weighting in ["equal", "uncertainty", "famo"] {
        let home = Home::new();
        let loss = format!("[loss]\nweighting = \"{weighting}\"\n[train]");
        let config = CONFIG.replace("loss = \"huber\"", "").replace("[train]", &loss);
        home.write("run.toml", &config.replace("learning_rate = 0.02", "learning_rate = 1e25"));
        let failed = home.mtl("train run.toml --out m");
        failed.fails("; the weights that this run began with are in m.last-good");
        home.mtl("predict m.last-good --data log.csv --out p.csv").ok();
        let text = home.text("p.csv");
        let values: Vec<&str> = text.lines().skip(1).flat_map(|line| line.split(',')).collect();
        assert!(values.len() >= 3 * 1_200, "{}", values.len());
        for value in values {
            assert!(value.parse::<f64>().unwrap().is_finite(), "{weighting}: {value}");
        }
    }
}

#[test]
fn a_setting_of_a_weighting_is_wrong_before_any_data_is_read() {
    let home = Home::new();
    for (loss, expected) in [
        ("weighting = \"gradnrom\"", "run.toml: [loss] unknown variant `gradnrom`"),
        ("weighting = \"gradnrom\"", "did you mean `gradnorm`?"),
        (
            "weighting = { method = \"db_mtl\", beta = 2.0 }",
            "run.toml: [loss] db_mtl: beta is 2, expected a number from 0, below 1",
        ),
        (
            "weighting = { method = \"db_mtl\", beta = 0.9 }\nshared = \"all\"",
            "run.toml: [loss] `beta` above 0 keeps running gradients",
        ),
        ("watch = 0", "expected a nonzero"),
        (
            "weighting = { method = \"fixed\", weights = { clik = 1.0 } }",
            "run.toml: [loss] fixed: weights names the task \"clik\"; the tasks are: buy, click",
        ),
    ] {
        let config = CONFIG.replace("[train]", &format!("[loss]\n{loss}\n[train]"));
        home.write("run.toml", &config.replace("log.csv", "none.csv"));
        home.mtl("train run.toml --out m").fails(expected);
    }
    home.write("run.toml", CONFIG);
    let refused = home.mtl("compare run.toml --weightings gradnrom");
    refused.fails("--weightings: [loss] unknown variant `gradnrom`");
    assert!(refused.stderr().ends_with("did you mean `gradnorm`?\n"), "{}", refused.stderr());
}
