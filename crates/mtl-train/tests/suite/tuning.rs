//! A fusion formula tuned on a funnel: it beats each output alone, and the search is a function.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use mtl_data::{Dataset, funnel};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_train::{FusionForm, RankMetric, Silent, TrainConfig, TuneConfig, fit, tune_fusion};

type Failure = Box<dyn std::error::Error>;

/// A model and its data, trained once for all tests.
fn trained() -> &'static (Model, Dataset) {
    static TRAINED: OnceLock<(Model, Dataset)> = OnceLock::new();
    TRAINED.get_or_init(|| train().expect("it trains"))
}

fn train() -> Result<(Model, Dataset), Failure> {
    let data = funnel::Config { rows: 8_000, users: 150, items: 60, ..Default::default() };
    let data = funnel::load(&data)?;
    let tasks = vec![TaskConfig::binary("click"), TaskConfig::binary("action")];
    let spec = ModelSpec::new(ModelConfig::new("shared_bottom"), tasks, None)?;
    let mut model = Model::new(spec, data.schema.clone(), 3)?;
    let config = TrainConfig { epochs: 3, batch_size: 256, ..TrainConfig::default() };
    fit(&mut model, (&data.train, &data.validation), &config, None, &mut Silent)?;
    Ok((model, data))
}

#[test]
fn the_best_formula_is_no_worse_than_any_it_started_from() -> Result<(), Failure> {
    let (model, data) = trained();
    let ten = NonZeroUsize::new(10).ok_or("ten")?;
    for (form, metric) in [
        (FusionForm::Product, RankMetric::Gauc),
        (FusionForm::Product, RankMetric::Ndcg(ten)),
        (FusionForm::Sum, RankMetric::Gauc),
    ] {
        let config = TuneConfig { form, metric, steps: 60, ..TuneConfig::default() };
        let tuned = tune_fusion(model, &data.validation, &config)?;
        assert_eq!(tuned.others.len(), 3, "each output and all of them");
        let is_sum = matches!(tuned.best.fusion, mtl_model::Fusion::Sum(_));
        assert_eq!(is_sum, form == FusionForm::Sum);
        let largest = tuned.best.fusion.terms().values().copied().fold(0.0, f64::max);
        assert_eq!(largest, 1.0, "{}", tuned.best.fusion);
        for other in &tuned.others {
            assert!(tuned.best.objective >= other.objective);
        }
        assert_eq!(tuned, tune_fusion(model, &data.validation, &config)?);
        tuned.best.fusion.check(model)?;
        // The objective is that of the formula as it ranks when served.
        let scores = tuned.best.fusion.scores(&model.predict(&data.validation)?);
        let labels = data.validation.label_of("click").ok_or("no such label")?;
        let groups = data.validation.groups().ok_or("no groups")?;
        let rows = mtl_eval::BinaryRows::new(labels, &scores)?.with_groups(groups)?;
        let gauc = mtl_eval::gauc(&rows, mtl_eval::GaucMode::Uniform).value.value();
        if metric == RankMetric::Gauc {
            let gauc = gauc.ok_or("undefined")?;
            assert!((gauc - tuned.best.metrics["click"]).abs() < 1e-9);
        }
    }
    Ok(())
}

/// The start of a sum counts both as much, whatever their rates: the rarer has the larger weight.
#[test]
fn a_sum_starts_from_equal_shares() -> Result<(), Failure> {
    let (model, data) = trained();
    let config = TuneConfig { form: FusionForm::Sum, steps: 60, ..TuneConfig::default() };
    let tuned = tune_fusion(model, &data.validation, &config)?;
    let predictions = model.predict(&data.validation)?;
    let all = tuned.others.last().ok_or("no formula")?.fusion.terms();
    let share = |output: &str| {
        let column = predictions.column(output).expect("an output");
        all[output] * column.iter().copied().map(f64::from).sum::<f64>()
    };
    let (click, action) = (share("p_click"), share("p_action"));
    assert!((click / action - 1.0).abs() < 1e-3, "{click} {action}");
    assert!(all["p_action"] > all["p_click"], "an action is the rarer");
    Ok(())
}

#[test]
fn weights_decide_what_counts() -> Result<(), Failure> {
    let (model, data) = trained();
    let with = |click: f64, action: f64| {
        let weights = [("click".to_owned(), click), ("action".to_owned(), action)].into();
        tune_fusion(model, &data.validation, &TuneConfig { weights, ..TuneConfig::default() })
    };
    let (clicks, actions) = (with(1.0, 0.01)?, with(0.01, 1.0)?);
    assert!(clicks.best.metrics["click"] >= actions.best.metrics["click"]);
    assert!(actions.best.metrics["action"] >= clicks.best.metrics["action"]);
    let unwanted = with(1.0, -0.5)?;
    assert!(unwanted.best.fusion.terms()["p_action"] <= 0.0);
    let one = with(1.0, 0.0)?;
    assert_eq!(one.best.fusion.terms().len(), 1);
    assert!(with(0.0, 0.0).is_err());
    let weights = [("clik".to_owned(), 1.0)].into();
    let wrong = TuneConfig { weights, ..TuneConfig::default() };
    let error = tune_fusion(model, &data.validation, &wrong).unwrap_err().to_string();
    assert!(error.contains("did you mean `click`?"), "{error}");
    Ok(())
}
