//! Calibration of a trained model: what it repairs, what it leaves alone, how it is kept.

use mtl_calibrate::Method;
use mtl_data::{Dataset, funnel};
use mtl_esm::{ChainConfig, LabelConfig, Preset};
use mtl_feature::FeatureTable;
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_train::{CalibrationConfig, Sampled, Silent, TrainConfig, calibrate, evaluate, fit};

type Failure = Box<dyn std::error::Error>;

fn data() -> Result<Dataset, Failure> {
    Ok(funnel::load(&funnel::Config { rows: 12_000, users: 150, items: 60, ..Default::default() })?)
}

fn trained(tasks: &[&str], chain: Option<ChainConfig>, data: &Dataset) -> Result<Model, Failure> {
    let tasks = tasks.iter().map(|task| TaskConfig::binary(*task)).collect();
    let mut model = ModelConfig::new("shared_bottom");
    model.architecture.bottom_units = Some(vec![12, 6]);
    model.architecture.tower_units = Some(vec![6]);
    let mut model = Model::new(ModelSpec::new(model, tasks, chain)?, data.schema.clone(), 3)?;
    let config = TrainConfig { epochs: 4, batch_size: 256, ..TrainConfig::default() };
    fit(&mut model, (&data.train, &data.validation), &config, None, &mut Silent)?;
    Ok(model)
}

fn with(method: Method) -> CalibrationConfig {
    CalibrationConfig { method, ..CalibrationConfig::default() }
}

fn pcoc(model: &Model, table: &FeatureTable, task: &str) -> Result<f64, Failure> {
    let evaluation = evaluate(model, table)?;
    let report = evaluation.task(task).and_then(|t| t.binary()).ok_or("no such task")?;
    Ok(report.pcoc.value().ok_or("undefined")?)
}

/// Every `keep`-th negative of a task, and all its positives.
fn sampled(table: &FeatureTable, task: &str, keep: usize) -> Result<FeatureTable, Failure> {
    let labels = table.label_of(task).ok_or("no such label")?;
    let mut negatives = 0;
    let kept = |row: &u32| {
        negatives += usize::from(labels[*row as usize] == 0.0);
        labels[*row as usize] == 1.0 || negatives % keep == 0
    };
    let rows: Vec<u32> = (0..table.n_rows() as u32).filter(kept).collect();
    Ok(table.select(&rows))
}

#[test]
fn both_methods_bring_pcoc_to_one_on_their_rows_and_are_saved() -> Result<(), Failure> {
    let data = data()?;
    let mut model = trained(&["click", "action"], None, &data)?;
    let raw = model.predict(&data.test)?;
    for method in [Method::Platt, Method::Isotonic] {
        let done = calibrate(&mut model, &data.validation, &with(method), Sampled::AsTrained)?;
        assert_eq!(done.len(), 2);
        for output in &done {
            let (before, after) = (output.before.as_ref(), output.after.as_ref());
            let (before, after) = before.zip(after).ok_or("measured")?;
            assert!(after.log_loss.value() <= before.log_loss.value(), "{output:?}");
            let pcoc = pcoc(&model, &data.validation, &output.task)?;
            assert!((pcoc - 1.0).abs() < 0.01, "{method:?} {pcoc}");
        }
        let calibrated = model.predict(&data.test)?;
        assert_ne!(calibrated.values(), raw.values());
        assert_eq!(model.predict_uncalibrated(&data.test)?.values(), raw.values());
        let home = tempfile::tempdir()?;
        let folder = home.path().join("m");
        model.save(&folder, &[])?;
        assert_eq!(Model::load(&folder)?.predict(&data.test)?.values(), calibrated.values());
        // The calibration alone can be replaced, and taken away.
        model.set_calibration(Default::default())?;
        model.save_calibration(&folder)?;
        assert_eq!(Model::load(&folder)?.predict(&data.test)?.values(), raw.values());
    }
    Ok(())
}

#[test]
fn platt_scaling_changes_no_order() -> Result<(), Failure> {
    let data = data()?;
    let mut model = trained(&["click"], None, &data)?;
    let auc = |model: &Model| -> Result<_, Failure> { Ok(evaluate(model, &data.test)?.auc_macro) };
    let before = auc(&model)?;
    calibrate(&mut model, &data.validation, &with(Method::Platt), Sampled::AsTrained)?;
    let (before, after) = (before.value().ok_or("a")?, auc(&model)?.value().ok_or("b")?);
    assert!((before - after).abs() < 1e-4, "{before} {after}");
    Ok(())
}

#[test]
fn a_model_of_sampled_negatives_is_right_among_all_rows() -> Result<(), Failure> {
    let mut data = data()?;
    let (whole, test) = (data.validation.clone(), data.test.clone());
    data.train = sampled(&data.train, "click", 4)?;
    data.validation = sampled(&data.validation, "click", 4)?;
    let mut model = trained(&["click"], None, &data)?;
    assert!(pcoc(&model, &test, "click")? > 1.5, "it promises too much");
    for (method, rows, how, slack) in [
        (Method::None, &data.validation, Sampled::AsTrained, 0.25),
        (Method::Platt, &data.validation, Sampled::AsTrained, 0.15),
        (Method::Isotonic, &data.validation, Sampled::AsTrained, 0.15),
        (Method::Platt, &whole, Sampled::Not, 0.15),
    ] {
        let mut config = with(method);
        config.negative_sampling.insert("click".to_owned(), 0.25);
        let done = calibrate(&mut model, rows, &config, how)?;
        let after = pcoc(&model, &test, "click")?;
        assert!((after - 1.0).abs() < slack, "{method:?} {how:?} {after}");
        let before = done[0].before.as_ref().and_then(|b| b.pcoc.value()).ok_or("measured")?;
        assert!(before > 1.5, "negatives that were left out count before: {before}");
    }
    Ok(())
}

#[test]
fn outputs_of_a_chain_are_calibrated_by_name_each_by_itself() -> Result<(), Failure> {
    let data = data()?;
    let label = |name: &str| LabelConfig::One(name.to_owned());
    let chain = ChainConfig {
        preset: Some(Preset::Esmm),
        labels: [
            ("click".to_owned(), label("click")),
            ("conversion".to_owned(), label("purchase")),
        ]
        .into(),
        ..ChainConfig::default()
    };
    let mut model = trained(&[], Some(chain), &data)?;
    let raw = model.predict(&data.test)?;
    let mut config = CalibrationConfig::default();
    config.tasks.insert("pCTR".to_owned(), Method::Platt);
    let done = calibrate(&mut model, &data.validation, &config, Sampled::AsTrained)?;
    assert_eq!(done.len(), 1);
    let calibrated = model.predict(&data.test)?;
    assert_ne!(calibrated.column("pCTR"), raw.column("pCTR"));
    assert_eq!(calibrated.column("pCTCVR"), raw.column("pCTCVR"));
    Ok(())
}

#[test]
fn rows_of_one_class_leave_the_output_as_it_is() -> Result<(), Failure> {
    let data = data()?;
    let mut model = trained(&["click"], None, &data)?;
    let labels = data.validation.label_of("click").ok_or("no such label")?;
    let rows: Vec<u32> =
        (0..data.validation.n_rows() as u32).filter(|&r| labels[r as usize] == 0.0).collect();
    let negatives = data.validation.select(&rows);
    let done = calibrate(&mut model, &negatives, &with(Method::Platt), Sampled::AsTrained)?;
    let reason = done[0].skipped.as_deref().ok_or("skipped")?;
    assert!(reason.starts_with("0 positive and "), "{reason}");
    assert!(model.calibration().is_empty());
    let mut config = with(Method::Platt);
    config.tasks.insert("clik".to_owned(), Method::None);
    let error = calibrate(&mut model, &negatives, &config, Sampled::Not).unwrap_err().to_string();
    assert!(error.contains("`tasks` names `clik`") && error.contains("`click`?"), "{error}");
    Ok(())
}
