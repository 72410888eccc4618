//! The training loop.

use std::sync::Arc;
use std::time::Instant;

use mtl_data::{RowSource, Shuffle};
use mtl_eval::Measured;
use mtl_feature::{FeatureTable, Feed};
use mtl_model::Model;
use mtl_nn::kernel::Kernels;
use mtl_nn::{Batch, Optimiser, Params, Step};
use serde::{Deserialize, Serialize};

use crate::evaluate::NamedMetrics;
use crate::last_good::{Kept, LastGood};
use crate::progress::Progress;
use crate::resume::{Checkpoint, Left, Past, SeenRows, Weights};
use crate::run_settings::RunSettings;
use crate::seen::Solves;
use crate::survey::Survey;
use crate::watch::Watch;
use crate::weighting::Weighting;
use crate::{
    Error, Monitor, Observer, Part, Result, TrainConfig, TrainingState, evaluate, nesting,
};

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Its number, from 1.
    pub epoch: usize,
    /// Each task's training loss, by name: the mean over the steps in which a row carries the
    /// label; `None` if no step had one.
    pub losses: Vec<(String, Option<f64>)>,
    /// The monitored metric on the validation rows, if it is defined.
    pub monitored: Option<f64>,
    /// Each measure on the validation rows; none without such rows.
    #[serde(default)]
    pub validation: Vec<Validated>,
    /// Mean norm of the gradient.
    pub gradient_norm: f64,
    /// Mean weight of each loss, by name, where a weighting gives them: over the steps in which a row
    /// carries its label, as with `losses`. A loss that no step has is left out.
    pub weights: Vec<(String, f64)>,
    /// Mean norm of each loss's gradient over the shared parameters, where it is taken: over the same
    /// steps, or those that [`LossConfig::watch`](crate::LossConfig::watch) looks at.
    pub loss_gradient_norms: Vec<(String, f64)>,
    /// Mean cosine between the gradients of two losses over the shared parameters, where they are
    /// taken: below 0 the losses conflict.
    pub cosines: Vec<(String, String, f64)>,
    /// How the weighting's inner problem was solved, where it has one.
    #[serde(default)]
    pub solves: Option<Solves>,
    /// Wall time of its training steps, in seconds, and of waiting for rows of a stream.
    pub seconds: f64,
}

/// A measure on the validation rows after an epoch; `None` where it is undefined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validated {
    /// The measure's name.
    pub task: String,
    /// AUC, of a probability.
    pub auc: Option<f64>,
    /// Log loss, of a probability or of several classes.
    pub log_loss: Option<f64>,
    /// RMSE, of a regression.
    pub rmse: Option<f64>,
}

impl Validated {
    fn of(named: &NamedMetrics) -> Self {
        let (binary, regression) = (named.metrics.binary(), named.metrics.regression());
        let classes = named.metrics.multiclass();
        Self {
            task: named.task.clone(),
            auc: binary.and_then(|report| report.auc.value()),
            log_loss: binary
                .map(|report| &report.log_loss)
                .or(classes.map(|report| &report.log_loss))
                .and_then(Measured::value),
            rmse: regression.and_then(|report| report.rmse.value()),
        }
    }
}

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The monitored metric's name.
    pub monitor: String,
    /// The epochs.
    pub epochs: Vec<EpochRecord>,
    /// The epoch whose weights were kept, from 1; `None` where there was nothing to choose by,
    /// and the last epoch's were.
    pub best_epoch: Option<usize>,
    /// The monitored metric of that epoch.
    pub best: Option<f64>,
    /// Whether patience ran out before the last epoch.
    pub stopped_early: bool,
}

impl History {
    /// Wall time of all training steps, in seconds.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.seconds).sum()
    }

    fn patience_ran_out(&self, patience: Option<usize>) -> bool {
        let (Some(patience), Some(best)) = (patience, self.best_epoch) else { return false };
        self.epochs.len() >= best + patience
    }
}

/// What a run leaves.
#[derive(Debug)]
pub struct Fitted {
    /// What happened.
    pub history: History,
    /// The training rows and their labels.
    pub train: Part,
    /// Weights and moments; they are let go with it.
    left: Left,
}

impl Fitted {
    /// A copy of that from which training goes on as if it had never stopped.
    ///
    /// # Errors
    /// [`Error::Resume`] if there is no room for it.
    pub fn state(&self) -> Result<TrainingState> {
        self.left.checkpoint().state()
    }

    /// What happened, and the training rows; weights and moments are let go.
    pub fn into_history(self) -> (History, Part) {
        (self.history, self.train)
    }

    /// The steps that were done of an epoch that was interrupted; `None` between epochs.
    pub fn steps_partway(&self) -> Option<usize> {
        self.left.past.steps_partway()
    }
}

/// Trains `model` in place and leaves the weights of the best epoch in it (of the last one, where
/// `validation` has no rows to choose by).
///
/// `resume` goes on from an earlier run's state: the result is the same, bit for bit, as without
/// the interruption, within an epoch ([`Observer::interrupts`]) or after one. Another optimiser's rate
/// or another dropout is noted and taken. Everything is a function of the settings, the seed and the rows.
///
/// Training rows come in blocks of [`TrainConfig::shuffle_rows`]; they are shuffled within a block, and
/// a batch is of one block. Where rows lie changes nothing: a stream is trained on as a table of the
/// same rows is, once both have blocks of the same size. One more pass, before the first step, looks
/// whether rows can be trained on.
///
/// # Errors
/// Training rows that are none, carry no label of a task, cannot be read, or are not those of `resume`,
/// and so of validation; a [`TrainConfig::loss`], losses of tasks, a chain or a monitor that are not those
/// of `resume`.
/// [`Error::Stopped`] for a loss, gradient or prediction that is not finite, or weights of losses that cannot
/// be found; `model` then has the last good weights, and the error says which those are.
/// [`Error::BestWeights`] where [`TrainConfig::kept`] has no room for them.
pub fn fit<R: RowSource + ?Sized, V: RowSource + ?Sized>(
    model: &mut Model,
    (train, validation): (&R, &V),
    config: &TrainConfig,
    resume: Option<&TrainingState>,
    observer: &mut dyn Observer,
) -> Result<Fitted> {
    config.check(&model.measures())?;
    let survey = Survey::of(model, (train, validation), config)?;
    for (part, violations) in &survey.violations {
        nesting::note(observer, *part, violations);
    }
    let mut run = Run::new(model, &survey, config, resume)?;
    let is_ended = run.history.epochs.len() >= config.epochs || run.history.stopped_early;
    for change in resume.map(|state| state.changed_settings(&run.settings)).unwrap_or_default() {
        if !is_ended {
            observer.note(&format!("{change}: what is left of the run is trained with that"));
        }
    }
    let mut is_noted = false;
    while run.history.epochs.len() < config.epochs && !run.history.stopped_early {
        let number = run.history.epochs.len() + 1;
        observer.epoch_started(number, config.epochs, survey.steps);
        is_noted = true;
        let Some(mut record) = run.epoch(model, train, number, observer)? else {
            observer.checkpoint(&run.checkpoint(&model.params));
            break;
        };
        if !validation.is_empty() {
            let found = evaluate(model, validation).map_err(|error| match error {
                Error::Metric(_) => run.go_back(error, model),
                other => other,
            })?;
            record.monitored = run.monitor.value(&found);
            record.validation = found.tasks.iter().map(Validated::of).collect();
        }
        let is_best = run.finish_epoch(record.clone(), &model.params)?;
        observer.epoch_done(&record, is_best);
        observer.checkpoint(&run.checkpoint(&model.params));
        if observer.wants_to_stop() {
            break;
        }
    }
    if !is_noted {
        observer.checkpoint(&run.checkpoint(&model.params));
    }
    let (history, left) = run.end(model)?;
    Ok(Fitted { history, train: survey.part, left })
}

/// A run in progress.
struct Run<'t> {
    config: &'t TrainConfig,
    rows: SeenRows,
    settings: RunSettings,
    batch: Batch<f32>,
    step: Step<f32>,
    optimiser: Optimiser<f32>,
    weights: Vec<f64>,
    weighting: Option<Weighting>,
    watch: Option<Watch>,
    monitor: Monitor,
    history: History,
    /// The epoch that was interrupted.
    partway: Option<Progress>,
    kept: Kept,
}

impl<'t> Run<'t> {
    fn new(
        model: &mut Model,
        survey: &Survey,
        config: &'t TrainConfig,
        resume: Option<&TrainingState>,
    ) -> Result<Self> {
        let monitor = match &config.monitor {
            Some(name) => Monitor::parse(name, &model.measures()).map_err(|expected| {
                Error::Data(format!("monitor `{name}`: expected {expected}"))
            })?,
            None => Monitor::default_for(&model.measures()),
        };
        let graph = Arc::clone(model.graph());
        let layout = graph.layout();
        let mut history = History { monitor: monitor.name().to_owned(), ..History::default() };
        mtl_model::check_memory(layout, config.copies(false))?;
        let settings = RunSettings::of(model, config);
        let mut kept = None;
        let optimiser = match resume {
            None => Optimiser::new(config.optimiser(), layout)?,
            Some(state) => {
                state.check_rows(survey)?;
                state.check_settings(&settings)?;
                history = History { monitor: history.monitor, ..state.history().clone() };
                // More epochs or more patience than before: that is what resuming is for.
                history.stopped_early = history.patience_ran_out(config.patience);
                let of = history.best_epoch.map_or(LastGood::Start, LastGood::Epoch);
                if state.restore_best(&mut model.params)? {
                    kept = Some(Kept::resumed(&config.kept, &model.params, of)?);
                }
                state.restore_weights(&mut model.params)?;
                state.optimiser(config, layout)?
            }
        };
        let kept = match kept {
            Some(kept) => kept,
            None => Kept::start(&config.kept, &model.params)?,
        };
        let partway = resume.and_then(|state| state.partway().cloned());
        let rule = config.optimiser().dense;
        let mut weighting = Weighting::of_model(&config.loss, model, &survey.initial_losses, rule)?;
        let mut step = match &weighting {
            Some(weighting) => weighting.step(Arc::clone(&graph), config.loss.shared)?,
            None => Step::new(Arc::clone(&graph))?,
        };
        if let (Some(weighting), Some(state)) = (&mut weighting, resume) {
            state.restore_weighting(weighting, &mut step)?;
        }
        let kernels = Kernels::new(config.precision);
        let watch = Watch::of_model(&config.loss, model, weighting.as_ref(), kernels)?;
        Ok(Self {
            config,
            rows: SeenRows::of(survey),
            settings,
            batch: Batch::for_graph(&graph),
            weights: model.loss_weights().to_vec(),
            step: step.with_kernels(kernels),
            weighting,
            watch,
            optimiser,
            monitor,
            history,
            partway,
            kept,
        })
    }

    /// One epoch, or the rest of it; `None` if it was interrupted.
    fn epoch<R: RowSource + ?Sized>(
        &mut self,
        model: &mut Model,
        train: &R,
        number: usize,
        observer: &mut dyn Observer,
    ) -> Result<Option<EpochRecord>> {
        let started = Instant::now();
        let graph = Arc::clone(model.graph());
        let seed = self.config.seed;
        let mut progress = self.partway.take().unwrap_or_else(|| Progress::new(self.weights.len()));
        let (before, mut done) = (progress.seconds, progress.steps());
        for (i, block) in train.blocks(self.config.shuffle_rows).enumerate() {
            let block = block?;
            let feed = Feed::new(&graph, &block)?;
            let shuffle = Shuffle::of_block(block.n_rows(), seed, number as u64, i as u64);
            let batches = shuffle.batches(self.config.batch_size);
            let steps = batches.len();
            for rows in batches.skip(done) {
                feed.fill(rows, &mut self.batch);
                let updates = self.optimiser.steps();
                match self.step(model, &mut progress) {
                    Ok(loss) => observer.step_done(loss),
                    Err(error) => return Err(self.stop(error, model, &block, updates)),
                }
                if observer.interrupts() {
                    progress.seconds = before + started.elapsed().as_secs_f64();
                    self.partway = Some(progress);
                    return Ok(None);
                }
            }
            done = done.saturating_sub(steps);
        }
        if let Some(weighting) = &mut self.weighting {
            weighting.end_epoch();
        }
        progress.seconds = before + started.elapsed().as_secs_f64();
        // An epoch's last update is looked at as all others are: by the losses after it. A run that
        // was resumed after the last step of an epoch has no batch.
        if self.batch.rows > 0 {
            self.look(&model.params).map_err(|error| self.go_back(error, model))?;
        }
        let names = graph.losses().iter().map(|(name, _)| name.clone()).collect();
        Ok(Some(progress.record(number, names)))
    }

    /// One step on the batch; the weighted sum of its losses.
    fn step(&mut self, model: &mut Model, progress: &mut Progress) -> Result<f64> {
        let (params, optimiser, seed) = (&mut model.params, &mut self.optimiser, self.config.seed);
        let (step, batch, weights) = (&mut self.step, &self.batch, &self.weights);
        if let Some(watch) = &mut self.watch {
            let when = (seed, optimiser.steps() + 1, progress.steps());
            if let Some(watched) = watch.look(params, batch, weights, when)? {
                progress.add_watched(watched);
            }
        }
        match &mut self.weighting {
            None => _ = step.run(params, optimiser, batch, weights, seed)?,
            Some(weighting) => {
                weighting.run(step, params, optimiser, batch, (weights, seed))?;
                progress.add_weighed(step, weighting.solve());
            }
        }
        Ok(progress.add(&step.last_report(), weights))
    }

    /// Looks at the losses of the last batch with these weights; where no weighting keeps the values
    /// of a step, at their gradient too.
    fn look(&mut self, params: &Params<f32>) -> Result<()> {
        let (optimiser, batch, weights) = (&self.optimiser, &self.batch, &self.weights);
        let (seed, next) = (self.config.seed, self.optimiser.steps() + 1);
        match self.weighting {
            None => self.step.gradients(params, optimiser, batch, weights, seed).map(drop)?,
            Some(_) => self.step.second_look(params, batch, weights, (seed, next)).map(drop)?,
        }
        Ok(())
    }

    /// After a step that failed: the weights before it stay in `model` if they give finite losses, or
    /// if it is the rows that do not, and their predictions of the block are finite. Otherwise, and
    /// where the step had updated them before it failed, the model goes back to what is kept.
    fn stop(
        &mut self,
        cause: Error,
        model: &mut Model,
        block: &FeatureTable,
        updates: u64,
    ) -> Error {
        let is_finite = |p: mtl_model::Predictions| p.values().iter().all(|p| p.is_finite());
        if self.optimiser.steps() == updates {
            let before_step =
                |cause| Error::Stopped { cause: Box::new(cause), left: LastGood::BeforeStep };
            if self.look(&model.params).is_ok() {
                return before_step(cause);
            }
            match self.rows_are_at_fault(model) {
                Ok(true) if model.predict(block).is_ok_and(is_finite) => return before_step(cause),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        self.go_back(cause, model)
    }

    /// Whether the last batch has no finite losses with the weights that are kept either.
    fn rows_are_at_fault(&mut self, model: &mut Model) -> Result<bool> {
        self.kept.exchange(&mut model.params)?;
        let looked = self.look(&model.params);
        self.kept.exchange(&mut model.params)?;
        Ok(looked.is_err())
    }

    /// Leaves in `model` the weights that are kept.
    fn go_back(&mut self, cause: Error, model: &mut Model) -> Error {
        match self.kept.restore(&mut model.params) {
            Ok(()) => Error::Stopped { cause: Box::new(cause), left: self.kept.of },
            Err(error) => error,
        }
    }

    /// Notes an epoch and keeps its weights if they are the best; returns whether they are.
    fn finish_epoch(&mut self, record: EpochRecord, params: &Params<f32>) -> Result<bool> {
        let history = &mut self.history;
        let better = record.monitored.is_some_and(|v| self.monitor.improves(v, history.best));
        if better {
            history.best = record.monitored;
            history.best_epoch = Some(record.epoch);
        }
        self.kept.epoch_done(record.epoch, params, better)?;
        history.epochs.push(record);
        history.stopped_early = history.patience_ran_out(self.config.patience)
            && history.epochs.len() < self.config.epochs;
        Ok(better)
    }

    fn checkpoint<'r>(&'r self, params: &'r Params<f32>) -> Checkpoint<'r> {
        Checkpoint {
            past: self.past(),
            layout: self.step.graph().layout(),
            weights: Weights::Live(params),
            best: self.kept.best(),
            optimiser: &self.optimiser,
            store: &self.config.kept,
        }
    }

    fn past(&self) -> Past {
        let weighting = self.weighting.as_ref().map(|weighting| weighting.state(&self.step));
        let (history, seen) =
            ((&self.history, self.partway.as_ref()), (&self.rows, &self.settings));
        Past::of(history, self.config, seen, weighting)
    }

    /// Leaves the best weights in `model`, and what training would go on from.
    fn end(self, model: &mut Model) -> Result<(History, Left)> {
        let past = self.past();
        let Self { kept, optimiser, history, config, .. } = self;
        let last = config.kept.keep(&model.params)?;
        let best = kept.into_best();
        if let Some(best) = &best {
            best.restore(&mut model.params)?;
        }
        let (layout, store) = (Arc::clone(model.graph().layout()), config.kept.clone());
        Ok((history, Left { past, layout, last, best, optimiser, store }))
    }
}
