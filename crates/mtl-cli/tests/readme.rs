//! The README's "Your own data", run as it stands: its configuration is the example's, and its
//! commands work on the example's file.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECTION: &str = "## Your own data";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of the first block of that language in the section.
fn block(language: &str) -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme.split(SECTION).nth(1).expect("the README has the section");
    let fence = format!("```{language}\n");
    let block = section.split(&fence).nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap_or_else(|| panic!("{SECTION} has a {language} block")).to_owned()
}

/// The arguments of every `mtl` command in the section, without their comments.
fn commands() -> Vec<Vec<String>> {
    let text = block("sh");
    let lines = text.lines().filter_map(|line| line.strip_prefix("mtl "));
    let words = |line: &str| -> Vec<String> {
        let command = line.split('#').next().unwrap_or_default();
        command.split_whitespace().map(str::to_owned).collect()
    };
    lines.map(words).collect()
}

/// Runs the command in a folder and gives its standard output.
fn mtl(folder: &Path, arguments: &[String]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_mtl")).current_dir(folder).args(arguments).output();
    let output = output.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "mtl {}: {error}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// What the output of a command must name, at least.
fn expected(command: &str) -> &'static [&'static str] {
    match command {
        "compare" => &["single_task", "mmoe", "ple", "auc_click", "gauc_purchase"],
        "init" => &["wrote my-shop.toml"],
        "check" => &["training rows", "purchase", "no feature alone tells a label"],
        "train" => &["validation", "test", "wrote shop-model"],
        "evaluate" => &["600 rows", "click", "purchase", "macro auc"],
        "importance" => &["click auc", "(as it is)", "user_id", "price"],
        "predict" => &["wrote 600 rows of p_click, p_purchase to scores.csv"],
        "inspect" => &["embedding.user_id", "task.click.gate", "expert.3"],
        other => panic!("the README has a command that this test does not know: {other}"),
    }
}

#[test]
fn the_configuration_in_the_readme_is_the_example() {
    let file = fs::read_to_string(root().join("examples/configs/shop.toml")).unwrap();
    let shown = block("toml");
    assert!(file.ends_with(&shown), "the file is\n{file}\nthe README shows\n{shown}");
}

#[test]
fn the_commands_in_the_readme_work_in_their_order() {
    let home = tempfile::tempdir().unwrap();
    let configs = home.path().join("examples/configs");
    fs::create_dir_all(&configs).unwrap();
    for file in ["shop.toml", "shop.csv"] {
        fs::copy(root().join("examples/configs").join(file), configs.join(file)).unwrap();
    }
    let commands = commands();
    let names: Vec<&str> = commands.iter().map(|words| words[0].as_str()).collect();
    let measured = ["evaluate", "evaluate", "importance"];
    let expected_names =
        [&["init", "check", "compare", "train"][..], &measured, &["predict", "inspect"]].concat();
    assert_eq!(names, expected_names);
    for mut arguments in commands {
        let name = arguments[0].clone();
        if name == "compare" {
            arguments.push("--quick".to_owned()); // one seed, one epoch
        }
        let said = mtl(home.path(), &arguments);
        for part in expected(&name) {
            assert!(said.contains(part), "mtl {name}: `{part}` is not in\n{said}");
        }
    }
    let scores = fs::read_to_string(home.path().join("scores.csv")).unwrap();
    let rows: Vec<&str> = scores.lines().collect();
    assert_eq!((rows[0], rows.len()), ("p_click,p_purchase", 601));
}
