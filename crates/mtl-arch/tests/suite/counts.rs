//! Parameter counts against the sums done by hand in `tests/golden/README.md`.

use mtl_arch::{ArchitectureConfig, InputKind, Inputs, Preset, architecture};
use mtl_nn::ops::Domains;
use mtl_nn::{GraphBuilder, Scalar};

use crate::model::{DOMAINS, Failure, sequenced};

/// Trainable numbers over 480 inputs at the default widths, for three tasks, tables left out.
fn count<S: Scalar>(name: &str, config: &ArchitectureConfig) -> Result<usize, Failure> {
    let mut b = GraphBuilder::<S>::new();
    let x = b.values("x", 480)?;
    let x = b.read(x)?;
    let tasks = ["buy", "click", "like"];
    let arch = architecture::<S>(name, &sequenced(config, &tasks), &tasks)?;
    let inputs = match arch.input_kind() {
        InputKind::Shared => Inputs::Shared(x),
        InputKind::Domain => {
            Inputs::Domain { x, domains: Domains { slot: b.ids("domain"), n: DOMAINS } }
        }
        InputKind::PerTask => Inputs::PerTask(vec![x; 3]),
    };
    arch.build(&mut b, &inputs)?;
    Ok(b.finish().layout().n_trainable())
}

const STAR: usize = 5 * 119_747 + 5 * 2 * 480 + 3 * (488 * 128 + 128 + 8_256 + 65);

#[test]
fn default_widths_have_the_numbers_of_parameters_counted_by_hand() -> Result<(), Failure> {
    for (name, levels, tutorial, paper) in [
        ("single_task", None, 259_395, 259_395),
        ("shared_bottom", None, 119_747, 119_747),
        ("omoe", None, 399_299, 331_143),
        ("mmoe", None, 539_459, 334_991),
        ("cgc", None, 1_238_083, 1_036_117),
        ("ple", Some(1), 1_238_083, 1_036_117),
        ("ple", Some(2), 1_591_747, 1_276_085),
        ("ple", None, 1_591_747, 1_276_085),
        // Stack from 480: 69,824, without its bottom.
        ("towers", None, 3 * (69_824 + 65), 3 * (69_824 + 65)),
        // Single-Task, and a matrix of 3 × 3 after two layers of bottoms and two of towers.
        ("cross_stitch", None, 259_395 + 4 * 9, 259_395 + 4 * 9),
        // Single-Task, and for two tasks a layer 64 → 64 and three matrices of 64 × 64.
        ("aitm", None, 259_395 + 2 * (4_160 + 3 * 4_096), 259_395 + 2 * (4_160 + 3 * 4_096)),
        // Of 5 domains one is the unseen: everything of Shared-Bottom five times, γ and β likewise,
        // and for each task a stack from 480 + 8 and its logit.
        ("star", None, STAR, STAR),
    ] {
        for (preset, expected) in [(Preset::Tutorial, tutorial), (Preset::Paper, paper)] {
            let config = ArchitectureConfig { preset, levels, ..ArchitectureConfig::default() };
            assert_eq!(count::<f32>(name, &config)?, expected, "{name} {levels:?} {preset:?}");
            assert_eq!(count::<f64>(name, &config)?, expected, "{name} {levels:?} {preset:?}");
        }
    }
    Ok(())
}
