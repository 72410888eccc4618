//! ESM2, written out as a behaviour graph: click → action or not → purchase, four towers, three
//! losses over all impressions, and MMoE under them in place of separate networks.
//!
//! `cargo run --release -p mtl-examples --example esm2 [-- ROWS]`

use mtl_data::funnel;
use mtl_examples::{Anything, rows};
use mtl_model::{Model, ModelConfig, ModelSpec};
use mtl_train::{Silent, TrainConfig, evaluate, fit};

/// `preset = "esm2"` is the same graph; events one by one are for a funnel of your own.
const CHAIN: &str = r#"
[[event]]
name = "click"
from = "impression"
tower = "y1"
label = "click"
output = "pCTR"

[[event]]
name = "action"
from = "click"
tower = "y2"
label = "action"
output = "pCTAVR"

[[event]]
name = "other_action"
from = "click"
not = "action"

[[event]]
name = "purchase"
paths = [{ from = "action", tower = "y3" }, { from = "other_action", tower = "y4" }]
label = "purchase"
output = "pCTCVR"

[[conditional]]
name = "pCVR"
event = "purchase"
given = "click"
"#;

fn main() -> Result<(), Anything> {
    let rows = rows(1, 60_000)?;
    let config = funnel::Config { rows, users: 2_000, items: 500, ..Default::default() };
    let data = funnel::load(&config)?;
    let settings = "expert_units = [32, 16]\ngate_units = [16]\ntower_units = [16]";
    let config =
        ModelConfig { architecture: toml::from_str(settings)?, ..ModelConfig::new("mmoe") };
    let spec = ModelSpec::new(config, vec![], Some(toml::from_str(CHAIN)?))?;
    let mut model = Model::new(spec, data.schema.clone(), 1)?;
    println!("{}", model.chain().ok_or("there is a chain")?);

    let train = TrainConfig { epochs: 3, ..TrainConfig::default() };
    fit(&mut model, (&data.train, &data.validation), &train, None, &mut Silent)?;
    for task in evaluate(&model, &data.test)?.tasks {
        let report = task.metrics.binary().ok_or("events are binary")?;
        let auc = report.auc.value().unwrap_or(f64::NAN);
        println!("{:6} auc {auc:.4} on {} rows", task.task, report.rows);
    }
    Ok(())
}
