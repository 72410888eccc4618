//! The trait of architectures and the table of those there are.

use std::fmt::Debug;

use mtl_moe::GateInfo;
use mtl_nn::{GraphBuilder, Scalar, Var};

use crate::{
    ArchitectureConfig, Error, Mmoe, Omoe, Ple, Result, Settings, SharedBottom, SingleTask, Towers,
};

/// What an architecture reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// One x for all tasks.
    Shared,
    /// An x for each task, from embedding tables of its own.
    PerTask,
}

/// The inputs an architecture is built over.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// x, rows × D.
    Shared(Var),
    /// x of each task, in the order of their names, rows × D.
    PerTask(Vec<Var>),
}

impl Inputs {
    /// The input of task `t`.
    pub(crate) fn of(&self, t: usize) -> Var {
        match self {
            Self::Shared(x) => *x,
            Self::PerTask(xs) => xs[t],
        }
    }
}

/// What an architecture gives.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// Each task's logit, rows × 1 (rows × C for a task of C classes), sorted by the tasks' names.
    pub logits: Vec<(String, Var)>,
    /// The gates' weights, for inspection; none without experts.
    pub gates: Vec<GateInfo>,
    /// The last layer that the tasks share (a bottom's or the mixtures' outputs), if there is one.
    pub representations: Vec<Var>,
}

/// Features to logits: x (rows × D) → one logit a task (rows × 1), or as many as
/// [`ArchitectureConfig::n_logits`] says.
///
/// A new architecture is one file with an implementation and one line in the table of
/// [`architecture`].
pub trait Architecture<S: Scalar>: Debug {
    /// What it reads.
    fn input_kind(&self) -> InputKind {
        InputKind::Shared
    }

    /// Adds it to a graph, for the tasks of its settings.
    ///
    /// # Errors
    /// Experts of one gate that differ in width, or an error of the graph.
    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built>;
}

type Make<S> = fn(Settings) -> Box<dyn Architecture<S>>;

/// The names that [`architecture`] knows.
pub const NAMES: [&str; 7] =
    ["single_task", "shared_bottom", "omoe", "mmoe", "cgc", "ple", "towers"];

/// The architecture of that name, for these tasks, in any order.
///
/// # Errors
/// [`Error::UnknownArchitecture`], or what [`ArchitectureConfig::check`] finds.
///
/// ```
/// use mtl_arch::{ArchitectureConfig, Inputs, architecture};
/// use mtl_nn::GraphBuilder;
///
/// let mut b = GraphBuilder::<f32>::new();
/// let x = b.values("x", 32)?;
/// let x = b.read(x)?;
/// let mmoe = architecture("mmoe", &ArchitectureConfig::default(), &["like", "click"])?;
/// let built = mmoe.build(&mut b, &Inputs::Shared(x))?;
/// assert_eq!(built.logits[0].0, "click");
/// # Ok::<(), mtl_arch::Error>(())
/// ```
pub fn architecture<S: Scalar>(
    name: &str,
    config: &ArchitectureConfig,
    tasks: &[impl AsRef<str>],
) -> Result<Box<dyn Architecture<S>>> {
    let make: Make<S> = match name {
        "single_task" => |s| Box::new(SingleTask::new(s)),
        "shared_bottom" => |s| Box::new(SharedBottom::new(s)),
        "omoe" => |s| Box::new(Omoe::new(s)),
        "mmoe" => |s| Box::new(Mmoe::new(s)),
        "cgc" | "ple" => |s| Box::new(Ple::new(s)),
        "towers" => |s| Box::new(Towers::new(s)),
        _ => {
            let known = NAMES.to_vec();
            return Err(Error::UnknownArchitecture { name: name.to_owned(), known });
        }
    };
    let mut config = config.clone();
    match name {
        // CGC is PLE of one level; PLE without a number of levels has the paper's two.
        "cgc" => config.levels = Some(1),
        "ple" => config.levels = config.levels.or(Some(2)),
        // One table serves a comparison of all: what is PLE's alone is not read here.
        _ => (config.levels, config.task_experts, config.shared_experts) = (None, None, None),
    }
    Ok(make(config.check(tasks)?))
}
