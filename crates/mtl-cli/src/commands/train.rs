//! `mtl train`: one model, from a configuration to a folder.

mod kept;
mod lock;

use std::path::{Path, PathBuf};

use anyhow::Context;
use mtl_data::{Dataset, Loader, Reported, RowSource};
use mtl_model::Model;
use mtl_train::{
    Checkpoint, EpochRecord, Evaluation, Observer, RunConfig, Sampled, Scored, Trained,
    TrainingState, TruthOf, calibrate, check_start, check_test_rows, evaluate, fit, gates,
    measure_with_truth, summarise,
};

use self::kept::Kept;
use self::lock::Lock;
use crate::args::TrainArgs;
use crate::commands::CONFIG;
use crate::commands::calibrate::print_calibration;
use crate::commands::evaluate::{print_explained, print_metrics};
use crate::commands::explain::Explained;
use crate::commands::nesting::located;
use crate::commands::notes;
use crate::commands::outputs::STATE;
use crate::interrupt::{Interrupt, Interrupted};
use crate::progress::Bar;
use crate::{commands, render};

pub(crate) fn run(args: &TrainArgs, json: bool) -> anyhow::Result<()> {
    let mut config = RunConfig::read(&args.config)?;
    let spec = config.named_model()?;
    mtl_model::prepare_folder(&args.out)?;
    let _lock = Lock::of(&args.out)?;
    // Beside the model, where there must be room for it anyway.
    config.train.kept.folder = Some(parent(&args.out));
    commands::prepare_folder(args.figures.folder.as_deref())?;
    let interrupt = Interrupt::listen()?;
    let weights = args.init.as_deref().map(read).transpose()?;
    let before = args.from.as_deref().map(Model::load).transpose()?;
    if let (Some(before), Some(folder)) = (&before, &args.from) {
        check_start(before.spec(), &spec, folder)?;
    }
    let mut dataset = open_data(&config, args, before.as_ref())?;
    dataset.truth = config.truth(&dataset)?;
    if config.calibration.needs_rows() && dataset.validation.is_empty() {
        return Err(config.no_rows_to_calibrate().into());
    }
    let name = spec.model.name.clone();
    let in_file = |error: mtl_model::Error| config.in_file(error.into());
    let mut model = Model::new(spec, dataset.schema.clone(), config.train.seed).map_err(in_file)?;
    mtl_model::check_memory(model.graph().layout(), config.train.copies(true)).map_err(in_file)?;
    if let (Some(file), Some(weights)) = (&args.init, &weights) {
        let read = mtl_export::read_safetensors(&mut model.params, weights);
        read.with_context(|| file.display().to_string())?;
    }
    let partial = Partial::beside(&args.out);
    let start = start(args, &partial, before, &model, &config)?;
    check_explained(&dataset, args)?;
    let mut watch =
        Watch { bar: Bar::new(&name, interrupt.clone()), partial: &partial, failed: None };
    let notes = check_test_rows(model.spec(), &dataset);
    let notes = notes.map_err(|error| located(error.into(), &config.data))?;
    notes.iter().for_each(|note| watch.note(note));
    let tables = (&dataset.train, &dataset.validation);
    let fitted = fit(&mut model, tables, &config.train, start.as_ref(), &mut watch);
    if let Some(error) = watch.failed.take() {
        return Err(error.into());
    }
    drop(watch);
    let fitted = fitted.map_err(|error| rescue(error, &model, args));
    let fitted = fitted.map_err(|error| located(error, &config.data))?;
    if let Some(steps) = fitted.steps_partway() {
        let epoch = fitted.history.epochs.len() + 1;
        return Err(interrupted((epoch, steps), &partial, args).into());
    }
    // The state is in its file; the moments are let go before the model is measured and saved.
    let (history, train) = fitted.into_history();
    interrupt.ignore();
    let looked_at = rows_to_look_at(&dataset, &config)?;
    let calibration = calibrate(&mut model, &*looked_at, &config.calibration, Sampled::AsTrained)?;
    let Measured { validation, test, explained } =
        measured(&model, &dataset, &config.truths, args)?;
    let Explained { segments, importance } = explained;
    let parts = summarise(&train, &dataset)?;
    notes::groups_of_parts(&dataset.schema, &parts);
    let trained = Trained {
        gates: gates(&model, &*looked_at)?,
        model: name,
        version: env!("CARGO_PKG_VERSION"),
        parameters: model.n_parameters(),
        seed: config.train.seed,
        parts,
        history,
        calibration,
        validation,
        test,
        segments,
        importance,
        configuration: std::fs::read_to_string(&args.config)?,
    };
    save(&model, &trained, &partial, args)?;
    partial.remove();
    if json { render::json(&trained) } else { print(&trained, &args.out) }
}

/// Rows where they lie.
type Data = Dataset<Box<dyn RowSource>>;

/// The data, encoded by a schema of its own, or by that of the model to start from and what is new.
fn open_data(config: &RunConfig, args: &TrainArgs, before: Option<&Model>) -> anyhow::Result<Data> {
    let loader = Loader::new(&config.data, config.features.clone(), config.labels()?);
    let loader = loader.beside(&args.explain.by);
    let (Some(before), Some(folder)) = (before, &args.from) else { return Ok(loader.open()?) };
    let opened = loader.extending(before.schema()).open();
    opened.map_err(|error| match error {
        mtl_data::Error::Feature(error @ mtl_feature::Error::Differs { .. }) => {
            anyhow::Error::from(error).context(folder.display().to_string())
        }
        other => other.into(),
    })
}

/// Where training begins, if not at the beginning: the state of an interrupted run, or a model.
fn start(
    args: &TrainArgs,
    partial: &Partial,
    before: Option<Model>,
    model: &Model,
    config: &RunConfig,
) -> anyhow::Result<Option<TrainingState>> {
    let Some((before, folder)) = before.zip(args.from.as_deref()) else {
        return if args.resume { partial.find(Some(&args.out), model, config) } else { Ok(None) };
    };
    // What `--out` holds is another run's: it may be the model that this one starts from.
    let interrupted = if args.resume { partial.find(None, model, config)? } else { None };
    if interrupted.is_some() {
        return Ok(interrupted);
    }
    let file = folder.join(STATE);
    let saved = match file.exists() {
        true => Some(TrainingState::open(&file)?),
        false => None,
    };
    let carried = TrainingState::carried(&before, saved.as_ref(), model, &config.train);
    carried.map(Some).with_context(|| folder.display().to_string())
}

/// The validation rows, or training rows where there are none: of a stream, the first block.
fn rows_to_look_at<'d>(
    dataset: &'d Data,
    config: &RunConfig,
) -> anyhow::Result<Box<dyn RowSource + 'd>> {
    if !dataset.validation.is_empty() {
        return Ok(Box::new(&*dataset.validation));
    }
    let first = dataset.train.blocks(config.train.shuffle_rows).next();
    Ok(Box::new(first.transpose()?.unwrap_or_default().into_owned()))
}

/// The model's folder, with what training adds to it and what stays of the one before; `state` is that in which the run ended.
fn save(model: &Model, trained: &Trained, state: &Partial, args: &TrainArgs) -> anyhow::Result<()> {
    let metrics = serde_json::to_string_pretty(trained)?;
    let report = mtl_report::trained(trained)?;
    let (page, config) = (report.html(), trained.configuration.as_bytes());
    let more = [
        (CONFIG, config),
        (commands::METRICS, metrics.as_bytes()),
        (commands::REPORT, page.as_bytes()),
    ];
    let kept = Kept::of(&args.out, model)?;
    let there: Vec<_> = kept.files().chain([(STATE, state.0.as_path())]).collect();
    model.save_with(&args.out, &more, &there)?;
    kept.tell();
    commands::write_figures(&report, &args.figures)
}

/// A run that failed leaves its last good weights: they are saved beside the folder that it would have
/// written, which is left alone.
fn rescue(error: mtl_train::Error, model: &Model, args: &TrainArgs) -> anyhow::Error {
    let mtl_train::Error::Stopped { left, .. } = error else { return error.into() };
    let folder = beside(&args.out, "last-good");
    let config = std::fs::read(&args.config).unwrap_or_default();
    match model.save(&folder, &[(CONFIG, &config)]) {
        Ok(()) => anyhow::anyhow!("{error}; {left} are in {}", folder.display()),
        Err(unsaved) => anyhow::anyhow!("{error}; {left} are lost: {unsaved}"),
    }
}

/// What to say of a run that was stopped after so many steps of an epoch.
fn interrupted((epoch, steps): (usize, usize), partial: &Partial, args: &TrainArgs) -> Interrupted {
    let (state, config, out) = (partial.0.display(), args.config.display(), args.out.display());
    Interrupted(format!(
        "interrupted after step {steps} of epoch {epoch}; wrote {state}, from where \
         `mtl train {config} --out {out} --resume` goes on"
    ))
}

/// The folder that another lies in.
fn parent(folder: &Path) -> PathBuf {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

/// A file beside a folder, named after it.
fn beside(folder: &Path, name: &str) -> PathBuf {
    let of = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    folder.with_file_name(format!("{of}.{name}"))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// What is measured once training has ended.
struct Measured {
    validation: Option<Evaluation>,
    test: Option<Evaluation>,
    explained: Explained,
}

fn measured(
    model: &Model,
    dataset: &Data,
    truths: &[TruthOf],
    args: &TrainArgs,
) -> anyhow::Result<Measured> {
    let mut found = Measured { validation: None, test: None, explained: Explained::default() };
    let Some(Reported { part, rows, truth, beside }) = dataset.reported() else {
        return Ok(found);
    };
    let scored = Scored::of(model, rows)?;
    let evaluation = Some(measure_with_truth(model, &scored, truth, truths)?);
    found.explained = Explained::of(model, (rows, &scored), beside, &args.explain)?;
    if part == "validation" {
        return Ok(Measured { validation: evaluation, ..found });
    }
    if !dataset.validation.is_empty() {
        found.validation = Some(evaluate(model, &dataset.validation)?);
    }
    Ok(Measured { test: evaluation, ..found })
}

/// Before hours of training, not after.
fn check_explained(dataset: &Data, args: &TrainArgs) -> anyhow::Result<()> {
    let asked = !args.explain.by.is_empty() || args.explain.importance.is_some();
    if asked && dataset.reported().is_none() {
        let (file, expected) =
            (args.config.display(), "expected `test`, `validation` or `split` in [data]");
        anyhow::bail!("{file}: --by and --importance need rows to report on, {expected}");
    }
    Ok(())
}

/// The state of a run that has not ended: a file beside the folder it will write.
struct Partial(PathBuf);

impl Partial {
    fn beside(out: &Path) -> Self {
        Self(beside(out, STATE))
    }

    /// The state of an interrupted run, or else of the ended one in the folder.
    fn find(
        &self,
        out: Option<&Path>,
        model: &Model,
        config: &RunConfig,
    ) -> anyhow::Result<Option<TrainingState>> {
        for path in [Some(self.0.clone()), out.map(|out| out.join(STATE))].into_iter().flatten() {
            if path.exists() {
                let state = TrainingState::open(&path)?;
                state.check(model, &config.train)?;
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    fn remove(&self) {
        // The model is saved: what is left of its training is in its folder.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A progress bar that also writes the state after each epoch.
struct Watch<'a> {
    bar: Bar,
    partial: &'a Partial,
    failed: Option<mtl_train::Error>,
}

impl Observer for Watch<'_> {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, steps: usize) {
        self.bar.epoch_started(epoch, epochs, steps);
    }

    fn note(&mut self, text: &str) {
        self.bar.note(text);
    }

    fn step_done(&mut self, loss: f64) {
        self.bar.step_done(loss);
    }

    fn epoch_done(&mut self, record: &EpochRecord, is_best: bool) {
        self.bar.epoch_done(record, is_best);
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint<'_>) {
        if let Err(error) = checkpoint.write(&self.partial.0) {
            self.failed = Some(error);
        }
    }

    fn interrupts(&self) -> bool {
        self.bar.interrupts()
    }

    fn wants_to_stop(&self) -> bool {
        self.failed.is_some()
    }
}

fn print(trained: &Trained, out: &Path) -> anyhow::Result<()> {
    let history = &trained.history;
    let n = history.epochs.len();
    match (history.best_epoch, history.best) {
        (Some(epoch), Some(best)) => say!(
            "{}: {} parameters, {n} epochs in {:.1} s, best {} {best:.4} in epoch {epoch}",
            trained.model,
            trained.parameters,
            history.seconds(),
            history.monitor
        ),
        _ => say!(
            "{}: {} parameters, {n} epochs in {:.1} s, the last one kept ({})",
            trained.model,
            trained.parameters,
            history.seconds(),
            match trained.validation {
                Some(_) => format!("{} is undefined on the validation rows", history.monitor),
                None => "no rows to validate on".to_owned(),
            }
        ),
    }
    print_calibration(&trained.calibration);
    for (title, evaluation) in [("validation", &trained.validation), ("test", &trained.test)] {
        if let Some(evaluation) = evaluation {
            say!("\n{title}: {} rows", evaluation.rows);
            print_metrics(evaluation);
        }
    }
    if let Some((_, whole)) = trained.reported() {
        print_explained(whole, &trained.segments, trained.importance.as_ref());
    }
    say!("\nwrote {}", out.display());
    Ok(())
}
