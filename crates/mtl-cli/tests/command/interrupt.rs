//! `mtl train` as a process that is sent signals.
#![cfg(unix)]

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{CONFIG, Home};

/// Starts a training of many epochs and waits until it has written a state of its own.
fn started(home: &Home, options: &[&str]) -> Child {
    let written = || std::fs::metadata(home.path("m.training.bin")).ok()?.modified().ok();
    let before = written();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtl"));
    command.current_dir(home.path("")).args(["train", "long.toml", "--out", "m"]).args(options);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while written() == before {
        assert!(began.elapsed() < Duration::from_secs(120), "no epoch ends");
        sleep(Duration::from_millis(2));
    }
    child
}

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
    for (signal, options) in [("-INT", &[][..]), ("-TERM", &["--resume"][..])] {
        let child = started(&home, options);
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
fn a_second_signal_ends_it_at_once() {
    let home = Home::new();
    // One step an epoch, of some tenths of a second.
    let slow = epochs(4_000)
        .replace("expert_units = [16, 8]", "expert_units = [512, 512]")
        .replace("batch_size = 64", "batch_size = 2000");
    home.write("long.toml", &slow);
    // A step that ends between the two signals would say what it saved.
    let ended_at_once = (0..4).any(|_| {
        let _ = std::fs::remove_file(home.path("m.training.bin"));
        let child = started(&home, &[]);
        send(&child, "-INT");
        send(&child, "-TERM");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        output.stderr.is_empty()
    });
    assert!(ended_at_once);
}
