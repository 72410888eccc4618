//! The documents: their links lead somewhere, and their TOML is what the program reads.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};

use mtl_train::RunConfig;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Markdown file that is for readers.
fn documents() -> Vec<(PathBuf, String)> {
    let mut files = vec![root().join("README.md")];
    for folder in ["docs", "docs/book", "benches"] {
        files.extend(fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    let crates = fs::read_dir(root().join("crates")).unwrap();
    files.extend(crates.map(|entry| entry.unwrap().path().join("README.md")));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    files.into_iter().map(read).collect()
}

/// The text outside of code blocks, and the blocks with their languages.
fn parts(text: &str) -> (String, Vec<(String, String)>) {
    let (mut prose, mut blocks) = (String::new(), Vec::new());
    let mut block: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut block, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => block = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(block.take()),
            (Some((_, body)), None) => body.extend([line, "\n"]),
            (None, None) => prose.extend([line, "\n"]),
        }
    }
    assert!(block.is_none(), "a block without an end");
    (prose, blocks)
}

/// Targets of `](…)`.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    prose.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

#[test]
fn relative_links_lead_to_files() {
    let mut seen = 0;
    for (path, text) in documents() {
        let (prose, _) = parts(&text);
        for link in links(&prose).filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let target = link.split('#').next().unwrap();
            let file = path.parent().unwrap().join(target);
            assert!(file.exists(), "{}: `{link}` leads nowhere", path.display());
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} links: are they still found?");
}

/// Text between single backquotes.
fn code_spans(prose: &str) -> impl Iterator<Item = &str> {
    prose.split('`').skip(1).step_by(2)
}

#[test]
fn paths_that_are_named_are_there() {
    let is_path = |span: &&str| {
        let starts =
            ["crates/", "examples/", "benches/", "docs/"].iter().any(|s| span.starts_with(s));
        starts && span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
    };
    let mut seen = 0;
    for (path, text) in documents() {
        for span in code_spans(&parts(&text).0).filter(is_path) {
            assert!(root().join(span).exists(), "{}: `{span}` is not there", path.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} paths: are they still found?");
}

#[test]
fn every_chapter_of_the_book_is_in_its_summary() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    for folder in ["", "book"] {
        for entry in fs::read_dir(docs.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&docs).unwrap().to_string_lossy().into_owned();
            let is_chapter = name.ends_with(".md") && name != "SUMMARY.md";
            assert!(!is_chapter || summary.contains(&format!("({name})")), "{name} is in no list");
        }
    }
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(summary.contains(&format!("(book/{name}.md)")), "{name} has no chapter");
    }
}

#[test]
fn every_chapter_of_a_crate_is_whole_and_walks_through_files_that_are_there() {
    let parts =
        ["**Idea.**", "**Formula.**", "**Figure.**", "## Code walk", "## Exercise", "Answer"];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(root().join(format!("docs/book/{name}.md"))).unwrap();
        for part in parts {
            assert!(text.contains(part), "{name} has no {part}");
        }
        let walk = text.split("## Code walk").nth(1).unwrap().split("## Exercise").next().unwrap();
        let files = walk.split('`').skip(1).step_by(2);
        let files: Vec<&str> =
            files.filter(|f| f.starts_with("src/") || f.starts_with("tests/")).collect();
        assert!(files.len() >= 4, "{name} walks through {files:?}");
        for file in files {
            assert!(folder.join(file).exists(), "{name}: `{file}` is not there");
        }
    }
}

#[test]
fn toml_is_toml_and_whole_configurations_are_read() {
    let mut whole = 0;
    for (path, text) in documents() {
        for (_, body) in parts(&text).1.into_iter().filter(|(language, _)| language == "toml") {
            let table: Result<toml::Table, _> = body.parse();
            let table = table.unwrap_or_else(|error| panic!("{}: {error}\n{body}", path.display()));
            let has = |key: &str| table.contains_key(key);
            if has("data") && has("feature") && has("model") {
                let read = RunConfig::parse(&body);
                assert!(read.is_ok(), "{}: {}\n{body}", path.display(), read.unwrap_err());
                whole += 1;
            }
        }
    }
    assert!(whole >= 2, "{whole} whole configurations: are they still found?");
}
