//! `mtl-model` alone: features and tasks by name into a model that predicts, is saved and loaded.
//!
//! `cargo run --release -p mtl-examples --example model`

use mtl_examples::Anything;
use mtl_feature::{Chunk, FeatureSpec, RawColumn, Rows, SchemaFitter, SchemaSpec, Targets};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};

fn main() -> Result<(), Anything> {
    let rows = Chunk::new(
        3,
        Rows::From(1),
        vec![
            ("user".into(), RawColumn::text(["ann", "bob", "ann"])),
            ("price".into(), RawColumn::text(["9.5", "3", "20"])),
            ("click".into(), RawColumn::text(["1", "0", "1"])),
            ("buy".into(), RawColumn::text(["1", "0", "0"])),
        ],
    )?;
    let tasks = vec![TaskConfig::binary("click"), TaskConfig::binary("buy")];
    let spec = ModelSpec::new(ModelConfig::new("mmoe"), tasks, None)?;
    let features = vec![FeatureSpec::categorical("user"), FeatureSpec::numeric("price")];
    let mut fitter = SchemaFitter::new(SchemaSpec::new(features, spec.labels()?))?;
    fitter.observe(&rows)?;
    let model = Model::new(spec, fitter.finish()?, 42)?; // to be trained by `mtl-train`

    let folder = std::env::temp_dir().join(format!("mtl-example-{}", std::process::id()));
    model.save(&folder, &[])?;
    let loaded = Model::load(&folder)?;
    std::fs::remove_dir_all(&folder)?;

    let table = loaded.schema().encode(&rows, Targets::Ignored)?;
    let p = loaded.predict(&table)?;
    println!("{} parameters, outputs {:?}", loaded.n_parameters(), p.names());
    println!("{:.3}", p.values());
    Ok(())
}
