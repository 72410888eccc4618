//! `mtl calibrate`: the probabilities of a trained model made to mean what they say.

use anyhow::{Context, bail};
use mtl_calibrate::{Method, Quality};
use mtl_model::Model;
use mtl_train::{CalibratedOutput, CalibrationConfig, RunConfig, Sampled, calibrate};

use crate::args::{CalibrateArgs, CalibrationMethod};
use crate::commands::CONFIG;
use crate::commands::nesting::located_in;
use crate::{commands, render};

pub(crate) fn run(args: &CalibrateArgs, json: bool) -> anyhow::Result<()> {
    // A calibration of other weights keeps no model from having another; one of these weights stays where
    // the rows have nothing to say.
    let mut model = Model::load(&args.model).or_else(|_| Model::load_uncalibrated(&args.model))?;
    let options = commands::read_options(&args.model)?;
    let config = config(args)?;
    let rows = commands::labelled(&model, &options, &args.data)?;
    let sampled = if args.unsampled { Sampled::Not } else { Sampled::AsTrained };
    let outputs = calibrate(&mut model, &rows, &config, sampled)
        .map_err(|error| located_in(error.into(), &args.data, &options))?;
    model.save_calibration(&args.model)?;
    for CalibratedOutput { task, skipped, .. } in outputs.iter().filter(|output| output.kept) {
        let reason = skipped.as_deref().unwrap_or_default();
        tell!("note: {task} keeps the calibration that it had: {reason}");
    }
    if json {
        return render::json(&outputs);
    }
    print_calibration(&outputs);
    say!(
        "wrote {} calibrated outputs to {}",
        model.calibration().iter().count(),
        args.model.display()
    );
    Ok(())
}

/// What the folder's configuration says, and the options that replace it.
fn config(args: &CalibrateArgs) -> anyhow::Result<CalibrationConfig> {
    let mut config = RunConfig::read(&args.model.join(CONFIG))?.calibration;
    if let Some(method) = args.method {
        config.tasks.clear();
        config.method = match method {
            CalibrationMethod::Platt => Method::Platt,
            CalibrationMethod::Isotonic => Method::Isotonic,
            CalibrationMethod::None => Method::None,
        };
    }
    if let Some(shares) = &args.negative_sampling {
        config.negative_sampling.clear();
        for share in shares {
            let expected =
                || format!("--negative-sampling has `{share}`, expected such as click=0.1");
            let (task, share) = share.split_once('=').with_context(expected)?;
            let share: f64 = share.parse().with_context(expected)?;
            config.negative_sampling.insert(task.to_owned(), share);
        }
    }
    if !config.needs_rows() && config.negative_sampling.is_empty() && args.method.is_none() {
        bail!("no [calibration] in the configuration, expected --method platt or isotonic");
    }
    Ok(config)
}

/// Before and after, and what was left as it is.
pub(crate) fn print_calibration(outputs: &[CalibratedOutput]) {
    let measured = outputs.iter().filter_map(|output| {
        Some((output.task.as_str(), output.before.as_ref()?, output.after.as_ref()?))
    });
    print_changes(measured);
    for output in outputs.iter().filter(|output| !output.kept) {
        if let Some(reason) = &output.skipped {
            say!("{} is not calibrated: {reason}", output.task);
        }
    }
}

/// A table of before and after; none without rows.
pub(crate) fn print_changes<'a>(
    changes: impl Iterator<Item = (&'a str, &'a Quality, &'a Quality)>,
) {
    let pair = |before: &mtl_eval::Measured, after: &mtl_eval::Measured, digits| {
        let (before, after) = (before.value(), after.value());
        format!("{} → {}", render::number(before, digits), render::number(after, digits))
    };
    let rows: Vec<Vec<String>> = changes
        .map(|(task, before, after)| {
            vec![
                task.to_owned(),
                pair(&before.pcoc, &after.pcoc, 3),
                pair(&before.log_loss, &after.log_loss, 4),
                pair(&before.ece, &after.ece, 4),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let header = ["calibrated", "pcoc", "log loss", "ece (equal mass)"].map(str::to_owned);
        render::table(&header, &rows);
    }
}
