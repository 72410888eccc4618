//! Day after day: a model that is trained on from a saved one, and learns the ids that are new.

use std::path::Path;

use mtl_model::Model;

use crate::support::{CONFIG, Home, Row, csv, rows};

/// A first day, and a second with users and a city that the first did not have, and half its users.
fn home() -> Home {
    let home = Home::new();
    home.write("day-1.csv", &csv(&rows(600)));
    home.write("day-2.csv", &csv(&second_day()));
    home.write("one.toml", &config("day-1.csv"));
    home.write("two.toml", &config("day-2.csv"));
    home
}

fn second_day() -> Vec<Row> {
    let mut rows = rows(900).split_off(600);
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = (row[0].parse::<u32>().unwrap() % 20).to_string();
        match i % 3 {
            0 => row[0] = format!("new-{}", i % 7),
            1 => row[1] = "Lagos".to_owned(),
            _ => {}
        }
    }
    rows
}

fn config(file: &str) -> String {
    CONFIG.replace("log.csv", file).replace("epochs = 8", "epochs = 2")
}

/// The rows of a feature's table.
fn table(model: &Model, name: &str) -> Vec<Vec<f32>> {
    rows_of(model, &format!("embedding.{name}.table"))
}

fn rows_of(model: &Model, path: &str) -> Vec<Vec<f32>> {
    let values = model.params.get(path).unwrap();
    values.rows().into_iter().map(|row| row.to_vec()).collect()
}

#[test]
fn ids_that_are_new_get_rows_after_those_that_are_known() {
    let home = home();
    home.mtl("train one.toml --out one").ok();
    home.mtl("train two.toml --from one --out two").ok();
    let [one, two] = ["one", "two"].map(|name| Model::load(&home.path(name)).unwrap());
    for (name, n_new) in [("user", 7), ("city", 1), ("age", 0), ("device", 0)] {
        let (before, after) = (table(&one, name), table(&two, name));
        assert_eq!(after.len(), before.len() + n_new, "{name}");
    }
    // Users whom the second day does not have keep their embeddings, bit for bit.
    let second = second_day();
    let encoding = one.schema().feature("user").unwrap().encoding();
    let mtl_feature::Encoding::Vocabulary(users) = encoding else { panic!("{encoding:?}") };
    let (before, after) = (table(&one, "user"), table(&two, "user"));
    let mut n_gone = 0;
    for (i, user) in users.keys().iter().enumerate() {
        let (row, user) = (i + 2, user.to_string());
        let is_gone = second.iter().all(|fields| fields[0] != user);
        n_gone += usize::from(is_gone);
        assert!(!is_gone || before[row] == after[row], "user {user}");
    }
    assert_eq!(n_gone, 20);
    let learnt = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert_eq!(learnt, 20, "the others go on learning");
    // What numbers and buckets mean to the weights stays.
    for name in ["age", "price"] {
        let of = |model: &Model| model.schema().feature(name).unwrap().encoding().clone();
        assert_eq!(of(&one), of(&two), "{name}");
    }
    home.mtl("predict two --data day-1.csv --out p.csv").ok();
    assert!(home.mtl("evaluate two --data day-2.csv").ok().contains("macro auc"));
}

#[test]
fn the_days_of_a_model_may_be_streamed_interrupted_and_written_over_it() {
    let home = home();
    home.mtl("train one.toml --out one").ok();
    home.mtl("train two.toml --from one --out two").ok();
    // In memory or not, into another folder or over the first model.
    home.write("stream.toml", &config("day-[2].csv\"\nstream = true #"));
    home.mtl("train stream.toml --from one --out two-streamed").ok();
    assert!(home.read("two-streamed/weights.bin") == home.read("two/weights.bin"));
    // A run that was interrupted: its state lies beside the folder.
    home.write("part.toml", &config("day-2.csv").replace("epochs = 2", "epochs = 1"));
    home.mtl("train part.toml --from one --out part").ok();
    std::fs::rename(home.path("part/training.bin"), home.path("one.training.bin")).unwrap();
    home.mtl("train two.toml --from one --out one --resume").ok();
    assert!(home.read("one/weights.bin") == home.read("two/weights.bin"));
}

#[test]
fn a_new_domain_starts_as_one_that_is_not_known() {
    let home = home();
    let star = "name = \"star\"\ndomain = \"city\"\nbottom_units = [8]";
    let config = |file| config(file).replace("name = \"mmoe\"", star);
    home.write("one.toml", &config("day-1.csv"));
    home.write("two.toml", &config("day-2.csv"));
    // So small a rate that what is carried stays, and what is new is seen as it starts.
    let still = config("day-2.csv").replace("learning_rate = 0.02", "learning_rate = 1e-30");
    home.write("still.toml", &still);
    home.mtl("train one.toml --out one").ok();
    home.mtl("train still.toml --from one --out still").ok();
    let [one, still] = ["one", "still"].map(|name| Model::load(&home.path(name)).unwrap());
    let is_close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-20);
    let n_in = rows_of(&one, "bottom.0.weight").len();
    for (path, rows_of_domain, start) in [
        ("bottom.0.domain.weight", n_in, 1.0),
        ("bottom.0.domain.bias", 1, 0.0),
        ("task.click.tower.0.domain.weight", 8, 1.0),
        ("normalise.domain.gamma", 1, 1.0),
        ("normalise.domain.beta", 1, 0.0),
    ] {
        // Missing, Lima, Oslo and Rome; then Lagos.
        let (before, after) = (rows_of(&one, path), rows_of(&still, path));
        assert_eq!((before.len(), after.len()), (4 * rows_of_domain, 5 * rows_of_domain), "{path}");
        assert!(before.iter().flatten().any(|value| (value - start).abs() > 1e-4), "{path}");
        let (known, new) = after.split_at(before.len());
        assert!(before.iter().zip(known).all(|(a, b)| is_close(a, b)), "{path}");
        assert!(new.iter().all(|row| is_close(row, &vec![start; row.len()])), "{path}");
    }
    let seen = |model: &Model| rows_of(model, "normalise.seen").concat();
    assert_eq!((seen(&one).len(), seen(&still)), (5, vec![1.0; 6]));
    // Variances of embeddings are small, and fall from where those of all rows have come: not from 1.
    let variances = |model: &Model| rows_of(model, "normalise.running_var");
    let least = |row: &[f32]| row.iter().copied().fold(f32::INFINITY, f32::min);
    assert!(least(&variances(&still)[5]) < least(&variances(&one)[0]));

    // At the usual rate it learns, its moments beside those of the others.
    home.mtl("train two.toml --from one --out two").ok();
    let two = Model::load(&home.path("two")).unwrap();
    let new = rows_of(&two, "bottom.0.domain.weight").split_off(4 * n_in).concat();
    assert!(new.iter().any(|value| (value - 1.0).abs() > 1e-4), "{new:?}");
    home.mtl("evaluate two --data day-2.csv").ok();
}

#[test]
fn moments_of_the_optimiser_go_on() {
    let home = home();
    home.mtl("train one.toml --out one").ok();
    home.mtl("train two.toml --from one --out warm").ok();
    std::fs::remove_file(home.path("one/training.bin")).unwrap();
    home.mtl("train two.toml --from one --out cold").ok();
    assert!(home.read("warm/weights.bin") != home.read("cold/weights.bin"));
    home.mtl("train one.toml --out one").ok();
    let sgd = "optimiser = { dense = { kind = \"sgd\", lr = 0.01 } }";
    home.write("sgd.toml", &config("day-2.csv").replace("learning_rate = 0.02", sgd));
    home.mtl("train sgd.toml --from one --out m").fails("one: ");
}

#[test]
fn a_model_of_other_features_or_settings_is_no_beginning() {
    let home = home();
    home.mtl("train one.toml --out one").ok();
    for (from, to, expected) in [
        ("\nbuckets = 5", "\nbuckets = 6", "one: feature `age`: `buckets` was 5, and is 6 now"),
        ("name = \"device\"", "name = \"phone\"", "one: feature `phone`: the model was trained"),
        ("name = \"buy\"", "name = \"cart\"\nlabel = \"buy\"", "one: label `cart`: the model was"),
        ("\"mmoe\"", "\"ple\"", "one: is a `mmoe`, and the configuration's model is a `ple`"),
        ("[16, 8]", "[8, 8]", "one: has other settings than [model] in the configuration"),
    ] {
        home.write("other.toml", &config("day-2.csv").replace(from, to));
        home.mtl("train other.toml --from one --out m").fails(expected);
    }
    home.mtl("train two.toml --from nowhere --out m").fails("nowhere/model.toml: No such file");
    home.mtl("train two.toml --from one --init w.safetensors --out m").fails("cannot be used with");
}

#[test]
fn the_example_is_trained_from_day_to_day() {
    let home = Home::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/configs");
    std::fs::create_dir(home.path("days")).unwrap();
    for file in
        ["days.toml", "days-next.toml", "days/day-1.csv", "days/day-2.csv", "days/day-3.csv"]
    {
        std::fs::copy(examples.join(file), home.path(file)).unwrap();
    }
    home.mtl("train days.toml --out days-model").ok();
    let before = Model::load(&home.path("days-model")).unwrap();
    home.mtl("train days-next.toml --from days-model --out days-model").ok();
    let after = Model::load(&home.path("days-model")).unwrap();
    // Ten items are new; ids 0 and 1 are the unseen and the missing.
    assert_eq!((table(&before, "item_id").len(), table(&after, "item_id").len()), (42, 52));
    let measured = home.mtl("evaluate days-model --data days/day-3.csv --json").json();
    let click =
        measured["tasks"].as_array().unwrap().iter().find(|t| t["task"] == "click").unwrap();
    assert!(click["auc"]["value"].as_f64().unwrap() > 0.6, "{click}");
}
