//! A history beside an item: from a file to probabilities.

use std::fmt::Write as _;

use crate::support::{Home, Ran};

const CONFIG: &str = r#"
[data]
train = "history.csv"
split = { by = "random", validation = 0.2, test = 0.2 }

[[feature]]
name = "item"
kind = "categorical"

[[feature]]
name = "history"
kind = "sequence"
max_length = 4
shares = "item"
pooling = "din"
target = "item"

[[feature]]
name = "seen"
column = "history"
kind = "sequence"
hash_buckets = 20
pooling = "max"

[[task]]
name = "click"

[[task]]
name = "like"

[model]
name = "mmoe"
first_order = true
expert_units = [8]
gate_units = []
tower_units = [8]

[train]
epochs = 3
batch_size = 32
learning_rate = 0.01
"#;

/// Rows whose label says whether the item is of the kind of the history's last one; every fifth
/// history is empty.
fn csv(columns: [&str; 4]) -> String {
    let mut text = columns.join(",") + "\n";
    for i in 0..400_usize {
        let item = (i * 7 + i / 9) % 12;
        let length = i % 5;
        let history: Vec<String> = (0..length).map(|j| ((i + j * j) % 12).to_string()).collect();
        let click = (item + i + length) % 3 == 0;
        let like = click && i % 2 == 0;
        let fields = columns.map(|column| match column {
            "item" => item.to_string(),
            "history" => history.join("|"),
            "click" => u8::from(click).to_string(),
            _ => u8::from(like).to_string(),
        });
        writeln!(text, "{}", fields.join(",")).unwrap();
    }
    text
}

fn trained(columns: [&str; 4]) -> Home {
    let home = Home::new();
    home.write("history.csv", &csv(columns));
    home.write("history.toml", CONFIG);
    home.mtl("train history.toml --out m").ok();
    home
}

fn predicted(home: &Home) -> String {
    home.mtl("predict m --data new.csv --out p.csv").ok();
    home.text("p.csv")
}

#[test]
fn a_history_is_trained_evaluated_and_predicted_from_whatever_the_order_of_columns() {
    let home = trained(["item", "history", "click", "like"]);
    let ran: Ran = home.mtl("evaluate m --data history.csv");
    assert!(ran.ok().contains("macro auc"));
    assert!(home.mtl("inspect m").ok().contains("target_attention"));
    // An empty history, a full one, unseen and missing items, one that is longer than is read.
    home.write("new.csv", "item,history\n3,\n3,1|2\n77,99|1\n,1||2\n5,0|0|0|1|2|3|4\n5,1|2|3|4\n");
    let probabilities = predicted(&home);
    let rows: Vec<&str> = probabilities.lines().collect();
    assert_eq!((rows.len(), rows[0]), (7, "p_click,p_like"));
    assert_ne!(rows[1], rows[2]);
    let other = trained(["like", "history", "click", "item"]);
    other.write("new.csv", "history,item\n,3\n1|2,3\n99|1,77\n1||2,\n0|0|0|1|2|3|4,5\n1|2|3|4,5\n");
    assert_eq!(predicted(&other), probabilities, "the order of columns changes no number");
}

#[test]
fn what_is_wrong_with_a_sequence_is_named() {
    let home = Home::new();
    home.write("history.csv", &csv(["item", "history", "click", "like"]));
    for (from, to, expected) in [
        ("target = \"item\"", "", "feature `history`: `target` is not given"),
        ("shares = \"item\"", "shares = \"itm\"", "did you mean `item`?"),
        ("pooling = \"din\"", "pooling = \"dni\"", "[feature `history`] unknown variant `dni`"),
        ("max_length = 4", "max_length = 0", "feature `history`: `max_length` is 0, expected 1"),
        ("shares = \"item\"", "dim = 3", "`dim` is the sequence's, 3"),
    ] {
        home.write("wrong.toml", &CONFIG.replacen(from, to, 1));
        home.mtl("train wrong.toml --out m").fails(expected);
    }
}
