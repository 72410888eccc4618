//! What can be wrong with a behaviour graph, its configuration, or the labels it is given.

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two things of one kind have one name.
    #[error("behaviour graph: the {what} `{name}` is declared twice")]
    Twice {
        /// What kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that nothing has.
    #[error(
        "behaviour graph: {by} names the {what} `{name}`, which does not exist; there {}",
        list(.known)
    )]
    Unknown {
        /// Who names it.
        by: String,
        /// What kind of thing it should be.
        what: &'static str,
        /// The name.
        name: String,
        /// Names that exist.
        known: Vec<String>,
    },
    /// An event that no path leads to.
    #[error(
        "behaviour graph: the event `{event}` cannot be reached: no path from `{root}` leads to it"
    )]
    Unreachable {
        /// The event.
        event: String,
        /// The root.
        root: String,
    },
    /// Events that lead to one another.
    #[error("behaviour graph: the events {} form a cycle", cycle(.events))]
    Cycle {
        /// The events of the cycle, in order; the last leads to the first.
        events: Vec<String>,
    },
    /// One tower's probability on several edges, without saying that it is meant.
    #[error(
        "behaviour graph: the tower `{tower}` is used twice, by {first} and by {second}; give each \
         edge a tower of its own, or declare the tower as shared"
    )]
    TowerTwice {
        /// The tower.
        tower: String,
        /// The first edge that uses it.
        first: String,
        /// The second.
        second: String,
    },
    /// Paths that are not exclusive meet, so their probabilities may not be added.
    #[error(
        "behaviour graph: the probability of `{event}` could exceed 1: two paths to it leave \
         `{node}` by {first} and by {second}, which are independent, not exclusive; only an edge \
         and its complement (`not`), or branches of one softmax, may meet again"
    )]
    NotExclusive {
        /// The event where they meet.
        event: String,
        /// The event where they part.
        node: String,
        /// The first way out of it.
        first: String,
        /// The second.
        second: String,
    },
    /// A complement of something that has none.
    #[error("behaviour graph: `{event}` is declared as `not` `{of}` from `{from}`, but {why}")]
    Complement {
        /// The event declared as a complement.
        event: String,
        /// What it should be the complement of.
        of: String,
        /// The event both come from.
        from: String,
        /// Why that cannot be.
        why: &'static str,
    },
    /// An event that always happens.
    #[error(
        "behaviour graph: `{event}` has probability 1 given `{given}` by construction, whatever \
         the towers say"
    )]
    Certain {
        /// The event.
        event: String,
        /// The event it follows from.
        given: String,
    },
    /// A conditional probability between events of which neither leads to the other.
    #[error(
        "behaviour graph: `{name}` asks for `{event}` given `{given}`, but no path leads there"
    )]
    NoPath {
        /// Name of the conditional.
        name: String,
        /// The event.
        event: String,
        /// The event it should follow from.
        given: String,
    },
    /// Nothing to train on.
    #[error(
        "behaviour graph: no event is supervised; give at least one event a label and a weight \
         above 0 (the events are `{}`)", .events.join("`, `")
    )]
    NoSupervisedEvent {
        /// The events.
        events: Vec<String>,
    },
    /// A setting that cannot be.
    #[error("behaviour graph: {owner}: `{key}` is {value}, expected {expected}")]
    Setting {
        /// Whose setting it is, such as "event `click`".
        owner: String,
        /// The setting's name.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// Something that must be given for the graph to be attached or its labels read.
    #[error(
        "behaviour graph: {needed_by} needs the {what} `{name}`, which is not given; there {}",
        list(.known)
    )]
    Missing {
        /// What kind of thing: "logit" or "label".
        what: &'static str,
        /// Its name.
        name: String,
        /// Who needs it.
        needed_by: String,
        /// Names that are given.
        known: Vec<String>,
    },
    /// A label column of another length than the others.
    #[error("labels: `{label}` has {found} rows, expected {expected}")]
    LabelRows {
        /// The label.
        label: String,
        /// Rows it has.
        found: usize,
        /// Rows it should have.
        expected: usize,
    },
    /// Events that happened although an event on every path to them did not.
    #[error(
        "labels: {count} rows have `{event}` without `{without}`, which lies on every path to it; \
         the first is row {first_row} (nesting = \"multiply\" would take them for rows without \
         `{event}`)"
    )]
    Nesting {
        /// The event that happened.
        event: String,
        /// The event that did not.
        without: String,
        /// Number of such rows.
        count: u64,
        /// The first of them, from 0.
        first_row: u64,
    },
    /// The graph of layers did not take a node, output or loss.
    #[error(transparent)]
    Graph(#[from] mtl_nn::Error),
}

fn list(names: &[String]) -> String {
    match names.len() {
        0 => "are none".to_owned(),
        1 => format!("is `{}`", names[0]),
        _ => format!("are `{}`", names.join("`, `")),
    }
}

fn cycle(events: &[String]) -> String {
    let first = events.first().map_or("", String::as_str);
    format!("`{}` → `{first}`", events.join("` → `"))
}
