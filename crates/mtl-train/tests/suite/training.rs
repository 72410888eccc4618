//! The training loop on a small funnel: what must not change a result, and what it keeps.

use mtl_data::{Dataset, funnel};
use mtl_esm::{ChainConfig, LabelConfig, Nesting, Preset};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_nn::kernel::Precision;
use mtl_train::{
    Compared, Contender, EpochRecord, MissingRuns, Observer, Silent, TrainConfig, TrainingState,
    TruthOf, compare, evaluate, fit,
};

use crate::after::After;

type Failure = Box<dyn std::error::Error>;

fn data() -> Result<Dataset, Failure> {
    Ok(funnel::load(&funnel::Config { rows: 6_000, users: 150, items: 60, ..Default::default() })?)
}

fn spec(name: &str, tasks: &[&str]) -> Result<ModelSpec, Failure> {
    let names = tasks;
    let tasks = tasks.iter().map(|task| TaskConfig::binary(*task)).collect();
    let mut model = ModelConfig::new(name);
    model.architecture.expert_units = Some(vec![12, 6]);
    model.architecture.bottom_units = Some(vec![12, 6]);
    model.architecture.gate_units = Some(vec![5]);
    model.architecture.tower_units = Some(vec![6]);
    model.domain = Some("position".to_owned());
    let events = ["click", "action", "purchase"].into_iter().filter(|task| names.contains(task));
    model.architecture.sequence = Some(events.map(str::to_owned).collect());
    Ok(ModelSpec::new(model, tasks, None)?)
}

fn config(epochs: usize) -> TrainConfig {
    TrainConfig { epochs, batch_size: 700, seed: 3, ..TrainConfig::default() }
}

fn trained(spec: ModelSpec, data: &Dataset, config: &TrainConfig) -> Result<Model, Failure> {
    let mut model = Model::new(spec, data.schema.clone(), config.seed)?;
    fit(&mut model, (&data.train, &data.validation), config, None, &mut Silent)?;
    Ok(model)
}

fn assert_same(one: &Model, other: &Model) -> Result<(), Failure> {
    for path in one.graph().layout().paths() {
        assert_eq!(one.params.get(path)?, other.params.get(path)?, "{path}");
    }
    Ok(())
}

#[test]
fn the_number_of_threads_changes_no_bit() -> Result<(), Failure> {
    let data = data()?;
    let run = |threads: usize| -> Model {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let spec = spec("mmoe", &["click", "purchase"]).expect("a right specification");
        let pool = pool.expect("a small pool");
        pool.install(|| trained(spec, &data, &config(2)).expect("training works"))
    };
    let one = run(1);
    for threads in [2, 3] {
        assert_same(&one, &run(threads))?;
    }
    Ok(())
}

#[test]
fn bf16_trains_another_model_that_predicts_alike() -> Result<(), Failure> {
    let data = data()?;
    for name in ["shared_bottom", "mmoe", "ple"] {
        let run = |precision| -> Result<_, Failure> {
            let config = TrainConfig { precision, ..config(3) };
            let model = trained(spec(name, &["click", "purchase"])?, &data, &config)?;
            Ok(model.predict(&data.test)?.values().iter().copied().collect::<Vec<f32>>())
        };
        let (exact, rounded) = (run(Precision::F32)?, run(Precision::Bf16)?);
        let apart = exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs());
        let mean = apart.sum::<f32>() / exact.len() as f32;
        // Two seeds are about 0.02 apart.
        assert!(mean > 0.0 && mean < 5e-3, "{name}: {mean}");
    }
    Ok(())
}

#[test]
fn the_order_of_tasks_changes_no_bit() -> Result<(), Failure> {
    let data = data()?;
    for name in mtl_arch::NAMES {
        let one = trained(spec(name, &["click", "action", "purchase"])?, &data, &config(1))?;
        let other = trained(spec(name, &["purchase", "click", "action"])?, &data, &config(1))?;
        assert_same(&one, &other)?;
        let (p, q) = (one.predict(&data.test)?, other.predict(&data.test)?);
        assert_eq!(p.names(), q.names());
        assert_eq!(p.values(), q.values(), "{name}");
    }
    Ok(())
}

#[test]
fn a_resumed_run_ends_where_an_uninterrupted_one_does() -> Result<(), Failure> {
    let data = data()?;
    let tables = (&data.train, &data.validation);
    let spec = spec("ple", &["click", "purchase"])?;
    let mut whole = Model::new(spec.clone(), data.schema.clone(), 3)?;
    let expected = fit(&mut whole, tables, &config(4), None, &mut Silent)?;

    let mut first = Model::new(spec.clone(), data.schema.clone(), 3)?;
    let state = fit(&mut first, tables, &config(2), None, &mut Silent)?.state()?;
    let state = TrainingState::from_bytes(&state.to_bytes()?, "state")?;
    let mut resumed = Model::new(spec, data.schema.clone(), 99)?;
    state.check(&resumed, &config(4))?;
    let found = fit(&mut resumed, tables, &config(4), Some(&state), &mut Silent)?;
    assert_same(&whole, &resumed)?;
    assert_eq!(found.history.best_epoch, expected.history.best_epoch);
    let monitored = |records: &[EpochRecord]| -> Vec<Option<f64>> {
        records.iter().map(|record| record.monitored).collect()
    };
    assert_eq!(monitored(&found.history.epochs), monitored(&expected.history.epochs));

    let other = TrainConfig { batch_size: 9, ..config(4) };
    let error = state.check(&resumed, &other).unwrap_err();
    assert_eq!(error.to_string(), "state: `batch_size` was 700, and is 9 now");
    let (was, is) = (data.train.n_rows(), data.test.n_rows());
    let tables = (&data.test, &data.validation);
    let error = fit(&mut resumed, tables, &config(4), Some(&state), &mut Silent).unwrap_err();
    assert_eq!(error.to_string(), format!("state: the training rows were {was}, and are {is} now"));
    Ok(())
}

/// Notes what the loop says.
#[derive(Default)]
struct Notes(Vec<String>, Vec<bool>);

impl Observer for Notes {
    fn note(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    fn epoch_done(&mut self, _: &EpochRecord, is_best: bool) {
        self.1.push(is_best);
    }
}

#[test]
fn the_best_epoch_is_kept_and_patience_runs_out() -> Result<(), Failure> {
    let data = data()?;
    let mut config = TrainConfig { patience: Some(2), ..config(40) };
    config.learning_rate = Some(0.03); // fits the few users by heart soon
    config.monitor = Some("log_loss_click".to_owned());
    let spec = spec("shared_bottom", &["click"])?;
    let mut model = Model::new(spec, data.schema.clone(), 3)?;
    let mut notes = Notes::default();
    let tables = (&data.train, &data.validation);
    let history = fit(&mut model, tables, &config, None, &mut notes)?.history;
    assert!(history.stopped_early, "{history:?}");
    let best = history.best_epoch.expect("a loss is defined");
    assert_eq!(history.epochs.len(), best + 2);
    assert_eq!(notes.1.iter().rposition(|&is_best| is_best), Some(best - 1));
    let found = evaluate(&model, &data.validation)?;
    let loss = found.task("click").and_then(|t| t.binary()?.log_loss.value());
    assert_eq!(loss, history.best);
    Ok(())
}

#[test]
fn a_missing_label_trains_nothing_and_counts_nowhere() -> Result<(), Failure> {
    let data = data()?;
    // `purchase_given_click` is missing wherever there is no click.
    let labels = data.test.label_of("purchase_given_click").expect("the funnel has it");
    let known = labels.iter().filter(|y| !y.is_nan()).count();
    let model = trained(spec("mmoe", &["click", "purchase_given_click"])?, &data, &config(1))?;
    let found = evaluate(&model, &data.test)?;
    let report = found.task("purchase_given_click").and_then(|t| t.binary()).expect("binary");
    assert_eq!((report.rows, report.missing), (known, labels.len() - known));
    assert!(known > 30 && known < labels.len() / 2);
    Ok(())
}

fn esmm(nesting: Option<Nesting>, click: &str) -> Result<ModelSpec, Failure> {
    let label = |column: &str| LabelConfig::One(column.to_owned());
    let labels = [("click", click), ("conversion", "purchase")];
    let chain = ChainConfig {
        preset: Some(Preset::Esmm),
        nesting,
        labels: labels.map(|(event, column)| (event.to_owned(), label(column))).into(),
        ..ChainConfig::default()
    };
    Ok(ModelSpec::new(ModelConfig::new("towers"), Vec::new(), Some(chain))?)
}

#[test]
fn labels_that_contradict_the_chain_are_counted_or_refused() -> Result<(), Failure> {
    let data = data()?;
    let tables = (&data.train, &data.validation);
    // The action stands in for the click, so that purchases without it contradict the chain.
    let mut model = Model::new(esmm(None, "action")?, data.schema.clone(), 1)?;
    let mut notes = Notes::default();
    fit(&mut model, tables, &config(1), None, &mut notes)?;
    assert!(notes.0[0].ends_with(
        "training rows have `conversion` without `click` and count as not `conversion`"
    ));
    let mut model = Model::new(esmm(Some(Nesting::Error), "action")?, data.schema.clone(), 1)?;
    let error = fit(&mut model, tables, &config(1), None, &mut Silent).unwrap_err().to_string();
    assert!(error.starts_with("[chain] labels: ") && error.contains("without `click`"), "{error}");
    Ok(())
}

#[test]
fn chains_are_compared_by_their_outputs_and_against_the_truth() -> Result<(), Failure> {
    let data = data()?;
    let contender = |name: &str, spec| Contender { name: name.to_owned(), spec, train: config(1) };
    let contenders = [
        contender("single_task", spec("single_task", &["click", "purchase"])?),
        contender("esmm", esmm(None, "click")?),
    ];
    let truths = [
        TruthOf::new("pCTR", &["p_click"]),
        TruthOf::new("pCTCVR", &["p_click", "p_purchase_given_click"]),
        TruthOf::new("pCVR", &["p_purchase_given_click"])
            .if_clicked("p_purchase_if_clicked", "purchase_if_clicked"),
    ];
    let compared = Compared { name: "funnel", dataset: &data, truths: &truths };
    let results = compare(compared, &contenders, &[1, 2], |_, _| Box::new(Silent))?;
    assert_eq!(results.tasks, ["click", "purchase", "pCTR", "pCTCVR", "pCVR"]);
    let esmm = &results.models[1];
    assert_eq!(esmm.seeds, [1, 2]);
    let spread = &esmm.test["log_odds_rmse"]["pCVR"];
    assert!(spread.mean.is_some_and(|m| m > 0.0 && m < 5.0) && spread.sd.is_some(), "{spread:?}");
    assert!(esmm.test["auc_entire"]["pCVR"].mean.is_some());
    assert!(esmm.test["log_odds_rmse_if_clicked"]["pCVR"].mean.is_some());
    assert!(!esmm.test["log_odds_rmse_if_clicked"].contains_key("pCTR"));
    assert!(results.models[0].test["gauc"].contains_key("macro"));

    // The truth's own row: no error, calibrated but for the sample, better than any model.
    let truth = results.truth.as_ref().ok_or("the funnel knows its truth")?;
    let of = |metric: &str, task: &str| truth[metric][task].mean.unwrap_or(f64::NAN);
    assert_eq!(of("log_odds_rmse", "pCVR"), 0.0);
    assert!((of("pcoc", "pCTR") - 1.0).abs() < 0.2, "{}", of("pcoc", "pCTR"));
    assert!(of("auc", "pCTR") > esmm.test["auc"]["pCTR"].mean.unwrap_or(1.0));
    let (_, rows) = &results.tables(100)[0];
    assert_eq!(rows[2][0], "(truth)");
    Ok(())
}

/// A run that is interrupted is none, and what ended before it is as if nothing had come between.
#[test]
fn an_interrupted_comparison_has_the_runs_that_are_done() -> Result<(), Failure> {
    let data = data()?;
    let contender = |name: &str| -> Result<Contender, Failure> {
        let spec = spec(name, &["click", "purchase"])?;
        Ok(Contender { name: name.to_owned(), spec, train: config(1) })
    };
    let contenders = [contender("single_task")?, contender("mmoe")?];
    let compared = || Compared { name: "funnel", dataset: &data, truths: &[] };
    let missing =
        |model: &str, seeds: &[u64]| MissingRuns { model: model.to_owned(), seeds: seeds.to_vec() };
    let whole = compare(compared(), &contenders, &[1, 2], |_, _| Box::new(Silent))?;
    assert!(whole.interrupted.is_empty());
    // After its second step, and before its first.
    for steps in [2, 0] {
        let results = compare(compared(), &contenders, &[1, 2], |name, seed| match (name, seed) {
            ("mmoe", 2) => Box::new(After(steps)),
            _ => Box::new(Silent),
        })?;
        assert_eq!(results.interrupted, [missing("mmoe", &[2])]);
        let seeds: Vec<_> = results.models.iter().map(|model| &model.seeds[..]).collect();
        assert_eq!(seeds, [&[1, 2][..], &[1]]);
        assert_eq!(results.models[0].test, whole.models[0].test);
        assert!(results.models[1].delta_auc.is_none(), "one seed is paired with none");
    }
    let none = compare(compared(), &contenders, &[1, 2], |_, _| Box::new(After(1)))?;
    assert!(none.models.is_empty() && none.tables(10).is_empty() && none.parts.is_empty());
    assert_eq!(none.interrupted, [missing("single_task", &[1, 2]), missing("mmoe", &[1, 2])]);
    Ok(())
}
