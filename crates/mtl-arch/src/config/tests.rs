use mtl_nn::GraphBuilder;

use super::*;
use crate::{Inputs, architecture};

const TASKS: [&str; 2] = ["buy", "click"];

/// The message of what is wrong with `name` under these settings, found by building it.
fn error(name: &str, settings: &str) -> String {
    let config: ArchitectureConfig = toml::from_str(settings).expect("settings that parse");
    let build = || {
        let mut b = GraphBuilder::<f32>::new();
        let x = b.values("x", 3)?;
        let x = b.read(x)?;
        architecture(name, &config, &TASKS)?.build(&mut b, &Inputs::Shared(x))
    };
    build().expect_err("settings that are wrong").to_string()
}

#[test]
fn each_wrong_setting_is_named_with_its_value_and_what_was_expected() {
    let cases = [
        (
            "mmeo",
            "",
            "unknown model `mmeo`, expected one of single_task, shared_bottom, omoe, mmoe, cgc, \
             ple, towers, cross_stitch, aitm, star",
        ),
        (
            "aitm",
            "",
            "model: `sequence` is absent, expected the order of the events: a list of buy, click",
        ),
        (
            "aitm",
            "sequence = ['click']",
            "model: `sequence` is [\"click\"], expected each of buy, click once",
        ),
        (
            "aitm",
            "sequence = ['click', 'like']",
            "model: `sequence` is [\"click\", \"like\"], expected each of buy, click once",
        ),
        (
            "aitm",
            "sequence = ['click', 'buy', 'click']",
            "model: `sequence` is [\"click\", \"buy\", \"click\"], expected each of buy, click once",
        ),
        (
            "aitm",
            "sequence = ['click', 'buy']\nsequence_penalty = -1.0",
            "model: `sequence_penalty` is -1, expected a number ≥ 0",
        ),
        ("star", "", "model: `star` was given other inputs, expected x and a domain"),
        (
            "mmoe",
            "expert_units = [8, 0]",
            "model: `expert_units` is [8, 0], expected widths of at least 1",
        ),
        ("mmoe", "expert_units = []", "model: `expert_units` is [], expected widths of at least 1"),
        ("mmoe", "gate_units = [0]", "model: `gate_units` is [0], expected widths of at least 1"),
        (
            "shared_bottom",
            "bottom_units = []",
            "model: `bottom_units` is [], expected widths of at least 1",
        ),
        (
            "towers",
            "tower_units = [0]",
            "model: `tower_units` is [0], expected widths of at least 1",
        ),
        ("omoe", "experts = 0", "model: `experts` is 0, expected at least 1"),
        ("ple", "levels = 0", "model: `levels` is 0, expected at least 1"),
        (
            "ple",
            "levels = 3\ntask_experts = [2, 1]",
            "model: `task_experts` is a list of 2, expected 3, one a level",
        ),
        (
            "cgc",
            "shared_experts = [2, 1]",
            "model: `shared_experts` is a list of 2, expected 1, one a level",
        ),
        (
            "ple",
            "task_experts = { buy = 1, clik = 2 }",
            "model: `task_experts.clik` is 2, expected one of the tasks buy, click",
        ),
        (
            "ple",
            "task_experts = { buy = 1 }",
            "model: `task_experts.click` is absent, expected a number for each task",
        ),
        (
            "ple",
            "task_experts = [1, { buy = 0, click = 2 }]\nshared_experts = [1, 0]",
            "model: `task_experts.buy` is 0, expected at least 1 expert under each gate (level 1)",
        ),
        ("mmoe", "dropout = 1.0", "model: `dropout` is 1, expected a rate in [0, 1)"),
        ("mmoe", "dropout = nan", "model: `dropout` is NaN, expected a rate in [0, 1)"),
        (
            "mmoe",
            "tower_dropout = -0.1",
            "model: `tower_dropout` is -0.1, expected a rate in [0, 1)",
        ),
        (
            "cgc",
            "expert_units = [8, 4]\nshared_expert_units = [8, 5]",
            "gate `level.0.task.buy.gate` mixes experts of 4 and 5 columns \
             (`level.0.shared.expert.0`)",
        ),
    ];
    for (name, settings, expected) in cases {
        assert_eq!(error(name, settings), expected, "{name}, {settings}");
    }
}

#[test]
fn widths_that_do_not_mix_name_their_gate() {
    let config = ArchitectureConfig {
        expert_units: Some(vec![4]),
        shared_expert_units: Some(vec![5]),
        ..ArchitectureConfig::default()
    };
    let mut b = GraphBuilder::<f64>::new();
    let x = b.values("x", 3).and_then(|x| b.read(x)).expect("a new slot");
    let cgc = architecture("cgc", &config, &TASKS).expect("settings within their ranges");
    let error = cgc.build(&mut b, &Inputs::Shared(x)).expect_err("4 and 5 columns");
    assert!(
        matches!(
            &error,
            Error::Mixture(mtl_moe::Error::Widths { gate, first: 4, other: 5, .. })
                if gate == "level.0.task.buy.gate"
        ),
        "{error:?}"
    );
}

#[test]
fn wrong_lists_of_tasks_are_errors() {
    let message = |tasks: &[&str]| {
        let found = ArchitectureConfig::default().check(tasks);
        found.expect_err("a wrong list").to_string()
    };
    assert_eq!(message(&[]), "model: there is no task to train");
    assert_eq!(message(&["b", "a", "b"]), "model: the task `b` is declared twice");
}

/// The experts of a level, by task, and the shared ones, for two levels.
fn experts(settings: &str) -> (Vec<Vec<usize>>, Vec<usize>) {
    let config: ArchitectureConfig = toml::from_str(settings).expect("settings that parse");
    let config = ArchitectureConfig { levels: Some(2), ..config };
    let settings = config.check(&["click", "buy"]).expect("settings that are right");
    (settings.task_experts, settings.shared_experts)
}

#[test]
fn numbers_of_experts_are_read_for_all_by_task_and_by_level() {
    assert_eq!(experts(""), (vec![vec![4, 4]; 2], vec![2, 2]));
    assert_eq!(experts("task_experts = 3"), (vec![vec![3, 3]; 2], vec![2, 2]));
    // Tasks stand sorted: buy, click.
    let by_task = "task_experts = { click = 1, buy = 2 }\nshared_experts = 0";
    assert_eq!(experts(by_task), (vec![vec![2, 1]; 2], vec![0, 0]));
    let by_level = "task_experts = [2, { buy = 5, click = 6 }]\nshared_experts = [3, 1]";
    assert_eq!(experts(by_level), (vec![vec![2, 2], vec![5, 6]], vec![3, 1]));
    let table = "shared_experts = [3, 1]\n[task_experts]\nbuy = 5\nclick = 6";
    assert_eq!(experts(table), (vec![vec![5, 6]; 2], vec![3, 1]));
}

#[test]
fn settings_survive_being_written_and_read() {
    let config = ArchitectureConfig {
        preset: Preset::Paper,
        expert_units: Some(vec![16]),
        task_experts: Some(PerLevel::Each(vec![
            Counts::All(2),
            Counts::ByTask([("buy".to_owned(), 1), ("click".to_owned(), 3)].into()),
        ])),
        shared_experts: Some(PerLevel::All(1)),
        levels: Some(2),
        ..ArchitectureConfig::default()
    };
    let written = toml::to_string(&config).expect("a table");
    assert_eq!(toml::from_str::<ArchitectureConfig>(&written).expect("what was written"), config);
}

#[test]
fn values_of_another_kind_are_errors_that_say_what_was_expected() {
    let message = |settings: &str| {
        let found = toml::from_str::<ArchitectureConfig>(settings);
        found.expect_err("a setting of another kind").message().to_owned()
    };
    let of_levels = "expected a value, or a list with one for each level";
    assert_eq!(message("task_experts = \"three\""), of_levels);
    assert_eq!(message("shared_experts = -1"), of_levels);
    assert!(message("expert_unit = [4]").starts_with("unknown field `expert_unit`"));
    assert!(message("preset = \"papers\"").contains("`tutorial` or `paper`"));
}

#[test]
fn settings_of_ple_are_not_read_for_the_others() {
    let config: ArchitectureConfig =
        toml::from_str("levels = 3\ntask_experts = [1, 2, { a = 1 }]\nshared_experts = [1, 2, 3]")
            .expect("settings that parse");
    for name in ["single_task", "shared_bottom", "omoe", "mmoe", "towers"] {
        assert!(architecture::<f32>(name, &config, &TASKS).is_ok(), "{name}");
    }
    assert!(architecture::<f32>("ple", &config, &TASKS).is_err());
}
