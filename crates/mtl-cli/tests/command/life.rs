//! The life of a model: trained, evaluated, applied, inspected, resumed, replaced.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{COLUMNS, CONFIG, Home, csv, csv_of, rows, trained, with_model};

#[test]
fn a_model_of_data_never_seen_is_trained_and_measured() {
    let home = trained();
    let files = ["config.toml", "metrics.json", "model.toml", "schema.bin", "weights.bin"];
    for file in files {
        assert!(home.path("m").join(file).exists(), "{file}");
    }
    let metrics = home.mtl("evaluate m --data log.csv --json").json();
    let task = |name: &str| {
        let tasks = metrics["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["task"] == name).unwrap().clone()
    };
    // Users decide clicks, and the model has seen these users.
    assert!(task("click")["auc"]["value"].as_f64().unwrap() > 0.65, "{}", task("click"));
    let labelled = rows(1_200).iter().filter(|row| !row[5].is_empty()).count();
    assert_eq!(task("click")["rows"], labelled, "a missing label is counted nowhere");
    let positives = task("buy")["positives"].as_u64().unwrap();
    assert!((1..=24).contains(&positives), "a rare task: {positives}");
    assert!(task("rating")["rmse"]["value"].as_f64().unwrap() < 3.0);
    let text = home.mtl("evaluate m --data log.csv").ok();
    assert!(text.contains("gauc") && text.contains("rmse"), "{text}");
}

#[test]
fn predictions_are_a_row_for_each_row_in_order() {
    let home = with_model();
    let all = rows(1_200);
    home.mtl("predict m --data log.csv --out p.csv").ok();
    let text = home.text("p.csv");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "p_click,p_buy,p_rating");
    assert_eq!(lines.len(), 1 + all.len());
    for line in &lines[1..] {
        let values: Vec<f64> = line.split(',').map(|v| v.parse().unwrap()).collect();
        assert!(values[..2].iter().all(|p| (0.0..=1.0).contains(p)), "{line}");
    }
    let reversed: Vec<_> = all.iter().rev().cloned().collect();
    home.write("reversed.csv", &csv(&reversed));
    home.mtl("predict m --data reversed.csv --out r.csv").ok();
    let text = home.text("r.csv");
    assert!(text.lines().skip(1).eq(lines[1..].iter().rev().copied()), "order is the file's");
    // A row alone is what it is among others.
    home.write("one.csv", &csv(&all[..1]));
    home.mtl("predict m --data one.csv --out one-p.csv").ok();
    assert_eq!(home.text("one-p.csv"), format!("{}\n{}\n", lines[0], lines[1]));
    home.write("none.csv", &csv(&[]));
    let said = home.mtl("predict m --data none.csv --out none-p.csv").ok();
    assert_eq!(said, "wrote 0 rows of p_click, p_buy, p_rating to none-p.csv\n");
    assert_eq!(home.text("none-p.csv"), "p_click,p_buy,p_rating\n");
}

/// A row of predictions alone can be joined to nothing.
#[test]
fn columns_of_the_file_are_kept_as_they_are() {
    let home = with_model();
    home.mtl("predict m --data log.csv --out p.csv").ok();
    let said = home.mtl("predict m --data log.csv --out k.csv --keep price,user").ok();
    assert_eq!(said, "wrote 1200 rows of price, user, p_click, p_buy, p_rating to k.csv\n");
    let kept = rows(1_200).into_iter().map(|row| format!("{},{}", row[4], row[0]));
    let kept = std::iter::once("price,user".to_owned()).chain(kept);
    let (plain, found) = (home.text("p.csv"), home.text("k.csv"));
    let expected: Vec<String> = kept.zip(plain.lines()).map(|(k, p)| format!("{k},{p}")).collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    home.write("none.csv", &csv(&[]));
    home.mtl("predict m --data none.csv --out none-p.csv --keep user").ok();
    assert_eq!(home.text("none-p.csv"), "user,p_click,p_buy,p_rating\n");
    let predict = "predict m --data log.csv --out no.csv --keep";
    home.mtl(&format!("{predict} usr"))
        .fails("--keep has `usr`, expected a column of log.csv; did you mean `user`?");
    home.mtl(&format!("{predict} user,user")).fails("--keep has `user` twice");
    home.mtl("predict m --data k.csv --out no.csv --keep p_click").fails("like an output");
    assert!(!home.path("no.csv").exists());
}

#[test]
fn prediction_needs_features_alone_and_takes_values_never_seen() {
    let home = with_model();
    let mut new = rows(3);
    new[0][0] = "99999999999".to_owned();
    new[1][1] = "Ulaanbaatar".to_owned();
    new[2][4] = String::new();
    let features = [4, 3, 2, 1, 0];
    home.write("new.csv", &csv_of(&new, &features));
    home.mtl("predict m --data new.csv --out p.csv").ok();
    let text = home.text("p.csv");
    assert_eq!(text.lines().count(), 4);
    assert!(!text.contains("NaN") && !text.contains(",,"), "{text}");
}

#[test]
fn no_rows_are_refused_and_of_one_class_it_is_said_why_a_metric_is_undefined() {
    let home = with_model();
    home.write("none.csv", &csv(&[]));
    for command in ["evaluate", "importance", "calibrate --method platt", "tune-fusion"] {
        let (name, options) = command.split_once(' ').unwrap_or((command, ""));
        let line = format!("{name} m --data none.csv {options}");
        home.mtl(line.trim_end()).fails("none.csv: there are no rows, expected some");
    }
    let mut one = rows(1);
    one[0][5] = "1".to_owned();
    home.write("one.csv", &csv(&one));
    let text = home.mtl("evaluate m --data one.csv").ok();
    assert!(text.contains("click: auc is undefined: no negative rows"), "{text}");
}

#[test]
fn a_run_under_equal_weights_shows_conflict_if_it_is_watched() {
    let home = Home::new();
    home.write("watched.toml", &CONFIG.replace("[train]", "[loss]\nwatch = 5\n[train]"));
    home.mtl("train run.toml --out plain").ok();
    home.mtl("train watched.toml --out watched").ok();
    assert!(home.read("plain/weights.bin") == home.read("watched/weights.bin"));
    let epoch = |model: &str| {
        let text = home.text(&format!("{model}/metrics.json"));
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["history"]["epochs"][7].clone()
    };
    let sizes = |epoch: serde_json::Value| {
        ["weights", "loss_gradient_norms", "cosines"].map(|of| epoch[of].as_array().unwrap().len())
    };
    assert_eq!((sizes(epoch("plain")), sizes(epoch("watched"))), ([0, 0, 0], [0, 3, 3]));
    let said = "Cosine between gradients of two losses";
    assert!(!home.mtl("inspect plain").ok().contains(said));
    let text = home.mtl("inspect watched").ok();
    assert!(text.contains(said) && text.contains("gradient norm"), "{text}");
    assert!(home.text("watched/report.html").contains("gradient cosines of mmoe"));
    assert!(home.text("plain/report.html").contains("watch = 50"));
}

#[test]
fn inspection_says_how_often_a_weighting_fell_back() {
    let home = Home::new();
    // A row at a time and one shared column: gradients are along or against one another.
    let model = "name = \"mmoe\"\nexpert_units = [16, 8]\ngate_units = [8]";
    assert!(CONFIG.contains(model));
    let narrow = CONFIG.replace(model, "name = \"shared_bottom\"\nbottom_units = [4, 1]");
    let narrow = narrow.replace("batch_size = 64", "batch_size = 1");
    // Slowly: a loss that is nearly learnt has nearly no gradient, and Nash's weight is 1 over it.
    let narrow = narrow.replace("learning_rate = 0.02", "learning_rate = 0.0002");
    let narrow = narrow.replace("epochs = 8", "epochs = 1");
    for (weighting, falls_back) in [("nash_mtl", true), ("mgda", false)] {
        let loss = format!("[loss]\nweighting = \"{weighting}\"\n[train]");
        home.write("narrow.toml", &narrow.replace("[train]", &loss));
        home.mtl("train narrow.toml --out narrow").ok();
        let metrics: serde_json::Value =
            serde_json::from_str(&home.text("narrow/metrics.json")).unwrap();
        let solves = &metrics["history"]["epochs"][0]["solves"];
        assert_eq!(solves["fallbacks"].as_f64().unwrap() > 0.1, falls_back, "{solves}");
        let said = home.mtl("inspect narrow").ok();
        assert_eq!(
            said.contains("% of its steps the weighting's own equations"),
            falls_back,
            "{said}"
        );
    }
}

#[test]
fn inspection_shows_layers_parameters_and_gates() {
    let home = trained();
    let found = home.mtl("inspect m --json").json();
    assert_eq!(found["model"], "mmoe");
    let sum = |of: &str| -> u64 {
        let parts = found[of].as_array().unwrap().iter();
        parts.map(|part| part["parameters"].as_u64().unwrap()).sum()
    };
    let parameters = found["parameters"].as_u64().unwrap();
    assert_eq!((sum("layers"), sum("groups")), (parameters, parameters));
    let gates = found["gates"].as_array().unwrap();
    assert_eq!(gates.len(), 3, "one a task");
    for gate in gates {
        let used = gate["utilisation"].as_array().unwrap();
        assert_eq!(used.len(), 4);
        let sum: f64 = used.iter().map(|u| u.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{gate}");
    }
    assert!(found["chain"].is_null());
    home.mtl("inspect m --dot").fails("m: the model has no [chain], expected one for --dot");
    let text = home.mtl("inspect m --data log.csv").ok();
    for expected in
        ["mmoe of click, buy, rating", "embedding.city", "task.click.gate", "entropy", "█··"]
    {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}

#[test]
fn resuming_is_as_if_training_had_never_stopped() {
    let home = Home::new();
    let of_epochs = |n: usize| CONFIG.replace("epochs = 8", &format!("epochs = {n}"));
    home.write("whole.toml", &of_epochs(8));
    home.mtl("train whole.toml --out whole").ok();
    home.write("part.toml", &of_epochs(5));
    home.mtl("train part.toml --out part").ok();
    let same = |a, b| home.read(a) == home.read(b); // bytes are nothing to print
    assert!(!same("part/weights.bin", "whole/weights.bin"), "epochs make a difference");
    home.mtl("train whole.toml --out part --resume").ok();
    assert!(same("part/weights.bin", "whole/weights.bin"));
    // Nothing is left to do, and nothing changes.
    home.mtl("train whole.toml --out part --resume").ok();
    assert!(same("part/weights.bin", "whole/weights.bin"));
    home.write("seed.toml", &of_epochs(9).replace("[train]", "[train]\nseed = 9"));
    home.mtl("train seed.toml --out part --resume").fails("`seed` was 1, and is 9 now");
    let other = of_epochs(9).replace("\"mmoe\"", "\"ple\"");
    home.write("other.toml", &other);
    home.mtl("train other.toml --out part --resume").fails("is of another model");
    // Other rows would be another run.
    home.write("log.csv", &csv(&rows(1_100)));
    home.mtl("train whole.toml --out part --resume").fails("the training rows were ");
    let mut changed = rows(1_200);
    changed.iter_mut().for_each(|row| row[8] = "1".to_owned());
    home.write("log.csv", &csv(&changed));
    let expected = "other values or another order now, in the rows' weights";
    home.mtl("train whole.toml --out part --resume").fails(expected);
    assert!(same("part/weights.bin", "whole/weights.bin"));
}

/// Starts a command whose output nobody reads: both pipes are closed before a line is written.
fn unread(home: &Home, arguments: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtl"));
    command.current_dir(home.path("")).args(arguments.split(' '));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    child
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let home = with_model();
    home.mtl("init log.csv --out first.toml").ok();
    for (arguments, code) in [
        ("--help", 0),
        ("init log.csv --out second.toml", 0),
        ("check run.toml", 0),
        ("train run.toml --out new", 0),
        ("evaluate m --data log.csv", 0),
        ("importance m --data log.csv --repeats 1", 0),
        ("inspect m", 0),
        ("inspect m --json", 0),
        ("calibrate m --data log.csv --method platt", 0),
        ("tune-fusion m --data log.csv --steps 2", 0),
        ("export m --format safetensors --out m.safetensors", 0),
        ("export m --format onnx --out m.onnx", 0),
        // An error, and a mistyped option: nobody reads these either.
        ("init log.csv --out first.toml", 2),
        ("inspect", 2),
    ] {
        let status = unread(&home, arguments).wait().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments}");
    }
    let second = home.text("second.toml").replace("second", "first");
    assert!(second == home.text("first.toml"), "it is written all the same");
}

#[cfg(unix)]
#[test]
fn a_server_whose_reader_has_gone_serves() {
    let home = with_model();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = unread(&home, &format!("serve m --port {port}"));
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert_eq!(child.try_wait().unwrap(), None, "it has ended");
        assert!(began.elapsed() < Duration::from_secs(60), "nobody listens");
        sleep(Duration::from_millis(5));
    }
    // It listens before it says so.
    sleep(Duration::from_millis(200));
    assert_eq!(child.try_wait().unwrap(), None, "it has ended");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_what_training_noted_a_model_is_inspected_all_the_same() {
    let home = with_model();
    fs::remove_file(home.path("m/metrics.json")).unwrap();
    let said = home.mtl("inspect m");
    let expected = "note: there is no m/metrics.json, and so no gates (measured with --data FILE) or \
                    last epoch to show\n";
    assert_eq!(said.noted(), expected);
    assert!(said.stdout().contains("embedding.city"), "{}", said.stdout());
    let said = home.mtl("inspect m --data log.csv");
    assert_eq!(said.noted(), "note: there is no m/metrics.json, and so no last epoch to show\n");
    assert!(said.stdout().contains("task.click.gate"), "{}", said.stdout());
    home.write("m/metrics.json", "{");
    home.mtl("inspect m").fails("m/metrics.json: ");
}

#[test]
fn a_model_that_is_trained_again_keeps_what_is_the_users() {
    let home = with_model();
    let formula = "[product]\np_buy = 0.5\np_click = 1.0\n";
    home.write("m/fusion.toml", formula);
    home.write("m/NOTES.txt", "mine");
    fs::create_dir_all(home.path("m/plots/old")).unwrap();
    home.write("m/plots/old/auc.txt", "0.7");
    home.mtl("calibrate m --data log.csv --method platt").ok();
    let noted = home.mtl("train run.toml --out m").noted();
    let expected = "note: m/calibration.toml was fitted to the weights before these and is dropped: \
                    `mtl calibrate m` fits another\n";
    assert_eq!(noted, expected);
    assert!(!home.path("m/calibration.toml").exists());
    let kept = |name: &str| home.text(&format!("m/{name}"));
    assert_eq!((kept("NOTES.txt"), kept("plots/old/auc.txt")), ("mine".into(), "0.7".into()));
    assert_eq!(kept("fusion.toml"), formula);
    home.mtl("evaluate m --data log.csv").ok();

    // A calibration that the training fits takes the place of the one there was.
    home.mtl("calibrate m --data log.csv --method isotonic").ok();
    home.write("platt.toml", &format!("{CONFIG}\n[calibration]\nmethod = 'platt'\n"));
    home.mtl("train platt.toml --out m").ok();
    assert!(kept("calibration.toml").contains("platt"));

    // A formula over an output that there is no longer.
    let one = CONFIG.replace("[[task]]\nname = \"buy\"\n", "");
    assert!(one.len() < CONFIG.len());
    home.write("one.toml", &one);
    let noted = home.mtl("train one.toml --out m").stderr();
    assert!(noted.contains("note: m/fusion.toml: ") && noted.contains("`p_buy`"), "{noted}");
    assert!(noted.contains("the formula is dropped"), "{noted}");
    assert!(!home.path("m/fusion.toml").exists());
    assert_eq!(kept("NOTES.txt"), "mine");
}

#[test]
fn help_says_what_the_command_does() {
    let help = trained().mtl("--help").ok();
    assert!(help.starts_with("Multi-task ranking models: trained"), "{help}");
}

#[test]
fn a_model_is_replaced_whole_and_nothing_else_is_replaced() {
    let home = with_model();
    fs::write(home.path("m/weights.bin"), "damaged").unwrap();
    home.mtl("predict m --data log.csv --out p.csv").fails("m/weights.bin");
    home.mtl("train run.toml --out m").ok();
    assert!(home.read("m/weights.bin") == trained().read("m/weights.bin"));
    home.mtl("train run.toml --out new/deep/m").ok();
    let entries = |folder: &str| fs::read_dir(home.path(folder)).unwrap().count();
    assert_eq!(entries("new/deep"), 1, "no temporary file is left");
    fs::create_dir(home.path("thesis")).unwrap();
    home.write("thesis/chapter-1", "long work");
    home.mtl("train run.toml --out thesis").fails("has files but no `model.toml`");
    assert_eq!(home.text("thesis/chapter-1"), "long work");
    home.mtl("train run.toml --out log.csv").fails("log.csv: is a file, expected a folder");
    home.mtl("train run.toml --out log.csv/m").fails("log.csv/m: cannot be written");
    assert_eq!(home.text("log.csv").lines().next().unwrap(), COLUMNS.join(","));
}
