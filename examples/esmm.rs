//! ESMM beside conversion models trained on clicked rows alone and on all rows, asked about every
//! impression: the truth of a simulated funnel says how far each one is off. It is little data, so
//! the order of the first two means nothing; `docs/funnel.md` derives what to expect.
//!
//! `cargo run --release -p mtl-examples --example esmm [-- ROWS]`

use mtl_data::funnel;
use mtl_esm::{ChainConfig, LabelConfig, Preset};
use mtl_examples::{Anything, rows};
use mtl_model::{Model, ModelConfig, ModelSpec};
use mtl_train::{Scored, Silent, TrainConfig, TruthOf, fit, measure_truth};

fn main() -> Result<(), Anything> {
    let rows = rows(1, 60_000)?;
    let config = funnel::Config { rows, users: 2_000, items: 500, ..Default::default() };
    let data = funnel::load(&config)?;
    let truth = data.truth.as_ref().ok_or("the funnel knows its truth")?;
    let asked = TruthOf::new("pCVR", &["p_purchase_given_click"])
        .if_clicked("p_purchase_if_clicked", "purchase_if_clicked");
    let presets = [
        ("esmm", Preset::Esmm),
        ("naive_cvr", Preset::NaiveCvr),
        ("all_rows_cvr", Preset::AllRowsCvr),
    ];
    for (name, preset) in presets {
        let chain = ChainConfig {
            preset: Some(preset),
            labels: [("conversion".to_owned(), LabelConfig::One("purchase".to_owned()))].into(),
            ..ChainConfig::default()
        };
        // Any architecture may give the logits; `towers` shares the embeddings alone, as published.
        let spec = ModelSpec::new(ModelConfig::new("towers"), vec![], Some(chain))?;
        let mut model = Model::new(spec, data.schema.clone(), 1)?;
        let monitor = Some("loss".to_owned());
        let train = TrainConfig { epochs: 3, monitor, ..TrainConfig::default() };
        fit(&mut model, (&data.train, &data.validation), &train, None, &mut Silent)?;
        let scored = Scored::of(&model, &data.test)?;
        for found in measure_truth(&model, &scored, &truth.test, std::slice::from_ref(&asked))? {
            let auc = found.auc_entire.and_then(|auc| auc.value()).unwrap_or(f64::NAN);
            println!(
                "{name:12} pCVR over all impressions: auc {auc:.4}, log-odds off by {:.3}, \
                 mean {:.2} × the true one",
                found.log_odds_rmse.unwrap_or(f64::NAN),
                found.ratio.unwrap_or(f64::NAN)
            );
        }
    }
    Ok(())
}
