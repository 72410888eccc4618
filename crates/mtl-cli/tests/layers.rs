//! The layering of the workspace, read from its manifests.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first: a crate may depend on those before it.
const LAYERS: [&str; 15] = [
    "mtl-eval",
    "mtl-calibrate",
    "mtl-nn",
    "mtl-feature",
    "mtl-moe",
    "mtl-esm",
    "mtl-loss",
    "mtl-arch",
    "mtl-data",
    "mtl-model",
    "mtl-export",
    "mtl-train",
    "mtl-serve",
    "mtl-report",
    "mtl-cli",
];

/// Crates for those who want nothing else of ours.
const ALONE: [&str; 2] = ["mtl-eval", "mtl-loss"];

/// The sections of a manifest that name crates.
const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn manifest(folder: &Path) -> toml::Table {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Our crates that a manifest depends on, those of one platform or for tests included.
fn ours(manifest: &toml::Table) -> BTreeSet<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let tables = platforms.filter_map(|(_, table)| table.as_table()).chain([manifest]);
    let sections = tables.flat_map(|t| SECTIONS.iter().filter_map(|s| t.get(*s)?.as_table()));
    let name = |(key, value): (&String, &toml::Value)| {
        let renamed = value.get("package").and_then(toml::Value::as_str);
        renamed.unwrap_or(key).to_owned()
    };
    sections.flatten().map(name).filter(|name| name.starts_with("mtl-")).collect()
}

/// What is wrong with the dependencies of `name`.
fn wrong(name: &str, dependencies: &BTreeSet<String>) -> Option<String> {
    let Some(layer) = LAYERS.iter().position(|l| *l == name) else {
        return Some(format!("{name} has no layer, expected it in the list of this test"));
    };
    let below = |other: &String| LAYERS[..layer].contains(&other.as_str());
    let stranger = dependencies.iter().find(|d| !below(d) || ALONE.contains(&name))?;
    Some(format!("{name} depends on {stranger}, which is not below it"))
}

#[test]
fn crates_depend_on_those_below_them_alone() {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let manifest = manifest(&folder);
        assert_eq!(manifest["package"]["name"].as_str(), Some(name.as_str()));
        assert_eq!(wrong(&name, &ours(&manifest)), None);
        found.push(name);
    }
    found.sort();
    let mut expected = LAYERS;
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn the_root_lists_crates_in_the_order_of_their_layers() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let paths = text.lines().filter_map(|line| Some(line.split_once(" = { path = \"crates/")?.0));
    assert_eq!(paths.collect::<Vec<_>>(), LAYERS[..LAYERS.len() - 1]);
}

#[test]
fn an_upward_or_sideways_dependency_is_found() {
    let check = |name: &str, text: &str, expected: Option<&str>| {
        let manifest: toml::Table = text.parse().unwrap();
        assert_eq!(wrong(name, &ours(&manifest)).as_deref(), expected, "{text}");
    };
    check("mtl-moe", "[dependencies]\nmtl-nn.workspace = true", None);
    let upward = "mtl-moe depends on mtl-arch, which is not below it";
    check("mtl-moe", "[dependencies]\nmtl-arch.workspace = true", Some(upward));
    check("mtl-moe", "[dev-dependencies]\nmtl-arch.workspace = true", Some(upward));
    check("mtl-moe", "[target.'cfg(unix)'.dependencies]\nmtl-arch = '0.1'", Some(upward));
    check("mtl-moe", "[dependencies]\nx = { package = 'mtl-arch' }", Some(upward));
    let alone = "mtl-loss depends on mtl-nn, which is not below it";
    check("mtl-loss", "[dependencies]\nmtl-nn.workspace = true", Some(alone));
    let stranger = "mtl-new has no layer, expected it in the list of this test";
    check("mtl-new", "", Some(stranger));
}

#[test]
fn unsafe_code_is_denied_everywhere_and_allowed_in_the_kernels_alone() {
    let root = root();
    let lints = &manifest(&root)["workspace"]["lints"];
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("deny"));
    for member in LAYERS.map(|name| root.join("crates").join(name)) {
        let manifest = manifest(&member);
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{}", member.display());
        for file in sources(&member) {
            let text = fs::read_to_string(&file).unwrap();
            let allows = text.contains("allow(unsafe_code") || text.contains("expect(unsafe_code");
            let kernels = member.join("src/kernel");
            let may = member.ends_with("mtl-nn") && file.starts_with(kernels);
            // A counting allocator is unsafe by its trait; a test may have one.
            let test = file.starts_with(member.join("tests"));
            assert!(!allows || may || test || is_layers(&file), "{}", file.display());
        }
    }
}

fn is_layers(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "layers.rs")
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn the_top_level_is_that_of_the_design() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "crates",
        "examples",
        "benches",
        "docs",
        "target", // made by cargo
    ];
    let mut found = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            assert!(allowed.contains(&name.as_str()), "`{name}` is not in the design's layout");
            found.push(name);
        }
    }
    for name in allowed.iter().filter(|name| **name != "target") {
        assert!(found.iter().any(|f| f == name), "`{name}` is not there");
    }
}
