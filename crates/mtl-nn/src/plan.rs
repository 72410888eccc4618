//! Forward schedules, pruned to what is wanted.

use crate::op::Ids;
use crate::{Graph, IdSlot, ListSlot, Lookup, Mode, NodeId, Scalar, ValueSlot};

/// One action of a schedule. A phase ends after a gather; the sums it wrote are added over all
/// shards before the next phase starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Run the node (forward), or the step of that index (backward).
    Run(usize),
    /// Gather the node's sums (forward), or those of the step of that index (backward).
    Gather(usize),
}

/// The nodes to run for some targets, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    targets: Vec<NodeId>,
    nodes: Vec<NodeId>,
    phases: Vec<Vec<Item>>,
    value_slots: Vec<ValueSlot>,
    id_slots: Vec<IdSlot>,
    list_slots: Vec<ListSlot>,
    lookups: Vec<Lookup>,
}

impl Plan {
    /// Everything that `targets` depend on.
    pub fn new<S: Scalar>(graph: &Graph<S>, targets: &[NodeId], training: bool) -> Self {
        let mut wanted = vec![false; graph.nodes().len()];
        for target in targets {
            wanted[target.index()] = true;
        }
        for (i, node) in graph.nodes().iter().enumerate().rev() {
            if wanted[i] {
                node.op().inputs().iter().for_each(|v| wanted[v.node.index()] = true);
            }
        }
        let mut plan = Self {
            targets: targets.to_vec(),
            nodes: Vec::new(),
            phases: vec![Vec::new()],
            value_slots: Vec::new(),
            id_slots: Vec::new(),
            list_slots: Vec::new(),
            lookups: Vec::new(),
        };
        for (i, node) in graph.nodes().iter().enumerate().filter(|&(i, _)| wanted[i]) {
            plan.nodes.push(NodeId(i as u32));
            push_item(&mut plan.phases, i, training && node.op().n_statistics() > 0);
            plan.value_slots.extend_from_slice(node.op().value_slots());
            plan.lookups.extend_from_slice(node.op().lookups());
            plan.id_slots.extend_from_slice(node.op().id_slots());
            plan.list_slots.extend_from_slice(node.op().list_slots());
        }
        plan.value_slots.sort_by_key(|s| s.index());
        plan.value_slots.dedup();
        for lookup in &plan.lookups {
            match lookup.ids {
                Ids::One(slot) => plan.id_slots.push(slot),
                Ids::List(slot) => plan.list_slots.push(slot),
            }
        }
        plan.list_slots.sort_by_key(|s| s.index());
        plan.list_slots.dedup();
        plan.id_slots.sort_by_key(|s| s.index());
        plan.id_slots.dedup();
        plan
    }

    /// The plan of all named outputs, for prediction.
    pub fn outputs<S: Scalar>(graph: &Graph<S>) -> Self {
        let targets: Vec<_> = graph.outputs().iter().map(|(_, var)| var.node).collect();
        Self::new(graph, &targets, false)
    }

    /// The nodes that the plan was made for.
    pub fn targets(&self) -> &[NodeId] {
        &self.targets
    }

    /// The nodes that run, in order.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The value slots that a batch must fill.
    pub fn value_slots(&self) -> &[ValueSlot] {
        &self.value_slots
    }

    /// The id slots that a batch must fill.
    pub fn id_slots(&self) -> &[IdSlot] {
        &self.id_slots
    }

    /// The slots of lists that a batch must fill.
    pub fn list_slots(&self) -> &[ListSlot] {
        &self.list_slots
    }

    /// The tables that are read, and through which slots.
    pub fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    pub(crate) fn phases(&self) -> &[Vec<Item>] {
        &self.phases
    }
}

/// Adds a run to the last phase; a barrier first ends that phase with its gather.
pub(crate) fn push_item(phases: &mut Vec<Vec<Item>>, index: usize, barrier: bool) {
    let last = phases.len() - 1;
    if barrier {
        phases[last].push(Item::Gather(index));
        phases.push(vec![Item::Run(index)]);
    } else {
        phases[last].push(Item::Run(index));
    }
}

/// Whether a mode needs barriers.
pub(crate) const fn is_training(mode: Mode) -> bool {
    matches!(mode, Mode::Train { .. })
}
