//! Importance by permutation, and metrics by segment, of a model that knows what its labels depend on.

use mtl_data::Shuffle;
use mtl_eval::{BinaryRows, Segment, auc};
use mtl_feature::{
    Chunk, FeatureSpec, FeatureTable, LabelSpec, RawColumn, Rows, Schema, SchemaFitter, SchemaSpec,
    Targets,
};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_train::{
    Drop, FeatureImportance, Importance, ImportanceConfig, Scored, Silent, TrainConfig, evaluate,
    evaluate_by, fit, importance,
};

type Failure = Box<dyn std::error::Error>;

/// Rows whose click is said by the shade, mostly, whose price by the size, and nothing by the noise.
/// `size` and `its_bucket` read one column; users are groups, and have one shade each.
fn data() -> Result<(Schema, FeatureTable), Failure> {
    let features = vec![
        FeatureSpec::categorical("shade"),
        FeatureSpec::categorical("noise"),
        FeatureSpec::numeric("size").with_missing_indicator(),
        FeatureSpec::numeric("its_bucket").column("size").quantiles(3),
    ];
    let n = 1_500;
    let shade = |i: usize| i % 30 % 3;
    let size = |i: usize| (i * 7 % 11) as f64;
    let text = |f: &dyn Fn(usize) -> String| {
        let texts: Vec<String> = (0..n).map(f).collect();
        RawColumn::text(texts.iter().map(String::as_str))
    };
    let click = |i: usize| u8::from((i * 31 % 100) < [10, 50, 90][shade(i)]);
    let columns = vec![
        ("user".to_owned(), text(&|i| (i % 30).to_string())),
        ("shade".to_owned(), text(&|i| shade(i).to_string())),
        ("noise".to_owned(), text(&|i| (i * i % 17 % 5).to_string())),
        ("size".to_owned(), text(&|i| size(i).to_string())),
        ("click".to_owned(), text(&|i| click(i).to_string())),
        ("price".to_owned(), text(&|i| (size(i) / 5.0).to_string())),
    ];
    let rows = Chunk::new(n, Rows::From(1), columns)?;
    let spec = SchemaSpec::new(features, spec()?.labels()?).group("user");
    let mut fitter = SchemaFitter::new(spec)?;
    fitter.observe(&rows)?;
    let schema = fitter.finish()?;
    let table = schema.encode(&rows, Targets::Required)?;
    Ok((schema, table))
}

fn spec() -> Result<ModelSpec, Failure> {
    let mut model = ModelConfig::new("shared_bottom");
    model.architecture.bottom_units = Some(vec![16]);
    model.architecture.tower_units = Some(vec![8]);
    let price = TaskConfig::from_label(&LabelSpec::regression("price"));
    Ok(ModelSpec::new(model, vec![TaskConfig::binary("click"), price], None)?)
}

fn trained() -> Result<(Model, FeatureTable), Failure> {
    let (schema, table) = data()?;
    let mut model = Model::new(spec()?, schema, 1)?;
    let learning_rate = Some(0.01);
    let config = TrainConfig { epochs: 15, batch_size: 64, learning_rate, ..Default::default() };
    fit(&mut model, (&table, &table.select(&[])), &config, None, &mut Silent)?;
    Ok((model, table))
}

fn found<'a>(importance: &'a Importance, name: &str) -> Result<&'a FeatureImportance, Failure> {
    Ok(importance.features.iter().find(|feature| feature.name == name).ok_or("no such feature")?)
}

fn drop<'a>(feature: &'a FeatureImportance, task: &str) -> Result<&'a Drop, Failure> {
    Ok(feature.drops.iter().find(|drop| drop.task == task).ok_or("no such task")?)
}

#[test]
fn what_a_label_depends_on_is_what_the_model_loses() -> Result<(), Failure> {
    let (model, table) = trained()?;
    let before = table.clone();
    let mut told = Vec::new();
    let config = ImportanceConfig { repeats: 4, ..Default::default() };
    let importance = importance(&model, &table, &config, &mut |done, total| {
        told.push((done, total));
    })?;
    assert_eq!(told, (1..=12).map(|i| (i, 12)).collect::<Vec<_>>());
    assert_eq!(table, before);
    let metrics: Vec<_> = importance.baseline.iter().map(|b| (b.task.as_str(), b.metric)).collect();
    assert_eq!(metrics, [("click", "auc"), ("price", "rmse"), ("macro", "auc")]);
    let names: Vec<&str> = importance.features.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names[0], "shade", "the macro AUC is that of the click: {names:?}");

    let shade = found(&importance, "shade")?;
    let auc = importance.baseline[0].measured.value().ok_or("defined")?;
    let of_click = drop(shade, "click")?.mean.ok_or("defined")?;
    assert!((auc - 0.5 - of_click).abs() < 0.05, "all of {auc} but a half: {of_click}");
    assert_eq!(drop(shade, "click")?.mean, drop(shade, "macro")?.mean);
    // Both features of the column, so that neither tells what the other forgot.
    let size = found(&importance, "size")?;
    assert_eq!(size.features, ["its_bucket", "size"]);
    assert!(drop(size, "price")?.mean > Some(0.3), "{size:?}");
    let noise = found(&importance, "noise")?;
    for task in ["click", "price"] {
        assert!(drop(noise, task)?.mean.ok_or("defined")?.abs() < 0.02, "{noise:?}");
    }
    Ok(())
}

#[test]
fn a_drop_is_what_the_definition_says() -> Result<(), Failure> {
    let (model, table) = trained()?;
    let config = ImportanceConfig { repeats: 3, seed: 9, within_groups: false };
    let importance = importance(&model, &table, &config, &mut |_, _| {})?;
    let labels = table.label_of("click").ok_or("a label")?;
    let of = |table: &FeatureTable| -> Result<f64, Failure> {
        let predicted = model.predict(table)?.column("p_click").ok_or("an output")?.to_vec();
        Ok(auc(&BinaryRows::new(labels, &predicted)?).value().ok_or("both classes")?)
    };
    let whole = of(&table)?;
    let mut drops = Vec::new();
    for repeat in 0..3 {
        let shuffle = Shuffle::new(table.n_rows(), 9, repeat);
        let shades = table.select(shuffle.order());
        let shades = shades.ids_of("shade").ok_or("ids")?;
        let mut other = FeatureTable::new(table.n_rows());
        for (name, ids) in table.ids() {
            other = other.with_ids(name, if name == "shade" { shades } else { ids }.to_vec())?;
        }
        for (name, values) in table.values() {
            other = other.with_values(name, values.clone())?;
        }
        drops.push(whole - of(&other)?);
    }
    let mean = drops.iter().sum::<f64>() / 3.0;
    let variance = drops.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 2.0;
    let found = drop(found(&importance, "shade")?, "click")?;
    assert!((found.mean.ok_or("defined")? - mean).abs() < 1e-12);
    assert!((found.standard_error.ok_or("three")? - (variance / 3.0).sqrt()).abs() < 1e-12);
    Ok(())
}

#[test]
fn what_is_the_same_in_a_group_says_nothing_within_it() -> Result<(), Failure> {
    let (model, table) = trained()?;
    let config = ImportanceConfig { repeats: 1, within_groups: true, ..Default::default() };
    let within = importance(&model, &table, &config, &mut |_, _| {})?;
    let shade = drop(found(&within, "shade")?, "click")?;
    assert_eq!((shade.mean, shade.standard_error), (Some(0.0), None));
    assert!(drop(found(&within, "size")?, "price")?.mean > Some(0.3));

    let none = table.select(&[]);
    for (table, config, expected) in [
        (&none, ImportanceConfig::default(), "there are no rows"),
        (&table, ImportanceConfig { repeats: 0, ..config }, "`repeats` is 0, expected at least 1"),
    ] {
        let error = importance(&model, table, &config, &mut |_, _| {}).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    Ok(())
}

#[test]
fn a_segment_is_measured_as_its_rows_alone_are() -> Result<(), Failure> {
    let (model, table) = trained()?;
    let (low, high) = (0..table.n_rows() as u32).partition(|row| row % 3 == 0);
    let segment = |name: &str, rows| Segment { name: name.to_owned(), rows };
    let segments = [segment("low", low), segment("high", high)];
    let scored = Scored::of(&model, &table)?;
    let found = evaluate_by(&model, &scored, &segments)?;
    assert_eq!(found[1].segment, "high");
    assert_eq!(found[1].evaluation, evaluate(&model, &table.select(&segments[1].rows))?);
    let rows: usize = found.iter().map(|segment| segment.evaluation.rows).sum();
    assert_eq!(rows, table.n_rows());
    let error = evaluate_by(&model, &scored, &segments[..1]).unwrap_err().to_string();
    assert_eq!(error, "the segments have 500 rows and the data 1500, expected as many");
    Ok(())
}
