//! `mtl train`, `compare` and `sweep` as processes that are sent signals.
#![cfg(unix)]

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::report::check;
use crate::support::{CONFIG, Home};

fn spawned(home: &Home, arguments: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtl"));
    command.current_dir(home.path("")).args(arguments.split(' '));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts a command and waits until it has written a file anew.
fn started(home: &Home, arguments: &str, file: &str) -> Child {
    let written = || std::fs::metadata(home.path(file)).ok()?.modified().ok();
    let before = written();
    let child = spawned(home, arguments);
    let began = Instant::now();
    while written() == before {
        assert!(began.elapsed() < Duration::from_secs(120), "{file} is never written");
        sleep(Duration::from_millis(2));
    }
    child
}

/// A training of many epochs, and the state that it writes after each.
const TRAIN: &str = "train long.toml --out m";
const STATE: &str = "m.training.bin";

fn send(child: &Child, signal: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

fn epochs(n: usize) -> String {
    CONFIG.replace("epochs = 8", &format!("epochs = {n}"))
}

#[test]
fn a_signal_saves_and_resuming_gives_the_bits_of_a_run_without_it() {
    let home = Home::new();
    home.write("long.toml", &epochs(4_000));
    let mut done = Vec::new();
    for (signal, options) in [("-INT", ""), ("-TERM", " --resume")] {
        let child = started(&home, &format!("{TRAIN}{options}"), STATE);
        sleep(Duration::from_millis(30));
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(130), &[][..]), "{error}");
        let words: Vec<&str> = error.split([' ', ';']).collect();
        assert_eq!(words[..3], ["interrupted", "after", "step"], "{error}");
        let expected =
            "wrote m.training.bin, from where `mtl train long.toml --out m --resume` goes on\n";
        assert!(error.ends_with(expected), "{error}");
        done.push((words[6].parse::<usize>().unwrap(), words[3].parse::<usize>().unwrap()));
        assert!(!home.path("m").exists());
    }
    assert!(done[1] > done[0] && done[0].0 >= 2, "{done:?}");

    // To the end of the next epoch, with and without the interruptions.
    home.write("long.toml", &epochs(done[1].0 + 1));
    home.mtl("train long.toml --out m --resume").ok();
    assert!(!home.path("m.training.bin").exists());
    home.mtl("train long.toml --out whole").ok();
    assert!(home.read("m/weights.bin") == home.read("whole/weights.bin"));
    let history = |name: &str| {
        let mut trained: serde_json::Value = serde_json::from_str(&home.text(name)).unwrap();
        let mut epochs = trained["history"]["epochs"].take();
        epochs.as_array_mut().unwrap().iter_mut().for_each(|epoch| _ = epoch["seconds"].take());
        epochs
    };
    assert_eq!(history("m/metrics.json"), history("whole/metrics.json"));
}

#[test]
fn a_folder_is_trained_into_by_one_at_a_time() {
    let home = Home::new();
    home.write("long.toml", &epochs(4_000));
    let mut first = started(&home, TRAIN, STATE);
    let expected = "m: another `mtl train` is writing it, expected another --out";
    home.mtl("train run.toml --out m").fails(expected);
    home.mtl("train run.toml --out ./m --resume").fails(expected);
    home.mtl("train run.toml --out other").ok();
    // One that is killed leaves its file, and holds nobody up.
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(home.path("m.training.lock").exists());
    home.mtl("train run.toml --out m").ok();
    assert!(!home.path("m.training.lock").exists());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = Home::new();
    // One step an epoch, of some tenths of a second.
    let slow = epochs(4_000)
        .replace("expert_units = [16, 8]", "expert_units = [512, 512]")
        .replace("batch_size = 64", "batch_size = 2000");
    home.write("long.toml", &slow);
    // A step that ends between the two signals would say what it saved.
    let ended_at_once = (0..4).any(|_| {
        let _ = std::fs::remove_file(home.path(STATE));
        let child = started(&home, TRAIN, STATE);
        send(&child, "-INT");
        send(&child, "-TERM");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        output.stderr.is_empty()
    });
    assert!(ended_at_once);
}

/// The rows come through a pipe that says nothing: the command reads until it is interrupted.
#[test]
fn a_signal_while_data_is_read_ends_it_with_a_line() {
    let home = Home::new();
    std::fs::remove_file(home.path("log.csv")).unwrap();
    assert!(Command::new("mkfifo").arg(home.path("log.csv")).status().unwrap().success());
    for command in [
        "train run.toml --out m",
        "compare run.toml --models mmoe --seeds 1 --out r",
        "sweep run.toml --grid 5 --methods none --metrics auc_click,rmse_rating --out s",
    ] {
        let child = spawned(&home, command);
        // A pipe can be written to once somebody reads it.
        let (sender, opened) = channel();
        let pipe = home.path("log.csv");
        spawn(move || sender.send(File::options().write(true).open(pipe)));
        let pipe = opened.recv_timeout(Duration::from_secs(120)).expect("nobody reads").unwrap();
        send(&child, "-INT");
        let output = child.wait_with_output().unwrap();
        drop(pipe);
        let error = String::from_utf8(output.stderr).unwrap();
        let expected = "interrupted before the first step: there is nothing to save\n";
        assert_eq!((output.status.code(), error.as_str()), (Some(130), expected), "{command}");
        assert!(output.stdout.is_empty(), "{command}");
    }
    for file in ["m", STATE, "r/results.json", "s/sweep.json"] {
        assert!(!home.path(file).exists(), "{file}");
    }
}

/// Interrupts a command that runs; what it prints.
fn interrupted(child: Child, said: impl Fn(&str) -> bool) -> String {
    send(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{error}");
    assert!(said(&error), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn read(home: &Home, file: &str) -> Value {
    serde_json::from_slice(&home.read(file)).unwrap()
}

#[test]
fn an_interrupted_comparison_writes_the_runs_that_are_done() {
    let home = Home::new();
    home.write("long.toml", &epochs(1));
    let options = "--models single_task,mmoe --seeds 40 --out r --write-predictions";
    let second = "r/predictions/long-single_task-seed2.csv";
    let child = started(&home, &format!("compare long.toml {options}"), second);
    let printed = interrupted(child, |said| said.contains("interrupted: "));

    let results = read(&home, "r/results.json");
    let [model] = &results["models"].as_array().unwrap()[..] else { panic!("{printed}") };
    let n = model["seeds"].as_array().unwrap().len();
    assert!((2..40).contains(&n), "{printed}");
    let seeds = |from: usize| (from..=40).collect::<Vec<_>>();
    let missing = json!([
        { "model": "single_task", "seeds": seeds(n + 1) },
        { "model": "mmoe", "seeds": seeds(1) },
    ]);
    assert_eq!(results["interrupted"], missing);
    assert!(printed.contains(&format!("mean ± sd of {n} seeds")), "{printed}");
    assert!(printed.contains("missing: seed 1, 2, 3,") && printed.contains("40 of mmoe"));
    let page = home.text("r/report.html");
    assert!(page.contains("Interrupted: ") && page.contains(">Missing runs</caption>"));
    check(&page, &results);

    // They are those of a comparison of so many seeds.
    let fewer = format!("compare long.toml --models single_task --seeds {n} --json");
    let whole = home.mtl(&fewer).json();
    assert_eq!(model["test"], whole["models"][0]["test"]);
    assert!(whole["interrupted"].is_null());
}

#[test]
fn an_interrupted_sweep_writes_the_points_that_are_done() {
    let home = Home::new();
    home.write("long.toml", &epochs(1));
    // Three losses: fifteen fixed weightings.
    let options = "--grid 5 --methods none --metrics auc_click,rmse_rating --seeds 3 --out s";
    let child = started(&home, &format!("sweep long.toml {options}"), "s/sweep.json");
    let ending = " of 45 runs are done; s has them\n";
    let printed = interrupted(child, |said| said.ends_with(ending));

    let sweep = read(&home, "s/sweep.json");
    let of = |key: &str| sweep[key].as_array().unwrap().clone();
    let count = |list: Vec<Value>, key: &str| -> usize {
        list.iter().map(|item| item[key].as_array().unwrap().len()).sum()
    };
    let (done, missing) = (count(of("points"), "runs"), count(of("interrupted"), "seeds"));
    assert!(done >= 3 && missing > 0 && done + missing == 45, "{printed}");
    assert!(of("points").iter().any(|point| point["on_front"] == true), "{printed}");
    let last = &sweep["interrupted"][of("interrupted").len() - 1];
    assert_eq!(
        (&last["seeds"], last["weights"].as_object().unwrap().len()),
        (&json!([1, 2, 3]), 3)
    );
    assert!(home.path("s/sweep.svg").exists());
    let page = home.text("s/report.html");
    assert!(page.contains("Interrupted: ") && page.contains(">Missing runs</caption>"));
    check(&page, &sweep);
}
