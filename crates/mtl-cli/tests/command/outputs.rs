//! Where commands write: over none of their inputs, over no file of a model, and they say what they wrote.

use crate::support::{Home, with_model};

/// Two names for one file, where the system has that.
fn link(home: &Home, file: &str, name: &str) {
    #[cfg(unix)]
    std::os::unix::fs::symlink(home.path(file), home.path(name)).unwrap();
    #[cfg(not(unix))]
    std::fs::hard_link(home.path(file), home.path(name)).unwrap();
}

#[cfg(unix)]
#[test]
fn predictions_replace_no_input() {
    let home = with_model();
    let (log, weights) = (home.read("log.csv"), home.read("m/weights.bin"));
    link(&home, "log.csv", "same.csv");
    link(&home, "m/weights.bin", "w.csv");
    for out in ["log.csv", "./m/../log.csv", "same.csv"] {
        let expected = format!("--out {out} is the file of --data, expected another file");
        home.mtl(&format!("predict m --data log.csv --out {out}")).fails(&expected);
    }
    for out in ["m/weights.bin", "m/report.html", "w.csv"] {
        let expected = format!("--out {out} is a file of the model in m, expected another");
        home.mtl(&format!("predict m --data log.csv --out {out}")).fails(&expected);
    }
    assert!(home.read("log.csv") == log && home.read("m/weights.bin") == weights);
    home.mtl("predict m --data log.csv --out m/scores.csv").ok();
    home.mtl("predict m --data log.csv --out m/scores.csv").ok();
}

#[test]
fn an_export_is_named_as_its_form_is() {
    let home = with_model();
    let weights = home.read("m/weights.bin");
    for (format, out, ending) in [
        ("safetensors", "m/weights.bin", "safetensors"),
        ("safetensors", "m/config.toml", "safetensors"),
        ("safetensors", "m.onnx", "safetensors"),
        ("onnx", "m/schema.bin", "onnx"),
        ("onnx", "model", "onnx"),
    ] {
        let expected = format!("--out {out}: expected a name that ends in .{ending}");
        home.mtl(&format!("export m --format {format} --out {out}")).fails(&expected);
    }
    if cfg!(unix) {
        link(&home, "m/weights.bin", "w.safetensors");
        let expected = "--out w.safetensors is a file of the model in m, expected another";
        home.mtl("export m --format safetensors --out w.safetensors").fails(expected);
    }
    assert!(home.read("m/weights.bin") == weights);
    home.mtl("export m --format safetensors --out m/weights.safetensors").ok();
}

#[test]
fn generated_rows_replace_no_file() {
    let home = Home::new();
    let log = home.read("log.csv");
    let expected = "log.csv is there already, expected another --out";
    home.mtl("generate funnel --rows 10 --out log.csv").fails(expected);
    home.mtl("generate correlated --rows 10 --out log.csv").fails(expected);
    assert!(home.read("log.csv") == log);
}

#[test]
fn results_are_written_into_no_model_and_named() {
    let home = with_model();
    let page = home.read("m/report.html");
    let expected = "--out m is a model's folder, expected another folder";
    home.mtl("compare run.toml --quick --out m").fails(expected);
    home.mtl("sweep run.toml --out m").fails(expected);
    home.mtl("evaluate m --data log.csv --out m").fails(expected);
    assert!(home.read("m/report.html") == page);

    let compare = "compare run.toml --models single_task --quick --out r";
    let said = home.mtl(compare).ok();
    assert!(said.ends_with("\nwrote r/results.json, r/report.html\n"), "{said}");
    let said = home.mtl(&format!("{compare} --write-predictions")).ok();
    let all = "\nwrote r/results.json, r/report.html, r/predictions\n";
    assert!(said.ends_with(all), "{said}");
    let said = home.mtl("evaluate m --data log.csv --out e").ok();
    assert!(said.ends_with("\nwrote e/metrics.json, e/report.html\n"), "{said}");
    for file in ["r/results.json", "r/report.html", "e/metrics.json", "e/report.html"] {
        assert!(home.path(file).exists(), "{file}");
    }
}

#[test]
fn a_sweep_has_two_axes() {
    let expected = "--metrics names `auc_click` twice, expected two metrics";
    Home::new().mtl("sweep run.toml --metrics auc_click,auc_click").fails(expected);
}
