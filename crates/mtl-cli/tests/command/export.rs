//! Models in other forms: out, and back in.

use serde_json::{Value, json};

use crate::support::{CONFIG, with_model};

#[test]
fn weights_that_were_exported_start_a_training_run() {
    let home = with_model();
    let said = home.mtl("export m --format safetensors --out w.safetensors").ok();
    assert!(said.ends_with("tensors to w.safetensors\n"), "{said}");
    // An epoch of steps that move no weight that f32 can tell from the one before.
    let still = CONFIG.replace("epochs = 8", "epochs = 1").replace("rate = 0.02", "rate = 1e-30");
    home.write("still.toml", &still);
    home.mtl("train still.toml --out again --init w.safetensors").ok();
    home.mtl("train still.toml --out fresh").ok();
    for model in ["m", "again", "fresh"] {
        home.mtl(&format!("predict {model} --data log.csv --out {model}.csv")).ok();
    }
    assert!(home.text("m.csv") == home.text("again.csv"), "it starts where the other ended");
    assert!(home.text("m.csv") != home.text("fresh.csv"), "and would not have without it");
}

/// `inspect --tensors` is what `--init` wants, name for name and shape for shape.
#[test]
fn the_tensors_that_are_listed_are_those_of_the_file() {
    let home = with_model();
    home.mtl("export m --format safetensors --out w.safetensors").ok();
    let file = home.read("w.safetensors");
    let n = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + n]).unwrap();
    let mut in_file = header.as_object().unwrap().clone();
    in_file.remove("__metadata__");
    let said = home.mtl("inspect m --tensors --json").json();
    let listed = said["tensors"].as_array().unwrap();
    assert_eq!(listed.len(), in_file.len());
    let text = home.mtl("inspect m --tensors").ok();
    for tensor in listed {
        let name = tensor["name"].as_str().unwrap();
        assert_eq!(tensor["shape"], in_file[name]["shape"], "{name}");
        assert!(
            text.lines().any(|line| line.split_whitespace().any(|word| word == name)),
            "{name}"
        );
    }
    assert!(listed.contains(&json!({"name": "expert.0.1.weight", "shape": [16, 8]})), "{said}");
    assert!(listed.contains(&json!({"name": "expert.0.1.bias", "shape": [8]})), "{said}");
    home.mtl("inspect m --tensors --data log.csv").fails("cannot be used with");
}

#[test]
fn weights_of_another_model_are_refused_by_name() {
    let home = with_model();
    home.mtl("export m --format safetensors --out w.safetensors").ok();
    home.write("other.toml", &CONFIG.replace("\"mmoe\"", "\"shared_bottom\""));
    let train = "train other.toml --out other --init";
    home.mtl(&format!("{train} w.safetensors")).fails("w.safetensors: ");
    home.mtl(&format!("{train} w.safetensors")).fails("tensors are no parameters of the model");
    home.mtl(&format!("{train} w.safetensors")).fails("tensors are missing: `bottom.0.weight`");
    home.mtl(&format!("{train} log.csv")).fails("log.csv: not a safetensors file");
    home.mtl(&format!("{train} nowhere.safetensors")).fails("nowhere.safetensors");
    home.mtl("train run.toml --out r --resume --init w.safetensors").fails("cannot be used with");
}

#[test]
fn a_whole_model_is_written_with_the_vocabulary_beside_it() {
    let home = with_model();
    let said = home.mtl("export m --format onnx --out m.onnx").ok();
    let expected =
        "wrote a graph of 5 inputs to m.onnx and their vocabulary to m.vocabulary.json\n";
    assert_eq!(said, expected);
    assert!(home.read("m.onnx").windows(6).any(|name| name == b"p_buy/"), "outputs by name");
    assert!(home.text("m.vocabulary.json").contains("\"p_rating\""));
    home.mtl("export m --format onnx --out nowhere/m.onnx").fails("nowhere/m.onnx");
    home.mtl("export nowhere --format onnx --out m.onnx").fails("nowhere/model.toml");
}
