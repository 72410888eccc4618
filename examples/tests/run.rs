//! Every example runs and says what it should; every crate and every system has one.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The examples that are short, and what each prints.
const SAYS: [(&str, &str); 21] = [
    ("single_task", "single_task: "),
    ("shared_bottom", "shared_bottom: "),
    ("omoe", "omoe: "),
    ("mmoe", "mmoe: "),
    ("cgc", "cgc: "),
    ("ple", "ple: "),
    ("cross_stitch", "cross_stitch: "),
    ("aitm", "aitm: "),
    ("star", "star: "),
    ("metrics", "auc"),
    ("calibration", "Platt: 0.8 becomes 0."),
    ("network", ""),
    ("features", ""),
    ("experts", ""),
    ("funnel", "purchase"),
    ("weighting", "mgda"),
    ("architectures", "cross_stitch"),
    ("files", ""),
    ("model", "outputs [\"p_buy\", \"p_click\"]"),
    ("export", "expert.0.0.weight is back: true"),
    ("server", "{\"scores\":[{\"row\":"),
];

/// Those that train on so many rows as they are told to, here few.
const SMALL: [(&str, &[&str], &str); 4] = [
    ("esmm", &["6000"], "all_rows_cvr pCVR over all impressions: auc 0."),
    ("esm2", &["6000"], "pCTCVR auc 0."),
    ("report", &["report", "2000"], " figures, report"),
    ("weighted_training", &["2000"], "upgrad       rmse "),
];

/// Those that train for minutes to be worth reading; they are built, not run.
const STUDIES: [&str; 2] = ["census_epochs", "funnel_study"];

const SYSTEMS: [&str; 11] = [
    "single_task",
    "shared_bottom",
    "omoe",
    "mmoe",
    "cgc",
    "ple",
    "star",
    "aitm",
    "cross_stitch",
    "esmm",
    "esm2",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of the files beside this folder.
fn files() -> BTreeSet<String> {
    let entries = fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned())).collect()
}

/// Where cargo has put the examples: beside the folder of this test's program.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap().join("examples");
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Runs an example in a folder; it must end well and say that.
fn run(name: &str, arguments: &[&str], folder: &Path, says: &str) {
    let program = built(name);
    if !program.exists() {
        println!("skipped {name}: `cargo test --test run` alone builds no examples");
        return;
    }
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let (said, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {error}");
    assert!(said.contains(says) && !said.contains("NaN"), "{name}: no `{says}` in\n{said}");
}

#[test]
fn every_short_example_says_what_it_should() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_str().unwrap();
    for (name, says) in SAYS {
        // They read examples/configs from the workspace's folder, and write where they are told.
        run(name, &[folder], &root(), says);
    }
}

#[test]
fn examples_that_train_for_longer_do_so_on_few_rows_too() {
    let home = tempfile::tempdir().unwrap();
    for (name, arguments, says) in SMALL {
        run(name, arguments, home.path(), says);
    }
}

#[test]
fn every_example_is_known_here() {
    let small = SMALL.iter().map(|(name, ..)| *name);
    let known = SAYS.iter().map(|(name, _)| *name).chain(small).chain(STUDIES);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(files(), known);
    for system in SYSTEMS {
        assert!(known.contains(system), "{system} has no example");
    }
}

#[test]
fn every_library_crate_has_an_example_of_its_own() {
    let read =
        |name: &String| fs::read_to_string(format!("{}/{name}.rs", env!("CARGO_MANIFEST_DIR")));
    let heads: Vec<String> =
        files().iter().map(|name| read(name).unwrap().lines().next().unwrap().to_owned()).collect();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let has = heads.iter().any(|head| head.starts_with(&format!("//! `{name}` alone:")));
        assert!(has || name == "mtl-cli", "{name} has no example that begins with its name");
    }
}
