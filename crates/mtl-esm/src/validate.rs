//! Checks a builder's parts and turns them into a [`BehaviourGraph`].

use std::collections::{BTreeMap, HashSet};

use crate::graph::{Branch, Decision, EventNode};
use crate::{
    BehaviourGraph, BehaviourGraphBuilder, Conditional, ConditionalLoss, Edge, Error, Event,
    Program, Result,
};

/// See [`BehaviourGraphBuilder::build`].
pub(crate) fn build(builder: BehaviourGraphBuilder) -> Result<BehaviourGraph> {
    let index = names(&builder)?;
    for event in &builder.events {
        check_event(&builder, &index, event)?;
    }
    check_towers(&builder)?;
    let decisions = decisions(&builder, &index)?;
    let events: Vec<EventNode> =
        std::iter::once(root(&builder)).chain(builder.events.iter().map(node)).collect();
    let topological = topological(&events, &decisions)?;
    let reaches = reaches(&topological, &decisions);
    let graph = BehaviourGraph {
        events,
        decisions,
        conditionals: builder.conditionals,
        nesting: builder.nesting,
        topological,
        reaches,
    };
    check_exclusive(&graph)?;
    for event in 1..graph.events.len() {
        Program::new(&graph, event, 0)?;
    }
    check_conditionals(&graph)?;
    check_outputs(&graph)?;
    if graph.losses().is_empty() {
        let events = graph.events.iter().skip(1).map(|e| e.name.clone()).collect();
        return Err(Error::NoSupervisedEvent { events });
    }
    Ok(graph)
}

type Index<'a> = BTreeMap<&'a str, usize>;

/// Each event's index by name, the root's being 0.
fn names(builder: &BehaviourGraphBuilder) -> Result<Index<'_>> {
    let mut index = BTreeMap::from([(builder.root.as_str(), 0)]);
    for (i, event) in builder.events.iter().enumerate() {
        if event.name.is_empty() {
            return Err(setting(format!("event {i}"), "name", "\"\"", "a name"));
        }
        if index.insert(&event.name, i + 1).is_some() {
            return Err(Error::Twice { what: "event", name: event.name.clone() });
        }
    }
    Ok(index)
}

fn check_event(builder: &BehaviourGraphBuilder, index: &Index<'_>, event: &Event) -> Result<()> {
    if event.paths.is_empty() {
        let (event, root) = (event.name.clone(), builder.root.clone());
        return Err(Error::Unreachable { event, root });
    }
    let known = || index.keys().map(|&n| n.to_owned()).collect();
    let by = || format!("event `{}`", event.name);
    for (from, edge) in &event.paths {
        if !index.contains_key(from.as_str()) {
            let name = from.clone();
            return Err(Error::Unknown { by: by(), what: "parent", name, known: known() });
        }
        match edge {
            Edge::Not(of) if !index.contains_key(of.as_str()) => {
                let name = of.clone();
                return Err(Error::Unknown { by: by(), what: "event", name, known: known() });
            }
            Edge::Tower(tower) | Edge::Softmax { tower: Some(tower), .. } if tower.is_empty() => {
                return Err(setting(by(), "tower", "\"\"", "a tower's name"));
            }
            _ => {}
        }
    }
    check_weight(by(), event.weight)
}

fn check_weight(owner: String, weight: f64) -> Result<()> {
    if weight >= 0.0 && weight.is_finite() {
        return Ok(());
    }
    Err(setting(owner, "weight", &weight.to_string(), "a number ≥ 0"))
}

/// Each tower stands on one edge, unless it is declared as shared.
fn check_towers(builder: &BehaviourGraphBuilder) -> Result<()> {
    let mut used: BTreeMap<&str, String> = BTreeMap::new();
    for event in &builder.events {
        for (from, edge) in &event.paths {
            let (Edge::Tower(tower) | Edge::Softmax { tower: Some(tower), .. }) = edge else {
                continue;
            };
            let second = format!("`{from}` → `{}`", event.name);
            let first = used.insert(tower, second.clone());
            if let (Some(first), false) = (first, builder.shared_towers.contains(tower)) {
                return Err(Error::TowerTwice { tower: tower.clone(), first, second });
            }
        }
    }
    for tower in &builder.shared_towers {
        if !used.contains_key(tower.as_str()) {
            return Err(Error::Unknown {
                by: "the list of shared towers".to_owned(),
                what: "tower",
                name: tower.clone(),
                known: used.keys().map(|&t| t.to_owned()).collect(),
            });
        }
    }
    Ok(())
}

/// All ways out of events. Branches stand in an order of their own, not that of declaration, so
/// that permuting events changes no sum.
fn decisions(builder: &BehaviourGraphBuilder, index: &Index<'_>) -> Result<Vec<Decision>> {
    let mut decisions: Vec<Decision> = Vec::new();
    let mut groups: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for (i, event) in builder.events.iter().enumerate() {
        for (from, edge) in &event.paths {
            let (from, to) = (index[from.as_str()], Some(i + 1));
            let branch = |tower: Option<&String>| Branch { tower: tower.cloned(), to };
            let plain = |branches| Decision { from, group: None, branches };
            match edge {
                Edge::Tower(tower) => decisions
                    .push(plain(vec![branch(Some(tower)), Branch { tower: None, to: None }])),
                Edge::Always => decisions.push(plain(vec![branch(None)])),
                Edge::Softmax { group, tower } => {
                    let at = *groups.entry((from, group)).or_insert_with(|| {
                        let group = Some(group.clone());
                        decisions.push(Decision { from, group, branches: Vec::new() });
                        decisions.len() - 1
                    });
                    decisions[at].branches.push(branch(tower.as_ref()));
                }
                Edge::Not(_) => {} // once the edges that they are complements of are there
            }
        }
    }
    for (i, event) in builder.events.iter().enumerate() {
        for (from, edge) in &event.paths {
            if let Edge::Not(of) = edge {
                complement(&mut decisions, index, &event.name, i + 1, from, of)?;
            }
        }
    }
    for decision in &mut decisions {
        check_softmax(builder, decision)?;
        if decision.group.is_some() {
            decision.branches.sort_by(|a, b| a.tower.cmp(&b.tower));
        }
    }
    Ok(decisions)
}

/// Makes `event` the complement of the edge `from` → `of`.
fn complement(
    decisions: &mut [Decision],
    index: &Index<'_>,
    name: &str,
    event: usize,
    from: &str,
    of: &str,
) -> Result<()> {
    let (parent, positive) = (index[from], index[of]);
    let error = |why| {
        let (event, of, from) = (name.to_owned(), of.to_owned(), from.to_owned());
        Error::Complement { event, of, from, why }
    };
    let leads = |d: &&mut Decision| {
        d.from == parent && d.branches.iter().any(|b| b.to == Some(positive) && b.tower.is_some())
    };
    let mut found = decisions.iter_mut().filter(leads);
    let Some(decision) = found.next() else {
        return Err(error("no tower leads from the one to the other"));
    };
    if found.next().is_some() {
        return Err(error("several towers lead from the one to the other"));
    }
    if decision.group.is_some() {
        return Err(error("it is a branch of a softmax; add a branch for what remains"));
    }
    let rest = &mut decision.branches[1].to;
    if rest.is_some() {
        return Err(error("another event is its complement already"));
    }
    *rest = Some(event);
    Ok(())
}

fn check_softmax(builder: &BehaviourGraphBuilder, decision: &Decision) -> Result<()> {
    let Some(group) = &decision.group else { return Ok(()) };
    let from = decision.from.checked_sub(1).map_or(&builder.root, |i| &builder.events[i].name);
    let owner = || format!("softmax `{group}` of `{from}`");
    if decision.branches.len() < 2 {
        return Err(setting(owner(), "branches", "1", "at least 2"));
    }
    let mut towers = HashSet::new();
    if decision.branches.iter().all(|b| towers.insert(&b.tower)) {
        return Ok(());
    }
    let expected = "branches of different towers, at most one without";
    Err(setting(owner(), "branches", "two of one tower or two without", expected))
}

fn root(builder: &BehaviourGraphBuilder) -> EventNode {
    let (name, output) = (builder.root.clone(), format!("p_{}", builder.root));
    EventNode { name, labels: Vec::new(), weight: 0.0, output }
}

fn node(event: &Event) -> EventNode {
    EventNode {
        name: event.name.clone(),
        labels: event.labels.clone(),
        weight: event.weight,
        output: event.output.clone().unwrap_or_else(|| format!("p_{}", event.name)),
    }
}

/// Parents first, ties by name; an error names a cycle.
fn topological(events: &[EventNode], decisions: &[Decision]) -> Result<Vec<usize>> {
    let mut parents: Vec<HashSet<usize>> = vec![HashSet::new(); events.len()];
    for decision in decisions {
        for to in decision.branches.iter().filter_map(|b| b.to) {
            parents[to].insert(decision.from);
        }
    }
    let mut order = Vec::with_capacity(events.len());
    let mut placed = vec![false; events.len()];
    while order.len() < events.len() {
        let ready = |&n: &usize| !placed[n] && parents[n].iter().all(|&p| placed[p]);
        let next = (0..events.len()).filter(ready).min_by_key(|&n| &events[n].name);
        let Some(next) = next else { return Err(cycle(events, &parents, &placed)) };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// Follows parents that could not be placed until one comes again.
fn cycle(events: &[EventNode], parents: &[HashSet<usize>], placed: &[bool]) -> Error {
    let mut path = Vec::new();
    let mut at = placed.iter().position(|&p| !p).unwrap_or_default();
    while !path.contains(&at) {
        path.push(at);
        at = parents[at].iter().copied().filter(|&p| !placed[p]).min().unwrap_or(at);
    }
    // The path ran from child to parent; what stands before `at` led into the cycle.
    let members = path.iter().skip_while(|&&n| n != at).collect::<Vec<_>>();
    Error::Cycle { events: members.into_iter().rev().map(|&n| events[n].name.clone()).collect() }
}

fn reaches(topological: &[usize], decisions: &[Decision]) -> Vec<Vec<bool>> {
    let n = topological.len();
    let mut reaches = vec![vec![false; n]; n];
    for &from in topological.iter().rev() {
        reaches[from][from] = true;
        for to in out(decisions, from).flat_map(|d| &d.branches).filter_map(|b| b.to) {
            let below = reaches[to].clone();
            reaches[from].iter_mut().zip(below).for_each(|(r, b)| *r |= b);
        }
    }
    reaches
}

fn out(decisions: &[Decision], from: usize) -> impl Iterator<Item = &Decision> {
    decisions.iter().filter(move |d| d.from == from)
}

/// From every event, one decision at most leads to another event: then the probabilities that
/// are added are those of exclusive branches, and no sum exceeds 1.
fn check_exclusive(graph: &BehaviourGraph) -> Result<()> {
    let leads = |d: &&Decision, event: usize| {
        d.branches.iter().filter_map(|b| b.to).any(|to| graph.reaches[to][event])
    };
    for &event in &graph.topological {
        for &node in &graph.topological {
            let mut ways = out(&graph.decisions, node).filter(|d| leads(d, event));
            if let (Some(first), Some(second)) = (ways.next(), ways.next()) {
                return Err(Error::NotExclusive {
                    event: graph.events[event].name.clone(),
                    node: graph.events[node].name.clone(),
                    first: describe(graph, first),
                    second: describe(graph, second),
                });
            }
        }
    }
    Ok(())
}

fn describe(graph: &BehaviourGraph, decision: &Decision) -> String {
    let to: Vec<_> = decision.branches.iter().filter_map(|b| b.to).collect();
    let to = to.iter().map(|&to| format!("`{}`", graph.events[to].name));
    let to = to.collect::<Vec<_>>().join("/");
    match (&decision.group, &decision.branches[0].tower) {
        (Some(group), _) => format!("the softmax `{group}` (to {to})"),
        (None, Some(tower)) => format!("the tower `{tower}` (to {to})"),
        (None, None) => format!("a certain edge (to {to})"),
    }
}

fn check_conditionals(graph: &BehaviourGraph) -> Result<()> {
    for conditional in &graph.conditionals {
        let by = || format!("conditional `{}`", conditional.name);
        for name in [&conditional.event, &conditional.given] {
            if graph.find(name).is_none() {
                let known = graph.events.iter().map(|e| e.name.clone()).collect();
                let name = name.clone();
                return Err(Error::Unknown { by: by(), what: "event", name, known });
            }
        }
        check_weight(by(), conditional.weight)?;
        graph.program(&conditional.event, &conditional.given).map_err(|e| match e {
            Error::NoPath { event, given, .. } => {
                Error::NoPath { name: conditional.name.clone(), event, given }
            }
            other => other,
        })?;
        check_conditional_loss(graph, conditional, by)?;
        if graph.events.iter().any(|e| e.name == conditional.name) {
            return Err(Error::Twice {
                what: "event or conditional",
                name: conditional.name.clone(),
            });
        }
    }
    Ok(())
}

fn check_conditional_loss(
    graph: &BehaviourGraph,
    conditional: &Conditional,
    by: impl Fn() -> String,
) -> Result<()> {
    let Some(loss) = &conditional.loss else { return Ok(()) };
    for name in [&conditional.event, &conditional.given] {
        let is_root = name == graph.root() && name == &conditional.given;
        if !is_root && graph.target(name).is_none() {
            let expected = "a loss between events that have labels";
            return Err(setting(
                by(),
                "loss",
                &format!("on `{name}`, which has no label"),
                expected,
            ));
        }
    }
    let (ConditionalLoss::InversePropensity { floor }
    | ConditionalLoss::DoublyRobust { floor, .. }) = loss
    else {
        return Ok(());
    };
    if !(*floor > 0.0 && *floor <= 1.0) {
        return Err(setting(by(), "floor", &floor.to_string(), "a propensity in (0, 1]"));
    }
    if conditional.given == graph.root() {
        let expected = "an event with a propensity below 1";
        return Err(setting(by(), "given", &format!("`{}`", graph.root()), expected));
    }
    let edges = graph.decisions.iter().flat_map(|d| &d.branches).filter_map(|b| b.tower.as_deref());
    let others = graph.conditionals.iter().filter(|c| c.name != conditional.name);
    match conditional.imputation() {
        Some(tower) if others.clone().any(|c| c.imputation() == Some(tower)) => {
            Err(Error::TowerTwice {
                tower: tower.to_owned(),
                first: "another imputation".to_owned(),
                second: format!("the imputation of `{}`", conditional.name),
            })
        }
        Some(tower) if edges.clone().any(|t| t == tower) => Err(Error::TowerTwice {
            tower: tower.to_owned(),
            first: "an edge".to_owned(),
            second: format!("the imputation of `{}`", conditional.name),
        }),
        _ => Ok(()),
    }
}

/// No two outputs have one name.
fn check_outputs(graph: &BehaviourGraph) -> Result<()> {
    let mut names = HashSet::new();
    let events = graph.events.iter().skip(1).map(|e| e.output.as_str());
    let conditionals = graph.conditionals.iter().map(|c| c.name.as_str());
    for name in events.chain(conditionals).chain(graph.tower_programs().into_keys()) {
        if !names.insert(name) {
            return Err(Error::Twice { what: "output", name: name.to_owned() });
        }
    }
    Ok(())
}

fn setting(owner: String, key: &'static str, value: &str, expected: &'static str) -> Error {
    Error::Setting { owner, key, value: value.to_owned(), expected }
}
