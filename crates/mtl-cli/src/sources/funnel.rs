//! The simulated funnel: what the entire-space chains buy, against the truth.

use mtl_arch::ArchitectureConfig;
use mtl_data::funnel::{Config, load};
use mtl_esm::{ChainConfig, LabelConfig, Preset};
use mtl_model::{ModelConfig, ModelSpec};
use mtl_train::{Contender, TrainConfig, TruthOf};

use super::Source;
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

/// Passes over the training rows.
const EPOCHS: usize = 3;

/// Every chain over `towers`, and ESMM over two architectures more; or every chain over those
/// that are named.
pub(crate) fn source(args: &CompareArgs, named: Option<&[String]>) -> anyhow::Result<Source> {
    let mut config = Config {
        selection_strength: args.selection,
        unobserved_share: args.unobserved,
        ..Config::default()
    };
    if let Some(rows) = args.rows {
        config.rows = rows;
    }
    let mut contenders = Vec::new();
    match named {
        Some(names) => {
            for name in names {
                for (chain, preset) in CHAINS {
                    contenders.push(contender(name, chain, preset)?);
                }
            }
        }
        None => {
            for (chain, preset) in CHAINS {
                contenders.push(contender(TOWERS, chain, preset)?);
            }
            for name in ["mmoe", "ple"] {
                contenders.push(contender(name, "esmm", Preset::Esmm)?);
            }
        }
    }
    let truths = vec![
        TruthOf { output: "pCTR", label: None, probability: "p_click" },
        TruthOf {
            output: "pCVR",
            label: Some("purchase_if_clicked"),
            probability: "p_purchase_if_clicked",
        },
    ];
    Ok(Source { dataset: load(&config)?, contenders, truths })
}

fn contender(model: &str, name: &str, preset: Preset) -> anyhow::Result<Contender> {
    let mut chain = ChainConfig { preset: Some(preset), ..ChainConfig::default() };
    if preset != Preset::Esm2 {
        let purchase = LabelConfig::One("purchase".to_owned());
        chain.labels.insert("conversion".to_owned(), purchase);
    }
    let towers = chain.build()?.towers().into_iter().map(str::to_owned).collect();
    let architecture = ArchitectureConfig {
        sequence: Some(towers),
        bottom_units: Some(vec![64, 32]),
        expert_units: Some(vec![32, 16]),
        gate_units: Some(vec![16]),
        tower_units: Some(if model == TOWERS { vec![64, 32] } else { vec![16] }),
        task_experts: Some(mtl_arch::PerLevel::All(mtl_arch::Counts::All(2))),
        ..ArchitectureConfig::default()
    };
    let spec = ModelSpec::new(
        ModelConfig { architecture, ..ModelConfig::new(model) },
        Vec::new(),
        Some(chain),
    )?;
    let name = if model == TOWERS { name.to_owned() } else { format!("{name} {model}") };
    // Both events everywhere: what is chosen by must not depend on which chain is trained.
    let monitor = Some("loss".to_owned());
    Ok(Contender {
        name,
        spec,
        train: TrainConfig { epochs: EPOCHS, monitor, ..TrainConfig::default() },
    })
}
