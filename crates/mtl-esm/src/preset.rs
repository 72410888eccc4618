//! The published chains and the baselines they are compared with, as values of the builder.

use serde::{Deserialize, Serialize};

use crate::{
    BehaviourGraph, BehaviourGraphBuilder, Conditional, ConditionalLoss, Edge, Event, Nesting,
};

/// The least propensity of the ESCM² presets: no click counts more than 20 times.
const FLOOR: f64 = 0.05;

/// A named behaviour graph.
///
/// | preset | events (towers) | losses |
/// |---|---|---|
/// | `esmm` | click (`ctr`), conversion (`cvr`) | both events |
/// | `esm2` | click (`y1`), action (`y2`), other_action, purchase (`y3`, `y4`) | those labelled |
/// | `naive_cvr` | as `esmm` | click; pCVR over clicked rows |
/// | `all_rows_cvr` | as `esmm` | click; pCVR over all rows |
/// | `escm2_ips` | as `esmm` | both events; pCVR by inverse propensities |
/// | `escm2_dr` | as `esmm`, and the tower `imputation` | both events; pCVR doubly robust |
///
/// Losses of events are over all rows; those of pCVR are [`ConditionalLoss`]es.
///
/// Every event is labelled by the column of its name until
/// [`BehaviourGraphBuilder::relabel`] says otherwise, and labels that contradict the graph are
/// multiplied by the events before ([`Nesting::Multiply`]), as the papers define the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Preset {
    /// Ma et al., "Entire Space Multi-Task Model", SIGIR 2018.
    Esmm,
    /// Wen et al., "Entire Space Multi-Task Modeling via Post-Click Behavior Decomposition",
    /// SIGIR 2020.
    Esm2,
    /// CVR trained on clicked rows alone.
    NaiveCvr,
    /// CVR trained on all rows, a row without a click being a negative.
    AllRowsCvr,
    /// Wang et al., "ESCM²", SIGIR 2022, with inverse propensity scores.
    Escm2Ips,
    /// Wang et al., "ESCM²", SIGIR 2022, doubly robust.
    Escm2Dr,
}

impl Preset {
    /// The preset's graph, to be changed further or built.
    pub fn builder(self) -> BehaviourGraphBuilder {
        let floor = FLOOR;
        let cvr = |loss| Conditional::new("pCVR", "conversion", "click").loss(loss);
        match self {
            Self::Esmm => esmm(1.0).conditional(Conditional::new("pCVR", "conversion", "click")),
            Self::Esm2 => esm2(),
            Self::NaiveCvr => esmm(0.0).conditional(cvr(ConditionalLoss::Space)),
            Self::AllRowsCvr => esmm(0.0).conditional(cvr(ConditionalLoss::AllRows)),
            Self::Escm2Ips => {
                esmm(1.0).conditional(cvr(ConditionalLoss::InversePropensity { floor }))
            }
            Self::Escm2Dr => {
                let imputation = "imputation".to_owned();
                esmm(1.0).conditional(cvr(ConditionalLoss::DoublyRobust {
                    floor,
                    imputation,
                    joint: false,
                }))
            }
        }
    }
}

/// impression → click → conversion.
fn esmm(conversion_weight: f64) -> BehaviourGraphBuilder {
    let click = Event::new("click").from("impression", Edge::tower("ctr"));
    let conversion = Event::new("conversion").from("click", Edge::tower("cvr"));
    BehaviourGraph::builder()
        .nesting(Nesting::Multiply)
        .event(click.label("click").output("pCTR"))
        .event(conversion.label("conversion").weight(conversion_weight).output("pCTCVR"))
}

/// impression → click → action or other action → purchase.
fn esm2() -> BehaviourGraphBuilder {
    let click = Event::new("click").from("impression", Edge::tower("y1"));
    let action = Event::new("action").from("click", Edge::tower("y2"));
    let purchase = Event::new("purchase")
        .from("action", Edge::tower("y3"))
        .from("other_action", Edge::tower("y4"));
    BehaviourGraph::builder()
        .nesting(Nesting::Multiply)
        .event(click.label("click").output("pCTR"))
        .event(action.label("action").output("pCTAVR"))
        .event(Event::new("other_action").from("click", Edge::not("action")))
        .event(purchase.label("purchase").output("pCTCVR"))
        .conditional(Conditional::new("pCVR", "purchase", "click"))
}
