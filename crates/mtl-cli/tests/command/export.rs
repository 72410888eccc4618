//! Models in other forms: out, and back in.

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
