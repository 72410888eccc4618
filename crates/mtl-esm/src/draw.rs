//! A graph as text, one equation an event, and as Graphviz DOT.

use std::fmt;

use crate::BehaviourGraph;
use crate::graph::{Branch, Decision};

impl fmt::Display for BehaviourGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.events.iter().map(|e| e.name.chars().count()).max().unwrap_or(0);
        for &n in &self.topological {
            let event = &self.events[n];
            if n == 0 {
                writeln!(f, "{:width$} = 1", event.name)?;
                continue;
            }
            let terms: Vec<String> = self.paths(n).map(|(d, k)| self.term(d, k)).collect();
            write!(f, "{:width$} = {}", event.name, terms.join(" + "))?;
            if !event.labels.is_empty() {
                write!(f, "    [{}, weight {}]", event.labels.join(" or "), event.weight)?;
            }
            writeln!(f, "    → {}", event.output)?;
        }
        for c in &self.conditionals {
            writeln!(f, "P({} | {})    → {}", c.event, c.given, c.name)?;
        }
        Ok(())
    }
}

impl BehaviourGraph {
    /// The graph in Graphviz' DOT language; supervised events have a double border.
    ///
    /// ```
    /// use mtl_esm::Preset;
    ///
    /// let dot = Preset::Esmm.builder().build()?.to_dot();
    /// assert!(dot.starts_with("digraph behaviour {"));
    /// assert!(dot.contains(r#""click" -> "conversion" [label="cvr"];"#));
    /// # Ok::<(), mtl_esm::Error>(())
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph behaviour {\n  rankdir=LR;\n");
        for &n in &self.topological {
            let event = &self.events[n];
            let double = if event.is_supervised() { ", peripheries=2" } else { "" };
            let mut label = event.name.clone();
            if n > 0 {
                label.push('\n');
                label.push_str(&event.output);
            }
            dot.push_str(&format!("  {} [label={}{double}];\n", quote(&event.name), quote(&label)));
        }
        for &n in &self.topological {
            for (decision, k) in self.paths(n) {
                let (from, to) = (&self.events[decision.from].name, &self.events[n].name);
                let label = quote(&probability(decision, k));
                dot.push_str(&format!("  {} -> {} [label={label}];\n", quote(from), quote(to)));
            }
        }
        dot.push_str("}\n");
        dot
    }

    /// The branches that lead to an event.
    fn paths(&self, event: usize) -> impl Iterator<Item = (&Decision, usize)> {
        let to = move |(_, b): &(usize, &Branch)| b.to == Some(event);
        self.decisions
            .iter()
            .flat_map(move |d| d.branches.iter().enumerate().filter(to).map(move |(k, _)| (d, k)))
    }

    fn term(&self, decision: &Decision, k: usize) -> String {
        let from = &self.events[decision.from].name;
        if decision.branches.len() == 1 {
            return from.clone();
        }
        format!("{from}·{}", probability(decision, k))
    }
}

/// A branch's probability: `y2`, `(1 − y2)`, `next[cart]`, `next[else]` or `1`.
fn probability(decision: &Decision, k: usize) -> String {
    match (&decision.group, &decision.branches[k].tower) {
        (Some(group), tower) => format!("{group}[{}]", tower.as_deref().unwrap_or("else")),
        (None, Some(tower)) => tower.clone(),
        (None, None) => match &decision.branches[0].tower {
            Some(tower) => format!("(1 − {tower})"),
            None => "1".to_owned(),
        },
    }
}

/// A DOT string.
fn quote(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use crate::{BehaviourGraph, Edge, Event, Preset, Result};

    #[test]
    fn esm2_is_drawn_as_its_equations() -> Result<()> {
        let text = Preset::Esm2.builder().build()?.to_string();
        assert_eq!(
            text,
            "\
impression   = 1
click        = impression·y1    [click, weight 1]    → pCTR
action       = click·y2    [action, weight 1]    → pCTAVR
other_action = click·(1 − y2)    → p_other_action
purchase     = action·y3 + other_action·y4    [purchase, weight 1]    → pCTCVR
P(purchase | click)    → pCVR
"
        );
        Ok(())
    }

    #[test]
    fn dot_quotes_names_and_shows_every_edge() -> Result<()> {
        let graph = BehaviourGraph::builder()
            .event(Event::new("a \"b\"").from("impression", Edge::softmax("g", "t")).label("y"))
            .event(Event::new("rest").from("impression", Edge::otherwise("g")))
            .event(Event::new("all").from("rest", Edge::Always).output("all"))
            .build()?;
        let dot = graph.to_dot();
        for line in [
            r#"  "a \"b\"" [label="a \"b\"\np_a \"b\"", peripheries=2];"#,
            r#"  "impression" -> "a \"b\"" [label="g[t]"];"#,
            r#"  "impression" -> "rest" [label="g[else]"];"#,
            r#"  "rest" -> "all" [label="1"];"#,
        ] {
            assert!(dot.lines().any(|l| l == line), "{line} is not in\n{dot}");
        }
        Ok(())
    }
}
