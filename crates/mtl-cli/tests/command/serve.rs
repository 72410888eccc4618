//! `mtl serve` as a process: it says where it listens, scores as `predict` does, and ends on SIGTERM.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{COLUMNS, Home, csv, rows, with_model};

/// A served model; killed if a test fails.
pub(crate) struct Served {
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
    pub(crate) fn new(home: &Home, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtl"));
        command.current_dir(home.path("")).args(["serve", "m", "--port", "0"]).args(options);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("serving m at http://").expect(&line).to_owned();
        Self { child, address }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.send("GET", path, "").1
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (String, Value) {
        self.send("POST", path, &body.to_string())
    }

    fn send(&self, method: &str, path: &str, body: &str) -> (String, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
    }
}

/// Rows with values that training had, values that it had not, and missing ones.
fn some_rows() -> Vec<[String; COLUMNS.len()]> {
    let mut rows = rows(30);
    rows[0][0] = "99999999999".to_owned();
    rows[1][1] = "Ulaanbaatar".to_owned();
    rows[2][4] = String::new();
    rows[3][3] = String::new();
    rows
}

#[test]
fn served_scores_are_predicted_scores() {
    let home = with_model();
    let rows = some_rows();
    home.mtl("calibrate m --data log.csv --method platt").ok();
    home.write("new.csv", &csv(&rows));
    home.mtl("predict m --data new.csv --out p.csv").ok();
    let served = Served::new(&home, &["--product", "p_click=1,p_buy=0.5"]);
    let object = |row: &[String; COLUMNS.len()]| {
        let fields = COLUMNS.iter().zip(row).take(5);
        Value::Object(fields.map(|(name, text)| ((*name).to_owned(), json!(text))).collect())
    };
    let body = json!({"rows": rows.iter().map(object).collect::<Vec<_>>()});
    let (status, answer) = served.post("/score", &body);
    assert_eq!(status, "HTTP/1.1 200 OK", "{answer}");
    let text = home.text("p.csv");
    let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let scores = answer["scores"].as_array().unwrap();
    assert_eq!(scores.len(), rows.len());
    for (score, line) in scores.iter().zip(text.lines().skip(1)) {
        for (name, predicted) in names.iter().zip(line.split(',')) {
            let (served, predicted) =
                (score[*name].as_f64().unwrap(), predicted.parse::<f64>().unwrap());
            assert!((served - predicted).abs() < 1e-6, "{name}: {served} {predicted}");
        }
        let value = |name: &str| score[name].as_f64().unwrap();
        assert!((value("score") - value("p_click") * value("p_buy").sqrt()).abs() < 1e-6);
    }
    let (status, answer) = served.post("/score", &json!({"rows": [{"user": 1}]}));
    assert_eq!(status, "HTTP/1.1 400 Bad Request");
    assert_eq!(answer["error"]["field"], "age");
}

/// A file with histories: looked at by `init`, trained by what that wrote, and served with lists.
#[test]
fn what_init_wrote_is_trained_and_served_with_a_history() {
    let home = Home::new();
    let file = include_str!("../../../../examples/configs/history.csv");
    home.write("history.csv", file);
    home.mtl("init history.csv --out first.toml").ok();
    let config = home.text("first.toml");
    assert!(config.contains("kind = \"sequence\"\nseparator = \"|\""), "{config}");
    home.write("first.toml", &config.replace("epochs = 10", "epochs = 1"));
    home.mtl("train first.toml --out m").ok();
    home.mtl("predict m --data history.csv --out p.csv").ok();
    let predicted = home.text("p.csv");
    let names: Vec<&str> = predicted.lines().next().unwrap().split(',').collect();
    let mut lines = file.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    // The last rows: their users have histories.
    let n = lines.clone().count() - 80;
    let field = |name: &str, text: &str| match name {
        "history" if text.is_empty() => json!([]),
        "history" => json!(text.split('|').collect::<Vec<_>>()),
        _ => json!(text),
    };
    let row = |line: &str| -> Value {
        let fields = columns.iter().zip(line.split(','));
        let inputs = fields.filter(|(name, _)| !["click", "cart", "purchase"].contains(name));
        Value::Object(inputs.map(|(name, text)| ((*name).to_owned(), field(name, text))).collect())
    };
    let rows: Vec<Value> = lines.skip(n).map(row).collect();
    let lengths = rows.iter().map(|row| row["history"].as_array().unwrap().len());
    assert!(lengths.clone().max() > Some(3) && rows.len() == 80, "{:?}", lengths.max());
    let served = Served::new(&home, &[]);
    let (status, answer) = served.post("/score", &json!({"rows": rows}));
    assert_eq!(status, "HTTP/1.1 200 OK", "{answer}");
    let scores = answer["scores"].as_array().unwrap();
    for (score, line) in scores.iter().zip(predicted.lines().skip(1 + n)) {
        for (name, predicted) in names.iter().zip(line.split(',')) {
            let difference = score[*name].as_f64().unwrap() - predicted.parse::<f64>().unwrap();
            assert!(difference.abs() < 1e-6, "{name}: {score} {line}");
        }
    }
    // The same history of a user, beside two items of which it knows more or less.
    let mut user = rows[79].as_object().unwrap().clone();
    let item = user.remove("item_id").unwrap();
    let body = json!({"user": user, "candidates": [{"item_id": item}, {"item_id": "unknown"}]});
    let (_, answer) = served.post("/score", &body);
    let first = answer["scores"][0]["p_click"].as_f64().unwrap();
    assert!((first - scores[79]["p_click"].as_f64().unwrap()).abs() < 1e-6, "{answer}");
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_well() {
    let home = with_model();
    let mut served = Served::new(&home, &[]);
    let id = served.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_formula_is_tuned_written_and_served() {
    let home = with_model();
    let said = home.mtl("tune-fusion m --data log.csv --weights click=1,buy=2 --steps 30").ok();
    assert!(said.contains("gauc_buy") && said.contains("wrote p_buy^"), "{said}");
    assert!(home.text("m/fusion.toml").starts_with("[product]"));
    let served = Served::new(&home, &[]);
    let row = json!({"user": 1, "city": "Rome", "device": "d1", "age": 30, "price": 2});
    let (_, answer) = served.post("/score", &json!({"rows": [row]}));
    assert!(answer["scores"][0]["score"].is_number(), "{answer}");
    drop(served);
    let said = home.mtl("tune-fusion m --data log.csv --form sum --steps 30").ok();
    assert!(
        said.contains("·p_buy + ") && home.text("m/fusion.toml").starts_with("[sum]"),
        "{said}"
    );
    let served = Served::new(&home, &[]);
    let (_, answer) = served.post("/score", &json!({"rows": [row]}));
    let weights: toml::Table = home.text("m/fusion.toml").parse().unwrap();
    let score = &answer["scores"][0];
    let terms = ["p_buy", "p_click"]
        .map(|name| weights["sum"][name].as_float().unwrap() * score[name].as_f64().unwrap());
    assert!((score["score"].as_f64().unwrap() - terms.iter().sum::<f64>()).abs() < 1e-6);
    let tuned =
        home.mtl("tune-fusion m --data log.csv --metric ndcg --k 3 --steps 5 --json").json();
    assert_eq!(tuned["metric"]["ndcg"], 3);
}

#[test]
fn what_cannot_be() {
    let home = with_model();
    for (arguments, expected) in [
        ("serve nowhere", "nowhere/model.toml: No such file"),
        ("serve m --product p_clik=1", "did you mean `p_click`?"),
        ("serve m --product p_click=-5000", "product.p_click: found -5000, expected an exponent"),
        ("serve m --product p_click", "--product has `p_click`, expected such as p_click=0.5"),
        ("serve m --product p_click=1 --sum p_buy=1", "--product beside --sum"),
        ("serve m --queue 0", "`queue` is 0, expected at least 1"),
        ("serve m --scoring-threads 9999", "--scoring-threads is 9999, expected 1 to "),
        ("serve m --timeout=-1", "--timeout is -1, expected seconds"),
        ("serve m --reload-timeout 0", "`reload_timeout` is 0, expected more than no time"),
        ("serve m --connections 0", "`connections` is 0, expected at least 1"),
        ("serve m --host nowhere.invalid", "cannot be listened on"),
        ("tune-fusion m --data log.csv --weights clik=1", "did you mean `click`?"),
        ("tune-fusion m --data log.csv --weights click", "expected such as click=1"),
    ] {
        home.mtl(arguments).fails(expected);
    }
    home.write("m/fusion.toml", "[product]\np_rating = 1.0\n");
    home.mtl("serve m").fails("m/fusion.toml: ");
    home.write("m/fusion.toml", "[sum]\np_rating = 1e10\n");
    home.mtl("serve m").fails("m/fusion.toml: [fusion] sum.p_rating: found 10000000000, expected");
}
