//! The README's "Your own data", run as it stands: its configuration is the example's, its commands
//! work on the example's file, and its server answers its request.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const SECTION: &str = "## Your own data";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The texts of all blocks of that language in the section.
fn blocks(language: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme.split(SECTION).nth(1).expect("the README has the section");
    let section = section.split("\n## ").next().unwrap();
    let fence = format!("```{language}\n");
    let of = |rest: &str| rest.split("```").next().unwrap().to_owned();
    section.split(&fence).skip(1).map(of).collect()
}

/// The arguments of every `mtl` command in the section, without their comments, and of `curl` what
/// it sends where.
fn commands() -> Vec<Vec<String>> {
    let (mut commands, mut open) = (Vec::new(), String::new());
    for line in blocks("sh").concat().lines() {
        open = if open.is_empty() { line.to_owned() } else { open + "\n" + line };
        // Text between quotes may have several lines.
        if open.matches('\'').count().is_multiple_of(2) {
            commands.push(std::mem::take(&mut open));
        }
    }
    let words = |command: &String| -> Option<Vec<String>> {
        if let Some(request) = command.strip_prefix("curl -s ") {
            let (url, rest) = request.split_once(" -d '").unwrap();
            return Some(["curl", url, rest.trim_end_matches('\'')].map(str::to_owned).to_vec());
        }
        let command = command.strip_prefix("mtl ")?.split('#').next().unwrap_or_default();
        Some(command.split_whitespace().map(str::to_owned).collect())
    };
    commands.iter().filter_map(words).collect()
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

/// A server; killed if the test fails.
struct Served {
    child: Child,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// `mtl serve` as it stands, but on a port of the system's choice.
    fn start(folder: &Path, arguments: &[String]) -> Self {
        let arguments =
            arguments.iter().map(|word| if word == "8080" { "0" } else { word.as_str() });
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtl"));
        command.current_dir(folder).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().rsplit_once("http://").expect(&line).1.to_owned();
        Self { child, address }
    }

    /// What `curl -d` sends, and the answer's JSON.
    fn post(&self, url: &str, body: &str) -> Value {
        let path = url.strip_prefix("localhost:8080").expect("the port of `mtl serve`");
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close");
        let kind = "content-type: application/x-www-form-urlencoded";
        let length = body.len();
        write!(stream, "{head}\r\n{kind}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

/// The README's request: two candidates of known ids, ranked by the formula.
fn is_ranked(answer: &Value) {
    let scores = answer["scores"].as_array().unwrap();
    assert_eq!(scores.len(), 2, "{answer}");
    let value = |score: &Value, name: &str| score[name].as_f64().unwrap();
    for score in scores {
        let expected = value(score, "p_click") * value(score, "p_purchase").sqrt();
        assert!((value(score, "score") - expected).abs() < 1e-6, "{answer}");
    }
    assert!(value(&scores[0], "score") > value(&scores[1], "score"), "{answer}");
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
        "calibrate" => &["pcoc", "wrote 2 calibrated outputs to shop-model"],
        "tune-fusion" => &["gauc_click", "wrote p_click^"],
        "export" => &["a graph of 3 inputs to shop.onnx", "shop.vocabulary.json"],
        "inspect" => &["embedding.user_id", "task.click.gate", "expert.3"],
        other => panic!("the README has a command that this test does not know: {other}"),
    }
}

#[test]
fn the_configuration_in_the_readme_is_the_example() {
    let file = fs::read_to_string(root().join("examples/configs/shop.toml")).unwrap();
    let shown = blocks("toml").swap_remove(0);
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
    let at_work = ["calibrate", "tune-fusion", "export", "serve", "curl"];
    let expected_names =
        [&["init", "check", "compare", "train"][..], &measured, &["predict", "inspect"], &at_work]
            .concat();
    assert_eq!(names, expected_names);
    let mut served = None;
    for mut arguments in commands {
        let name = arguments[0].clone();
        if name == "serve" {
            served = Some(Served::start(home.path(), &arguments));
            continue;
        }
        if let ("curl", [_, url, body]) = (name.as_str(), &arguments[..]) {
            is_ranked(&served.as_ref().expect("a server").post(url, body));
            continue;
        }
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
