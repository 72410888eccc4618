//! Which experts each gate uses, as heat maps.

use mtl_train::Gate;

use crate::page::Section;
use crate::{Figure, HeatMap, Result};

/// A heat map for each group of gates over common experts, model by model.
pub(crate) fn section(models: &[(&str, &[Gate])], rows: &str) -> Result<Section> {
    let section = Section::new("Gates");
    let (mut figures, mut dead): (Vec<Figure>, Vec<String>) = (Vec::new(), Vec::new());
    for (model, gates) in models {
        for group in groups(gates) {
            figures.extend(map(model, &group)?);
        }
        for gate in gates.iter().filter(|gate| !gate.dead.is_empty()) {
            dead.push(format!("{model}: {} hardly uses {}", gate.path, gate.dead.join(", ")));
        }
    }
    if figures.is_empty() {
        return Ok(section);
    }
    let mut section = section.note(&format!("Mean weight of each expert (row) in the mixture of each gate (column), over the {rows}; each column sums to one. Columns that look alike share what they learn, a row in one column is that task's own."));
    for line in dead {
        section = section.note(&line);
    }
    Ok(section.figures(figures))
}

/// Gates that have an expert in common: a level of PLE, say.
fn groups(gates: &[Gate]) -> Vec<Vec<&Gate>> {
    let mut groups: Vec<Vec<&Gate>> = Vec::new();
    for gate in gates.iter().filter(|gate| gate.utilisation.is_some()) {
        let common = |group: &&mut Vec<&Gate>| {
            group.iter().any(|other| other.experts.iter().any(|e| gate.experts.contains(e)))
        };
        match groups.iter_mut().find(common) {
            Some(group) => group.push(gate),
            None => groups.push(vec![gate]),
        }
    }
    groups
}

fn map(model: &str, gates: &[&Gate]) -> Result<Option<Figure>> {
    let mut experts: Vec<&String> = Vec::new();
    for expert in gates.iter().flat_map(|gate| &gate.experts) {
        if !experts.contains(&expert) {
            experts.push(expert);
        }
    }
    experts.sort_by_key(|expert| natural(expert));
    if experts.len() < 2 {
        return Ok(None);
    }
    let of = |gate: &Gate, expert: &String| {
        let place = gate.experts.iter().position(|other| other == expert)?;
        gate.utilisation.as_ref()?.get(place).copied()
    };
    let paths: Vec<&str> = gates.iter().map(|gate| gate.path.as_str()).collect();
    let (level, columns) = short(&paths);
    let names: Vec<&str> = experts.iter().map(|expert| expert.as_str()).collect();
    let (_, rows) = short(&names);
    let level = if level.is_empty() { level } else { format!(", {level}") };
    let title = format!("gates of {model}{level}");
    let values = experts.iter().map(|e| gates.iter().map(|gate| of(gate, e)).collect()).collect();
    HeatMap { title, rows, columns, values }.draw().map(Some)
}

/// Numbers in a path in the order of numbers.
fn natural(path: &str) -> Vec<(usize, String)> {
    path.split('.').map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

/// What all paths begin with, and what is left of each without its `gate` or `task`.
fn short(paths: &[&str]) -> (String, Vec<String>) {
    let split: Vec<Vec<&str>> = paths.iter().map(|path| path.split('.').collect()).collect();
    let n = match &split[..] {
        [first, rest @ ..] if !rest.is_empty() => {
            let same = |&i: &usize| {
                let word = first.get(i).filter(|word| **word != "expert");
                word.is_some() && rest.iter().all(|other| other.get(i) == word)
            };
            (0..first.len().saturating_sub(1)).take_while(same).count()
        }
        _ => 0,
    };
    let common = split.first().map_or(&[][..], |first| &first[..n]);
    let words = common.iter().copied().filter(|word| *word != "task");
    let start = words.collect::<Vec<_>>().join(".");
    let name = |parts: &Vec<&str>| {
        let kept: Vec<&str> =
            parts[n..].iter().copied().filter(|p| !matches!(*p, "gate" | "task")).collect();
        if kept.is_empty() { parts.join(".") } else { kept.join(".") }
    };
    (start, split.iter().map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_differs() {
        let (level, names) = short(&["task.click.gate", "task.buy.gate"]);
        assert_eq!((level.as_str(), names), ("", vec!["click".to_owned(), "buy".to_owned()]));
        let (level, names) = short(&["level.0.task.a.gate", "level.0.shared.gate"]);
        assert_eq!((level.as_str(), names), ("level.0", vec!["a".to_owned(), "shared".to_owned()]));
        assert_eq!(short(&["gate"]).1, ["gate"]);
        assert_eq!(short(&["expert.0", "expert.1"]).1, ["expert.0", "expert.1"]);
        assert_eq!(short(&["level.1.task.a.gate", "level.1.task.b.gate"]).0, "level.1");
    }

    #[test]
    fn gates_with_a_common_expert_are_one_map() {
        let gate = |path: &str, experts: &[&str]| Gate {
            path: path.to_owned(),
            experts: experts.iter().map(|e| (*e).to_owned()).collect(),
            utilisation: Some(vec![1.0 / experts.len() as f64; experts.len()]),
            top: None,
            entropy: None,
            dead: Vec::new(),
        };
        let gates = [gate("a", &["0.s", "0.a"]), gate("b", &["0.s", "0.b"]), gate("c", &["1.s"])];
        let sizes: Vec<usize> = groups(&gates).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1]);
    }
}
