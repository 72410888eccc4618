//! `mtl check`: the data of a configuration, looked at before anything is trained.

use mtl_esm::Nesting;
use mtl_feature::LabelKind;
use mtl_train::{Audit, ChainAudit, Contradiction, RunConfig, audit, group_note};

use crate::args::CheckArgs;
use crate::render;

pub(crate) fn run(args: &CheckArgs, json: bool) -> anyhow::Result<()> {
    let config = RunConfig::read(&args.config)?;
    let audit = audit(&config)?;
    if json {
        render::json(&audit)?;
    } else {
        if config.data.stream {
            say!("of each part that is streamed, the first block:");
        }
        print(&audit);
        print_groups(&config, &audit);
        audit.warnings.iter().for_each(|warning| say!("warning: {warning}"));
    }
    refused(&audit)
}

/// What `train` would end with is what this ends with, once all else is told.
fn refused(audit: &Audit) -> anyhow::Result<()> {
    match &audit.refusals[..] {
        [] => Ok(()),
        [one] => anyhow::bail!("{one}"),
        [first, others @ ..] => anyhow::bail!("{first}; and: {}", others.join("; and: ")),
    }
}

/// Rows that are in no group.
fn print_groups(config: &RunConfig, audit: &Audit) {
    let named = ["training rows", "validation rows", "test rows"].map(str::to_owned);
    let rows: Vec<_> = audit.without_group.into_iter().zip(named).collect();
    if let Some(note) = config.data.group.as_deref().and_then(|group| group_note(group, &rows)) {
        say!("{note}");
    }
}

fn print(audit: &Audit) {
    let [train, validation, test] = audit.rows;
    say!("{train} training rows, {validation} of validation, {test} of test\n");
    print_features(audit);
    print_labels(audit);
    for pair in &audit.nesting {
        say!(
            "{} implies {}: {} of its {} positives",
            pair.label,
            pair.implies,
            percent(Some(pair.share)),
            pair.rows
        );
    }
    match &audit.chain {
        Some(chain) => print_chain(chain),
        None if audit.nesting.is_empty() => {}
        None => say!("labels that nest can be trained over all rows by a [chain]: docs/esm.md"),
    }
    for leak in &audit.leaks {
        say!(
            "likely leak: {} alone tells {} with an AUC of {:.4}; is it known when a score is asked for?",
            leak.feature,
            leak.label,
            leak.auc
        );
    }
    if audit.leaks.is_empty() {
        say!("no feature alone tells a label with an AUC above 0.95");
    }
}

/// Rows whose labels contradict the chain, and what becomes of them.
fn print_chain(chain: &ChainAudit) {
    if chain.violations.is_empty() {
        say!("no label contradicts the [chain]");
        return;
    }
    for found in &chain.violations {
        let Contradiction { part, event, without, rows, file, row, .. } = found;
        say!("{rows} {part} rows have {event} without {without}; the first is {file}: row {row}");
    }
    say!(
        "{}",
        match chain.policy {
            Nesting::Error => "nesting = \"error\" in [chain]: such rows stop a run",
            Nesting::Multiply =>
                "nesting = \"multiply\" in [chain]: such rows count as rows without the event",
        }
    );
}

fn print_features(audit: &Audit) {
    let header = ["feature", "column", "kind", "ids", "missing", "unseen later", "mean length"];
    let rows: Vec<Vec<String>> = audit
        .features
        .iter()
        .map(|feature| {
            vec![
                feature.name.clone(),
                feature.column.clone(),
                format!("{:?}", feature.kind).to_lowercase(),
                feature.ids.map_or_else(|| "–".to_owned(), |ids| ids.to_string()),
                percent(Some(feature.missing)),
                percent(feature.unseen),
                render::number(feature.mean_length, 1),
            ]
        })
        .collect();
    render::table(&header.map(str::to_owned), &rows);
    say!();
}

fn print_labels(audit: &Audit) {
    let header = ["label", "labelled", "rate, or mean", "in validation", "in test"];
    let rows: Vec<Vec<String>> = audit
        .labels
        .iter()
        .map(|label| {
            let mean = |i: usize| match label.kind {
                LabelKind::Binary => percent(label.means[i]),
                _ => render::number(label.means[i], 4),
            };
            vec![label.name.clone(), label.labelled.to_string(), mean(0), mean(1), mean(2)]
        })
        .collect();
    render::table(&header.map(str::to_owned), &rows);
    say!();
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.2} %", 100.0 * share))
}
