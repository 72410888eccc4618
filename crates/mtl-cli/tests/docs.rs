//! The documents: their links lead somewhere, to headings that are there, and their TOML is what the
//! program reads.

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

/// What a heading is linked by: lower-case words with dashes between, `-1`, `-2`, … where a document
/// has it again.
fn anchors(prose: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    for heading in headings.filter_map(|line| line.trim_start_matches('#').strip_prefix(' ')) {
        let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
        let text: String = heading.trim().chars().filter(is_kept).collect();
        let text = text.to_lowercase().replace(' ', "-");
        let same = |other: &&String| {
            let rest = other.strip_prefix(&text);
            let is_number = |n: &str| n.parse::<usize>().is_ok();
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.strip_prefix('-').is_some_and(is_number)
            })
        };
        found.push(match found.iter().filter(same).count() {
            0 => text,
            n => format!("{text}-{n}"),
        });
    }
    found
}

#[test]
fn anchors_are_those_that_pages_have() {
    let text = "# One `two`: three_four\n## A – b\n## Again\n### Again\n#no heading";
    assert_eq!(anchors(text), ["one-two-three_four", "a--b", "again", "again-1"]);
}

#[test]
fn relative_links_lead_to_files_and_headings() {
    let (mut seen, mut anchored) = (0, 0);
    for (path, text) in documents() {
        let (prose, _) = parts(&text);
        for link in links(&prose).filter(|link| !link.contains("://")) {
            let (target, anchor) = link.split_once('#').map_or((link, None), |(t, a)| (t, Some(a)));
            let file = match target {
                "" => path.clone(),
                target => path.parent().unwrap().join(target),
            };
            assert!(file.exists(), "{}: `{link}` leads nowhere", path.display());
            if let Some(anchor) = anchor {
                let there = anchors(&parts(&fs::read_to_string(file).unwrap()).0);
                let is_there = there.iter().any(|other| other == anchor);
                assert!(is_there, "{}: `{link}` is none of {there:?}", path.display());
                anchored += 1;
            }
            seen += 1;
        }
    }
    assert!(
        seen > 40 && anchored > 0,
        "{seen} links, {anchored} to headings: are they still found?"
    );
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

/// A part of a configuration with the least of what is missing.
fn completed(part: &str) -> String {
    let table: toml::Table = part.parse().unwrap_or_else(|error| panic!("{error}\n{part}"));
    let has = |key: &str| table.contains_key(key);
    let mut whole = part.to_owned();
    for (is_there, text) in [
        (has("data"), "[data]\ntrain = \"log.csv\""),
        (has("feature"), "[[feature]]\nname = \"user\"\nkind = \"categorical\""),
        // What is known of a chain's outputs.
        (!has("truth") || has("chain"), "[chain]\npreset = \"esmm\""),
        (
            has("task") || has("chain") || has("truth"),
            "[[task]]\nname = \"click\"\n[[task]]\nname = \"purchase\"",
        ),
        (has("model"), "[model]\nname = \"mmoe\""),
    ] {
        if !is_there {
            whole += &format!("\n{text}\n");
        }
    }
    whole
}

/// Whole or in part: every key is one that there is, with a value that it takes.
#[test]
fn configurations_are_read() {
    let (mut whole, mut partial) = (0, 0);
    for (path, text) in documents() {
        for (_, body) in parts(&text).1.into_iter().filter(|(language, _)| language == "toml") {
            let completed = completed(&body);
            *(if completed == body { &mut whole } else { &mut partial }) += 1;
            let read = RunConfig::parse(&completed);
            assert!(read.is_ok(), "{}: {}\n{body}", path.display(), read.unwrap_err());
        }
    }
    assert!(whole >= 2 && partial >= 2, "{whole} whole, {partial} partial: are they still found?");
    let wrong = RunConfig::parse(&completed("[chain]\npresets = \"esmm\"")).unwrap_err();
    assert!(wrong.to_string().contains("[chain] unknown field `presets`"), "{wrong}");
}
