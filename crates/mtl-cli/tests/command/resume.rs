//! `train --resume` under a configuration that has changed: what is refused, and what is noted.

use crate::support::{CONFIG, Home, csv, rows};

/// Two epochs of a run whose validation rows have a file of their own; and its configuration.
fn begun() -> (Home, String) {
    let home = Home::new();
    let split = "split = { by = \"random\", validation = 0.15, test = 0.15, seed = 1 }";
    assert!(CONFIG.contains(split));
    let config = CONFIG.replace(split, "validation = \"later.csv\"");
    home.write("later.csv", &csv(&rows(300)));
    home.write("run.toml", &config.replace("epochs = 8", "epochs = 2"));
    home.mtl("train run.toml --out m").ok();
    (home, config.replace("epochs = 8", "epochs = 3"))
}

#[test]
fn what_is_optimised_and_how_it_is_judged_stay() {
    let (home, config) = begun();
    let weights = home.read("m/weights.bin");
    let (click, buy) = ("name = \"click\"\n", "name = \"buy\"\n");
    for (was, is, expected) in [
        (
            "monitor = \"loss\"",
            "monitor = \"auc_click\"".to_owned(),
            "`monitor` was \"loss\", and is \"auc_click\" now",
        ),
        ("monitor = \"loss\"", String::new(), "`monitor` was \"loss\", and is \"auc_macro\" now"),
        (
            click,
            format!("{click}loss = \"focal\"\n"),
            "`task.click.loss` was \"bce\", and is \"focal\" now",
        ),
        (buy, format!("{buy}weight = 5\n"), "`task.buy.weight` was 1.0, and is 5.0 now"),
        (
            "loss = \"huber\"",
            "loss = \"huber\"\ndelta = 0.5".to_owned(),
            "`task.rating.delta` was 1.0, and is 0.5 now",
        ),
    ] {
        assert_eq!(config.matches(was).count(), 1, "{was}");
        home.write("run.toml", &config.replace(was, &is));
        let expected = format!("m/training.bin: {expected}");
        home.mtl("train run.toml --out m --resume").fails(&expected);
    }
    home.write("run.toml", &config);
    home.write("later.csv", &csv(&rows(299)));
    let expected = "m/training.bin: the validation rows were 300, and are 299 now";
    home.mtl("train run.toml --out m --resume").fails(expected);
    let mut changed = rows(300);
    changed.iter_mut().for_each(|row| row[6] = "0".to_owned());
    home.write("later.csv", &csv(&changed));
    let expected = "the validation rows have other values or another order now, in label `buy`";
    home.mtl("train run.toml --out m --resume").fails(expected);
    assert!(home.read("m/weights.bin") == weights);
    // Defaults that are written out are no change.
    home.write("later.csv", &csv(&rows(300)));
    let spelt_out = format!("{click}label = \"click\"\nloss = \"bce\"\nweight = 1\n");
    home.write("run.toml", &config.replace(click, &spelt_out));
    home.mtl("train run.toml --out m --resume").ok();
}

#[test]
fn a_changed_rate_or_dropout_is_noted_and_taken() {
    let (home, config) = begun();
    let other = config
        .replace("learning_rate = 0.02", "learning_rate = 0.01")
        .replace("tower_units = [8]", "tower_units = [8]\ndropout = 0.25");
    home.write("run.toml", &other);
    let noted = home.mtl("train run.toml --out m --resume").noted();
    let expected = [
        "note: `learning_rate` was 0.02, and is 0.01 now: what is left of the run is trained with that",
        "note: `model.dropout` was not set, and is 0.25 now: what is left of the run is trained with that",
    ];
    assert_eq!(noted.lines().collect::<Vec<_>>(), expected);
    // From now on they are the run's.
    home.write("run.toml", &other.replace("epochs = 3", "epochs = 4"));
    home.mtl("train run.toml --out m --resume").ok();
}
