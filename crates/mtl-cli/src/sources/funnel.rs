//! The simulated funnel: what the entire-space chains buy, against the truth.

use mtl_arch::ArchitectureConfig;
use mtl_data::funnel::{Config, load};
use mtl_esm::{ChainConfig, LabelConfig, Preset};
use mtl_model::{ModelConfig, ModelSpec};
use mtl_nn::{OptimiserConfig, Rule, Schedule};
use mtl_train::{Contender, TrainConfig, TruthOf};

use super::{Models, Source};
use crate::args::CompareArgs;

/// The chains, from the one that a log misleads to those that reckon with it.
const CHAINS: [(&str, Preset); 6] = [
    ("naive_cvr", Preset::NaiveCvr),
    ("all_rows_cvr", Preset::AllRowsCvr),
    ("esmm", Preset::Esmm),
    ("esm2", Preset::Esm2),
    ("escm2_ips", Preset::Escm2Ips),
    ("escm2_dr", Preset::Escm2Dr),
];

/// The tutorial form of a chain shares the embeddings alone.
const TOWERS: &str = "towers";

/// Passes over the training rows: ids are fitted by heart in a third.
const EPOCHS: usize = 2;

/// Every chain over `towers`, and ESMM over two architectures more; or every chain over those
/// that are named.
pub(crate) fn source(args: &CompareArgs, models: &Models) -> anyhow::Result<Source> {
    let mut config = Config {
        selection_strength: args.selection,
        unobserved_share: args.unobserved,
        click_rate: args.click_rate,
        ..Config::default()
    };
    if let Some(rows) = args.rows {
        config.rows = rows;
    }
    let dataset = load(&config)?;
    let train = training(dataset.train.n_rows());
    let mut contenders = Vec::new();
    if *models == Models::Usual {
        for (name, preset) in CHAINS {
            contenders.push(contender(model(TOWERS, preset)?, name, preset, &train)?);
        }
        for name in ["mmoe", "ple"] {
            let preset = Preset::Esmm;
            contenders.push(contender(model(name, preset)?, "esmm", preset, &train)?);
        }
    } else {
        // What an architecture needs it needs under any chain.
        for of_one in models.with(|name| model(name, Preset::Esmm))? {
            for (name, preset) in CHAINS {
                let model = model(&of_one.name, preset)?;
                contenders.push(contender(model, name, preset, &train)?);
            }
        }
    }
    Ok(Source { dataset: dataset.boxed(), contenders, truths: truths(), files: None })
}

/// A chain's pCVR is meant to be what a log can teach, P(purchase | click, x), under whatever
/// losses: none of them has seen a click that was forced.
fn truths() -> Vec<TruthOf> {
    vec![
        TruthOf::new("pCTR", &["p_click"]),
        TruthOf::new("pCTAVR", &["p_click", "p_action_given_click"]),
        TruthOf::new("pCTCVR", &["p_click", "p_purchase_given_click"]),
        TruthOf::new("pCVR", &["p_purchase_given_click"])
            .if_clicked("p_purchase_if_clicked", "purchase_if_clicked"),
    ]
}

/// Probabilities are to be right in the mean, of an event that happens twice in a hundred rows. So
/// the learning rate falls to 0 (at a constant one the mean of pCTCVR wanders by 5 % from step to
/// step), nothing is dropped out, and rows of tables are held back from learning users by heart.
fn training(n_rows: usize) -> TrainConfig {
    let train = TrainConfig { epochs: EPOCHS, ..TrainConfig::default() };
    let steps = (EPOCHS * n_rows.div_ceil(train.batch_size)) as u64;
    let optimiser = OptimiserConfig {
        dense: Rule::adam(5e-3),
        l2_tables: 1e-3,
        schedule: Schedule::Cosine { warmup: 0, steps, floor: 0.0 },
        ..OptimiserConfig::default()
    };
    // Both events everywhere: what is chosen by must not depend on which chain is trained.
    TrainConfig { optimiser: Some(optimiser), monitor: Some("loss".to_owned()), ..train }
}

fn chain(preset: Preset) -> ChainConfig {
    let mut chain = ChainConfig { preset: Some(preset), ..ChainConfig::default() };
    if preset != Preset::Esm2 {
        let purchase = LabelConfig::One("purchase".to_owned());
        chain.labels.insert("conversion".to_owned(), purchase);
    }
    chain
}

/// The architecture of that name, for the towers of a chain.
fn model(name: &str, preset: Preset) -> anyhow::Result<ModelConfig> {
    let towers = chain(preset).build()?.towers().into_iter().map(str::to_owned).collect();
    let architecture = ArchitectureConfig {
        sequence: Some(towers),
        bottom_units: Some(vec![64, 32]),
        expert_units: Some(vec![32, 16]),
        gate_units: Some(vec![16]),
        tower_units: Some(if name == TOWERS { vec![64, 32] } else { vec![16] }),
        dropout: Some(0.0),
        task_experts: Some(mtl_arch::PerLevel::All(mtl_arch::Counts::All(2))),
        ..ArchitectureConfig::default()
    };
    Ok(ModelConfig { architecture, ..ModelConfig::new(name) })
}

fn contender(
    model: ModelConfig,
    name: &str,
    preset: Preset,
    train: &TrainConfig,
) -> anyhow::Result<Contender> {
    let name = match model.name.as_str() {
        TOWERS => name.to_owned(),
        model => format!("{name} {model}"),
    };
    let spec = ModelSpec::new(model, Vec::new(), Some(chain(preset)))?;
    Ok(Contender { name, spec, train: train.clone() })
}
