//! How much memory a run holds at most, where Linux says so.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::support::{CONFIG, Home};

/// Rows of a table that outweighs all else, and its bytes: more than a run holds of its best weights.
const ROWS: usize = 1_200_000;
const TABLE: f64 = (ROWS * 16 * 4) as f64;

/// The most that `mtl` held at a time, in bytes.
fn peak(home: &Home, arguments: &str) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtl"));
    command.current_dir(home.path("")).args(arguments.split(' '));
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut kibibytes = 0.0;
    // The figure never falls while the process is there; the end of a run is long enough to be seen.
    let code = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        kibibytes = found.and_then(|n| n.trim().parse().ok()).unwrap_or(kibibytes);
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        sleep(Duration::from_millis(2));
    };
    assert!(code.success(), "{arguments}: {code}");
    kibibytes * 1024.0
}

fn config(rows: usize) -> String {
    let table = format!("hash_buckets = {rows}\ndim = 16");
    CONFIG.replace("hash_buckets = 50", &table).replace("epochs = 8", "epochs = 2")
}

#[test]
fn a_run_holds_a_few_times_its_tables_at_most() {
    let home = Home::new();
    home.write("small.toml", &config(50));
    home.write("large.toml", &config(ROWS));
    let base = peak(&home, "train small.toml --out small");
    // A table and its two moments: while it trains, while the state is written, and when it is read back.
    for run in ["train large.toml --out m", "train large.toml --out m --resume"] {
        let tables = (peak(&home, run) - base) / TABLE;
        assert!(tables < 3.3, "{run}: {tables} times the tables");
    }
    let left: Vec<_> =
        fs::read_dir(home.path("")).unwrap().map(|f| f.unwrap().file_name()).collect();
    let hidden = left.iter().filter(|name| name.to_string_lossy().starts_with('.')).count();
    assert_eq!(hidden, 0, "{left:?}");
}
