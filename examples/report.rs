//! `mtl-report` alone: a comparison as `report.html`, with its figures, in a folder.
//!
//! `cargo run --release -p mtl-examples --example report -- FOLDER [ROWS]`

use std::path::PathBuf;

use mtl_data::funnel;
use mtl_examples::{Anything, rows};
use mtl_model::{ModelConfig, ModelSpec, TaskConfig};
use mtl_report::FigureFormat;
use mtl_train::{Compared, Contender, Observer, Silent, TrainConfig, compare};

fn main() -> Result<(), Anything> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "report".to_owned()));
    let data = funnel::load(&funnel::Config { rows: rows(2, 20_000)?, ..Default::default() })?;
    let tasks: Vec<_> = data.schema.labels().iter().map(TaskConfig::from_label).collect();
    let mut contenders = Vec::new();
    for name in ["single_task", "shared_bottom", "mmoe"] {
        let architecture =
            toml::from_str("bottom_units = [32]\nexpert_units = [16]\ntower_units = [8]")?;
        let model = ModelConfig { architecture, ..ModelConfig::new(name) };
        let spec = ModelSpec::new(model, tasks.clone(), None)?;
        let train = TrainConfig { epochs: 3, batch_size: 256, ..TrainConfig::default() };
        contenders.push(Contender { name: name.to_owned(), spec, train });
    }
    let compared = Compared { name: "funnel", dataset: &data, truths: &[] };
    let watch = |_: &str, _: u64| Box::new(Silent) as Box<dyn Observer>;
    let results = compare(compared, &contenders, &[1, 2], watch)?;

    let report = mtl_report::compared(&[results])?;
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("report.html"), report.html())?;
    report.write_figures(&folder.join("figures"), FigureFormat::Svg)?;
    println!("{} figures, {}", report.figures().len(), folder.join("report.html").display());
    Ok(())
}
