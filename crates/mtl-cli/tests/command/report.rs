//! `report.html`: every number in it is in the JSON beside it, and users' text is text.

use std::collections::HashSet;

use serde_json::Value;

use crate::figures::Plot;
use crate::support::{CONFIG, Home};

/// A configuration whose name and text would be markup if they were not escaped.
const FILE: &str = "<i>&\"b'.toml";

fn config() -> String {
    let short = CONFIG.replacen("epochs = 8", "epochs = 2", 1);
    format!("# </pre><i>&amp;</i>{short}")
}

/// All numbers and all texts of a JSON value, a configuration's text apart.
fn gather(value: &Value, numbers: &mut Vec<f64>, texts: &mut Vec<String>) {
    match value {
        Value::Number(number) => numbers.push(number.as_f64().unwrap()),
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, numbers, texts)),
        Value::Object(fields) => {
            for (key, item) in fields.iter().filter(|(key, _)| *key != "configuration") {
                texts.push(key.clone());
                gather(item, numbers, texts);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// The texts of configurations.
fn configurations<'j>(value: &'j Value, found: &mut Vec<&'j str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| configurations(item, found)),
        Value::Object(fields) => {
            found.extend(fields.get("configuration").and_then(Value::as_str));
            fields.values().for_each(|item| configurations(item, found));
        }
        _ => {}
    }
}

/// Words without what stands around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().map(|word| word.trim_matches([',', ':', ';', '(', ')', '[', ']']))
}

/// The parts of `html` between `open` and `close`, and what is left without them.
fn cut(html: &str, open: &str, close: &str) -> (Vec<String>, String) {
    let (mut parts, mut rest, mut left) = (Vec::new(), html, String::new());
    while let Some(start) = rest.find(open) {
        let end = start + rest[start..].find(close).unwrap() + close.len();
        left += &rest[..start];
        left.push(' ');
        parts.push(rest[start..end].to_owned());
        rest = &rest[end..];
    }
    left += rest;
    (parts, left)
}

fn plain(html: &str) -> String {
    let (_, text) = cut(html, "<", ">");
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, c)| text.replace(entity, c))
}

/// The text is the number, rounded to the digits that it has.
fn is_rounded(text: &str, value: f64) -> bool {
    let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    format!("{value:.digits$}") == text.trim_start_matches('+')
}

/// Every number of the page is one of `json`; returns how many were looked up.
pub(crate) fn check(html: &str, json: &Value) -> usize {
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    gather(json, &mut numbers, &mut texts);
    // The JSON reader may miss the last bit of a number, the page has them all.
    let same = |a: f64, b: f64| (a - b).abs() <= 4.0 * f64::EPSILON * b.abs();
    let known = |value: f64| numbers.iter().any(|&number| same(number, value));
    let (_, html) = cut(html, "<style>", "</style>");
    let (_, html) = cut(&html, "<script>", "</script>");
    let (figures, html) = cut(&html, "<svg", "</svg>");
    let (verbatim, html) = cut(&html, "<pre>", "</pre>");
    // Code is what a reader may write, `watch = 50`, and says nothing of what was measured.
    let (_, html) = cut(&html, "<code>", "</code>");
    let mut written = Vec::new();
    configurations(json, &mut written);
    for text in verbatim {
        assert!(written.iter().any(|known| known.trim() == plain(&text).trim()), "{text}");
    }
    let (shown, rest) = cut(&html, "<data value=\"", "</data>");
    for data in &shown {
        let (value, text) = data["<data value=\"".len()..].split_once("\">").unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(known(value), "{data} is not in the JSON");
        let text = text.trim_end_matches("</data>").replace('\u{202f}', "");
        assert!(is_rounded(&text, value), "{data} says something else");
    }
    // Beside them there are only 95 % and 0 in the words of the page, and words of names: what is
    // written in a configuration is no excuse.
    let names: HashSet<&str> = texts.iter().flat_map(|text| words(text)).collect();
    let rest = plain(&rest);
    for word in words(&rest).filter(|word| word.contains(|c: char| c.is_ascii_digit())) {
        let is_known = ["95", "0", "0."].contains(&word) || names.contains(word);
        assert!(is_known, "`{word}` is a number without its value");
    }
    let cells = figures.iter().filter(|figure| figure.contains("(columns)"));
    let mut looked_up = shown.len();
    for text in cells.flat_map(|figure| cut(figure, "<text", "</text>").0) {
        let text = plain(&text).trim().to_owned();
        if text.parse::<f64>().is_ok() && text.contains('.') {
            assert!(numbers.iter().any(|&number| is_rounded(&text, number)), "cell {text}");
            looked_up += 1;
        }
    }
    looked_up
}

/// Nothing is fetched, and the name that looks like markup is text.
fn is_self_contained(html: &str) {
    assert!(!html.contains("<i>"), "a name became markup");
    for outside in ["http:", "https:", "src=", "url(", "@import", "<link"] {
        let found = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(outside), "{outside}");
    }
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("width=device-width"));
}

fn json(home: &Home, file: &str) -> Value {
    serde_json::from_slice(&home.read(file)).unwrap()
}

/// (mean prediction, mean label) of bins.
fn bins(of: &Value) -> Vec<(f64, f64)> {
    let bin = |bin: &Value| {
        let value = |key: &str| bin[key].as_f64().unwrap();
        (value("mean_prediction"), value("mean_label"))
    };
    of.as_array().map(|bins| bins.iter().map(bin).collect()).unwrap_or_default()
}

/// A task among those of an evaluation.
fn task<'j>(evaluation: &'j Value, name: &str) -> &'j Value {
    let tasks = evaluation["tasks"].as_array().unwrap();
    tasks.iter().find(|task| task["task"] == name).unwrap()
}

/// The metric of a task in every segment that has it, with the ends of its interval.
fn by_segment(segments: &Value, by: &str, name: &str, metric: &str) -> Vec<(f64, f64, f64)> {
    let column = segments.as_array().unwrap().iter().find(|column| column["by"] == by).unwrap();
    let of = |segment: &Value| {
        let task = task(segment, name);
        let value = task[metric]["value"].as_f64()?;
        let end = |key: &str| task["auc_interval"]["value"][key].as_f64().unwrap_or(value);
        Some((value, end("low"), end("high")))
    };
    column["segments"].as_array().unwrap().iter().filter_map(of).collect()
}

#[test]
fn every_number_of_a_comparison_is_in_its_results() {
    let home = Home::new();
    home.write(FILE, &config());
    let models = "single_task,mmoe,ple --weightings equal,pcgrad";
    home.mtl(&format!("compare {FILE} --models {models} --seeds 2 --out r --figures f")).ok();
    let html = home.text("r/report.html");
    let looked_up = check(&html, &json(&home, "r/results.json"));
    assert!(looked_up > 150, "{looked_up}");
    is_self_contained(&html);
    for section in [
        "Results",
        "Difference from Single-Task",
        "Learning curves",
        "Calibration",
        "Gates",
        "Gradient conflict",
        "Data",
        "Configuration",
    ] {
        assert!(html.contains(&format!(">{section}</h3>")), "{section}");
    }
    assert!(html.contains("<h1>Comparison on &lt;i&gt;&amp;&quot;b&#39;.toml</h1>"));
    let results = json(&home, "r/results.json");
    let models = results["models"].as_array().unwrap();
    for name in ["click", "buy"] {
        let of = |model: &Value| bins(&model["runs"][0]["reliability"][name]);
        let expected: Vec<_> = models.iter().flat_map(of).collect();
        assert!(expected.len() > 20, "{name}");
        Plot(&home.text(&format!("f/calibration-of-{name}.svg"))).has_discs(&expected);
    }
    let delta = |model: &Value| {
        let delta = model.get("delta_auc")?.get("click")?;
        let value = |key: &str| delta[key].as_f64().unwrap();
        Some((value("mean"), value("low"), value("high")))
    };
    let expected: Vec<_> = models.iter().filter_map(delta).collect();
    assert!(expected.len() > 3 && expected.iter().any(|(_, low, high)| low < high));
    Plot(&home.text("f/Δ-AUC-of-click.svg")).has_intervals(&expected);
    let figures: Vec<_> = std::fs::read_dir(home.path("f")).unwrap().collect();
    assert_eq!(figures.len(), html.matches("<svg").count(), "a file for each figure");
    for figure in figures {
        let svg = std::fs::read_to_string(figure.unwrap().path()).unwrap();
        assert!(
            svg.starts_with("<svg") && !svg.contains("var(") && !svg.contains("#FE01"),
            "{svg}"
        );
    }
}

#[test]
fn every_number_of_a_training_is_in_its_metrics() {
    let home = Home::new();
    home.write(FILE, &config());
    home.mtl(&format!("train {FILE} --out m --figures f --by city,age --importance 2")).ok();
    let html = home.text("m/report.html");
    let looked_up = check(&html, &json(&home, "m/metrics.json"));
    assert!(looked_up > 160, "{looked_up}");
    is_self_contained(&html);
    let metrics = json(&home, "m/metrics.json");
    for (figure, by, name, metric) in [
        ("AUC-of-click-by-city", "city", "click", "auc"),
        ("AUC-of-click-by-age", "age", "click", "auc"),
        ("RMSE-of-rating-by-age", "age", "rating", "rmse"),
    ] {
        let expected = by_segment(&metrics["segments"], by, name, metric);
        assert!(expected.len() > 2, "{figure}");
        Plot(&home.text(&format!("f/{figure}.svg"))).has_intervals(&expected);
    }
    let click = task(&metrics["test"], "click");
    Plot(&home.text("f/calibration-of-click.svg")).has_discs(&bins(&click["reliability"]["value"]));
    for figure in [
        "calibration-of-buy",
        "AUC-of-click-by-city",
        "RMSE-of-rating-by-age",
        "importance-for-click",
    ] {
        assert!(home.path("f").join(format!("{figure}.svg")).exists(), "{figure}");
    }
}

#[test]
fn every_number_of_a_measurement_is_in_its_metrics() {
    let home = Home::new();
    home.write(FILE, &config());
    home.mtl(&format!("train {FILE} --out m")).ok();
    home.mtl("evaluate m --data log.csv --by city --importance --out e --figures f").ok();
    let html = home.text("e/report.html");
    let looked_up = check(&html, &json(&home, "e/metrics.json"));
    assert!(looked_up > 100, "{looked_up}");
    is_self_contained(&html);
    assert!(home.path("f").join("AUC-of-click-by-city.svg").exists());
    home.mtl("evaluate m --data log.csv --by city --importance --figures p --figure-format png")
        .ok();
    let names = |folder: &str| -> std::collections::BTreeSet<_> {
        let files = std::fs::read_dir(home.path(folder)).unwrap();
        files
            .map(|file| file.unwrap().path().with_extension("").file_name().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("p"), names("f"), "an image for each drawing");
    for file in std::fs::read_dir(home.path("p")).unwrap() {
        let path = file.unwrap().path();
        assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG\r\n"), "{}", path.display());
    }
    for section in ["Results", "Calibration", "By segment", "Importance of features"] {
        assert!(html.contains(&format!(">{section}</h3>")), "{section}");
    }
}

#[test]
fn every_number_of_a_sweep_is_in_its_json() {
    let home = Home::new();
    home.write(FILE, &config().replace("monitor = \"loss\"\n", ""));
    let options = "--grid 1 --metrics auc_click,rmse_rating";
    for seeds in ["--methods equal,gls", "--methods gls --seeds 2"] {
        home.mtl(&format!("sweep {FILE} {options} {seeds} --out s --figures f")).ok();
        let html = home.text("s/report.html");
        let looked_up = check(&html, &json(&home, "s/sweep.json"));
        assert!(looked_up > 15, "{looked_up}");
        is_self_contained(&html);
        let svg = home.text("s/sweep.svg");
        assert!(svg.contains("rmse_rating (less is better)"));
        assert!(svg == home.text("f/rmse_rating-by-auc_click.svg"));
        Plot(&svg).has_sweep(json(&home, "s/sweep.json")["points"].as_array().unwrap());
    }
}
