//! `mtl generate`: rows of a generator into a file.

use indicatif::{ProgressBar, ProgressStyle};
use mtl_data::{correlated, funnel};
use serde_json::json;

use crate::args::{GenerateArgs, Generator};
use crate::commands::outputs;
use crate::render;

pub(crate) fn run(args: &GenerateArgs, json: bool) -> anyhow::Result<()> {
    outputs::check_new(&args.out)?;
    let style = ProgressStyle::with_template("{prefix:12} {bar:24} {pos}/{len} rows {elapsed:>4}");
    let bar = ProgressBar::new(args.rows);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let progress = |rows| bar.set_position(rows);
    match args.generator {
        Generator::Funnel => {
            let config = funnel::Config {
                rows: args.rows,
                seed: args.seed,
                selection_strength: args.selection,
                unobserved_share: args.unobserved,
                click_rate: args.click_rate,
                ..funnel::Config::default()
            };
            funnel::write(&config, &args.out, progress)?;
        }
        Generator::Correlated => {
            let config = correlated::Config {
                rows: args.rows,
                seed: args.seed,
                correlation: args.correlation,
                ..correlated::Config::default()
            };
            correlated::write(&config, &args.out, progress)?;
        }
    }
    bar.finish_and_clear();
    let out = args.out.display().to_string();
    if json {
        return render::json(&json!({ "rows": args.rows, "out": out }));
    }
    say!("wrote {} rows to {out}", args.rows);
    Ok(())
}
