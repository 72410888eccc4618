//! Configurations and arguments that are wrong: one line, with the nearest name where one is near.

use crate::support::{CONFIG, Home};

/// `from` replaced by `to` in the configuration makes training fail with the line.
fn check(from: &str, to: &str, expected: &str) {
    assert!(CONFIG.contains(from), "{from}");
    let home = Home::new();
    home.write("run.toml", &CONFIG.replacen(from, to, 1));
    home.mtl("train run.toml --out m").fails(expected);
    assert!(!home.path("m").exists());
}

#[test]
fn an_unknown_key_of_each_table_is_answered_with_the_nearest() {
    for (from, to, expected) in [
        ("[train]", "[trian]", "run.toml: [configuration] unknown field `trian`"),
        ("group =", "grop =", "run.toml: [data] unknown field `grop`"),
        ("seed = 1", "sed = 1", "run.toml: [data] unknown field `sed`"),
        ("min_count", "mincount", "run.toml: [feature `city`] unknown field `mincount`"),
        ("loss =", "los =", "run.toml: [task `rating`] unknown field `los`"),
        ("gate_units", "gate_unit", "run.toml: [model] unknown field `gate_unit`"),
        ("[train]", "[model.ple]\nlevel = 3\n[train]", "[model.ple] unknown field `level`"),
        ("[train]", "[model.embedding]\ndm = 3\n[train]", "[model.embedding] unknown field `dm`"),
        ("[train]", "[model.mmeo]\nexperts = 3\n[train]", "[model] there is no model `mmeo`"),
        ("epochs", "epoch", "run.toml: [train] unknown field `epoch`"),
    ] {
        check(from, to, expected);
        check(from, to, "did you mean `");
    }
}

#[test]
fn a_wrong_value_names_its_key_and_what_was_expected() {
    for (from, to, expected) in [
        ("\"mmoe\"", "\"mmeo\"", "run.toml: [model] `name` is `mmeo`, expected one of single_task"),
        ("\"mmoe\"", "\"mmeo\"", "did you mean `mmoe`?"),
        ("name = \"mmoe\"", "", "run.toml: [model] has no `name`, expected one of single_task"),
        ("epochs = 8", "epochs = 0", "run.toml: [train] `epochs` is 0, expected at least 1"),
        ("epochs = 8", "epochs = -1", "run.toml: [train] `epochs`: invalid value"),
        (
            "learning_rate = 0.02",
            "optimiser = { dense = { lr = 0.1 } }",
            "run.toml: [train] `optimiser.dense`: missing field `kind`",
        ),
        (
            "epochs = 8",
            "precision = \"f16\"",
            "[train] unknown variant `f16`, expected `f32` or `bf16`",
        ),
        ("0.02", "\"fast\"", "run.toml: [train] `learning_rate`: invalid type"),
        ("0.02", "-0.02", "run.toml: [train] `learning_rate` is -0.02, expected a number > 0"),
        ("\"loss\"", "\"auc_clik\"", "[train] `monitor` is `auc_clik`"),
        ("[16, 8]", "[16, 0]", "`expert_units` is [16, 0], expected widths of at least 1"),
        ("test = 0.15", "test = 0.95", "run.toml: [data] `split.test` is 0.95, expected a share"),
        ("\"huber\"", "\"bce\"", "[task] `rating`: `\"bce\"` is a loss of `kind = \"binary\"`"),
        ("name = \"buy\"", "name = \"click\"", "`click`"),
        ("name = \"buy\"", "name = \"macro\"", "`macro` names the mean over tasks"),
        ("name = \"device\"", "name = \"device\"\ncolumn = \"click\"", "holds the label `click`"),
        ("name = \"device\"", "name = \"city\"", "run.toml: two features are named `city`"),
        ("\"quantiles\"", "\"quantiles\"\ndim = 0", "run.toml: feature `age`: `dim` is 0"),
        ("train = \"log.csv\"", "train = []", "run.toml: [data] `train` is empty, expected"),
        (
            "epochs = 8",
            "epochs = 99999999999999999999",
            "`epochs` is 99999999999999999999, expected a whole number of at most 92",
        ),
        ("\"mmoe\"", "\"star\"", "run.toml: [model] `star` needs `domain`"),
        ("epochs = 8", "epochs = = 8", "run.toml: line "),
    ] {
        check(from, to, expected);
    }
}

#[test]
fn tables_that_are_missing() {
    let home = Home::new();
    let part = |from: &str, to: &str| {
        CONFIG[CONFIG.find(from).unwrap()..CONFIG.find(to).unwrap()].to_owned()
    };
    for (removed, expected) in [
        (part("[data]", "[[feature]]"), "there is no [data] table"),
        (part("[[feature]]", "[[task]]"), "there is no [[feature]]"),
        (part("[[task]]", "[model]"), "expected at least one [[task]]"),
    ] {
        home.write("run.toml", &CONFIG.replace(&removed, ""));
        home.mtl("train run.toml --out m").fails(expected);
    }
}

#[test]
fn a_loss_that_is_no_number_stops_training() {
    check("0.02", "1e30", "the loss `");
}

#[test]
fn arguments() {
    let home = Home::new();
    std::fs::create_dir(home.path("folder")).unwrap();
    for (arguments, expected) in [
        ("compare run.toml --seeds 0", "--seeds is 0, expected at least 1"),
        ("compare run.toml --models mmoe,pel", "unknown model `pel`"),
        ("compare run.toml --models ple,ple", "--models names `ple` twice"),
        ("compare run.toml --weightings famo,equal,famo", "--weightings names `famo` twice"),
        ("compare nowhere.toml", "`nowhere.toml` is neither `census`"),
        ("compare run.toml --out log.csv", "log.csv cannot be made"),
        ("compare --seed 3", "a similar argument exists: '--seeds'"),
        ("compare --threads 0", "--threads is 0, expected 1 to "),
        // Thousands of threads took minutes to make, and then the machine.
        ("compare --threads 100000", "--threads is 100000, expected 1 to "),
        ("train run.toml", "--out <DIR>"),
        ("train nowhere.toml --out m", "nowhere.toml: No such file"),
        ("train folder --out m", "folder: is a folder, expected a TOML file"),
        ("trian run.toml", "a similar subcommand exists: 'train'"),
    ] {
        home.mtl(arguments).fails(expected);
    }
}
