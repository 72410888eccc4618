//! Cross-Stitch: a network for each task, and mixtures of their layers.

use mtl_nn::layers::{Stack, StackLayer, build_layer};
use mtl_nn::{GraphBuilder, Init, Role, Scalar, Var};

use crate::ops::Stitch;
use crate::{Architecture, Built, Inputs, Result, Settings};

/// A bottom and a tower for each task; after each hidden layer of both h_t ← Σ_s A_ts·h_s, with A
/// a matrix of that layer which starts at 0.9 on and 0.1/(T − 1) off its diagonal.
///
/// Misra et al., CVPR 2016, eq. 1. The bottom's last layer is stitched too, the logit is not. A
/// mixture does not decay towards 0: L2 leaves A alone. Parameters `task.<t>.bottom.<layer>`,
/// `task.<t>.tower.<layer>`, `stitch.bottom.<layer>` and `stitch.tower.<layer>` (T × T, tasks by
/// name).
#[derive(Clone, Debug)]
pub struct CrossStitch {
    settings: Settings,
}

/// What a task's layer keeps of itself at the start.
const OWN_SHARE: f64 = 0.9;

impl CrossStitch {
    /// With these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// One part of every task's network, its first `n_stitched` layers stitched.
    fn part<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        part: &str,
        layers: impl Fn(usize) -> Vec<StackLayer>,
        n_stitched: usize,
        at: &mut [Var],
    ) -> Result<()> {
        let stack = |(t, (task, &input)): (usize, (&String, &Var))| Stack {
            path: format!("task.{task}.{part}"),
            input,
            layers: layers(t),
        };
        let tasks = self.settings.tasks.iter().zip(&*at).enumerate();
        let stacks: Vec<Stack> = tasks.map(stack).collect();
        for i in 0..stacks[0].layers.len() {
            build_layer(b, &format!("{part}s"), i, &stacks, at)?;
            if i < n_stitched {
                stitch(b, &format!("stitch.{part}.{i}"), at)?;
            }
        }
        Ok(())
    }
}

impl<S: Scalar> Architecture<S> for CrossStitch {
    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built> {
        let tasks = &self.settings.tasks;
        let mut at: Vec<Var> = (0..tasks.len()).map(|t| inputs.of(t)).collect();
        let s = &self.settings;
        self.part(b, "bottom", |_| s.bottom(), s.units.bottom.len(), &mut at)?;
        let representations = at.clone();
        self.part(b, "tower", |t| s.tower(t), s.units.tower.len(), &mut at)?;
        let logits = tasks.iter().cloned().zip(at).collect();
        Ok(Built { logits, representations, ..Built::default() })
    }
}

fn stitch<S: Scalar>(b: &mut GraphBuilder<S>, path: &str, at: &mut [Var]) -> Result<()> {
    let (n, d) = (at.len(), at[0].n_cols());
    // One task alone has nobody to give the rest to.
    let (on, off) = match n {
        1 => (1.0, 0.0),
        _ => (OWN_SHARE, (1.0 - OWN_SHARE) / (n - 1) as f64),
    };
    let a = b.param(path, (n, n), Role::Bias, Init::Diagonal { on, off })?;
    let h = b.push(path, Stitch::new(at.to_vec(), a))?;
    at.iter_mut().enumerate().for_each(|(t, at)| *at = h.columns(t * d, d));
    Ok(())
}
