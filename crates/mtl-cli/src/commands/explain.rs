//! What is told of rows beside their metrics: those of segments, and what features are worth.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use mtl_data::{ColumnBeside, RowSource, STREAM_BLOCK_ROWS};
use mtl_model::Model;
use mtl_train::{BySegment, Importance, ImportanceConfig, Scored, SegmentConfig, importance};

use crate::args::ExplainArgs;

/// What was asked for of some rows.
#[derive(Default)]
pub(crate) struct Explained {
    pub(crate) segments: Vec<BySegment>,
    pub(crate) importance: Option<Importance>,
}

impl Explained {
    /// `columns` are those of `--by`, with a value for each row.
    pub(crate) fn of(
        model: &Model,
        (rows, scored): (&dyn RowSource, &Scored),
        columns: &[ColumnBeside],
        args: &ExplainArgs,
    ) -> anyhow::Result<Self> {
        let config = SegmentConfig { most: args.most, bins: args.bins };
        let by = |column| BySegment::of(model, scored, column, &config);
        let segments = columns.iter().map(by).collect::<Result<_, _>>()?;
        let config = |repeats: NonZeroUsize| ImportanceConfig {
            repeats: repeats.get(),
            ..ImportanceConfig::default()
        };
        let importance =
            args.importance.map(|repeats| measured(model, rows, &config(repeats))).transpose()?;
        Ok(Self { segments, importance })
    }
}

/// The importance of every feature, with a bar. Of rows that stay in their files, the first block
/// tells it: values change places in memory.
pub(crate) fn measured(
    model: &Model,
    rows: &dyn RowSource,
    config: &ImportanceConfig,
) -> anyhow::Result<Importance> {
    let first = match rows.held() {
        Some(table) => Cow::Borrowed(table),
        None => rows.blocks(Some(STREAM_BLOCK_ROWS)).next().transpose()?.unwrap_or_default(),
    };
    let bar = bar();
    let found = importance(model, &first, config, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok(found?)
}

/// A bar over all measurements; hidden where standard error is no terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("permuting {bar:24} {pos:>6}/{len} {elapsed:>4}");
    let bar = ProgressBar::no_length();
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
