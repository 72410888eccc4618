//! The trait of architectures and the table of those there are.

use std::fmt::Debug;

use mtl_moe::GateInfo;
use mtl_nn::ops::Domains;
use mtl_nn::{GraphBuilder, Scalar, Var};

use crate::{
    Aitm, ArchitectureConfig, CrossStitch, Error, Mmoe, Omoe, Ple, Result, Settings, SharedBottom,
    SingleTask, Star, Towers,
};

/// What an architecture reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// One x for all tasks.
    Shared,
    /// An x for each task, from embedding tables of its own.
    PerTask,
    /// One x for all tasks, and a column of domains.
    Domain,
}

/// The inputs an architecture is built over.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// x, rows × D.
    Shared(Var),
    /// x of each task, in the order of their names, rows × D.
    PerTask(Vec<Var>),
    /// x, and the domain of each row.
    Domain {
        /// rows × D.
        x: Var,
        /// The column of domains; the architecture gives them a table, which checks the ids.
        domains: Domains,
    },
}

impl Inputs {
    /// The input of task `t`.
    pub(crate) fn of(&self, t: usize) -> Var {
        match self {
            Self::Shared(x) | Self::Domain { x, .. } => *x,
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
    /// What is added to losses of tasks beside their labels' own; none but from AITM.
    pub penalties: Vec<Penalty>,
}

impl Built {
    /// The penalty of a task, if it has one.
    pub fn penalty(&self, task: &str) -> Option<&Penalty> {
        self.penalties.iter().find(|penalty| penalty.task == task)
    }
}

/// A term of a task's loss that no label decides: who makes the task's loss adds it
/// ([`mtl_nn::ops::RowLoss::plus`]), so that it is weighted with it.
#[derive(Clone, Debug)]
pub struct Penalty {
    /// The task whose loss it belongs to.
    pub task: String,
    /// The task whose probability that of `task` should not exceed. The penalty has a meaning
    /// where both are probabilities of events, not conditional ones.
    pub before: String,
    /// Its value for each row, rows × 1.
    pub rows: Var,
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
pub const NAMES: [&str; 10] = [
    "single_task",
    "shared_bottom",
    "omoe",
    "mmoe",
    "cgc",
    "ple",
    "towers",
    "cross_stitch",
    "aitm",
    "star",
];

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
        "cross_stitch" => |s| Box::new(CrossStitch::new(s)),
        "aitm" => |s| Box::new(Aitm::new(s)),
        "star" => |s| Box::new(Star::new(s)),
        _ => {
            let known = NAMES.to_vec();
            return Err(Error::UnknownArchitecture { name: name.to_owned(), known });
        }
    };
    let mut config = config.clone();
    if name != "aitm" {
        (config.sequence, config.sequence_penalty) = (None, None);
    } else if config.sequence.is_none() && tasks.len() > 1 {
        // No order of names is one of events, and a wrong one would be trained without a word.
        let tasks: Vec<&str> = tasks.iter().map(AsRef::as_ref).collect();
        let (name, value) = ("sequence".to_owned(), "absent".to_owned());
        let expected = format!("the order of the events: a list of {}", tasks.join(", "));
        return Err(Error::Setting { name, value, expected });
    }
    match name {
        // CGC is PLE of one level; PLE without a number of levels has the paper's two.
        "cgc" => config.levels = Some(1),
        "ple" => config.levels = config.levels.or(Some(2)),
        // One table serves a comparison of all: what is PLE's alone is not read here.
        _ => (config.levels, config.task_experts, config.shared_experts) = (None, None, None),
    }
    Ok(make(config.check(tasks)?))
}
