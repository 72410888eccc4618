//! The state of a training run between epochs, and within one.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use mtl_data::Part;
use mtl_model::Model;
use mtl_nn::checkpoint::{self, Damage, SavedEntry, SavedOptimiser};
use mtl_nn::kernel::Precision;
use mtl_nn::{Layout, Optimiser, Params, Step};
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::progress::Progress;
use crate::run_settings::RunSettings;
use crate::state_file::{Shape, Source, begin, section, section_of};
use crate::survey::Survey;
use crate::value_stream::WORD;
use crate::weight_store::{StoredWeights, write_section};
use crate::weighting::{Weighting, WeightingState};
use crate::{Error, History, Result, TrainConfig, WeightStore};

/// How every version's kind begins.
const KINDS: &str = "mtl training state ";
/// Numbered anew whenever what it holds changes.
const KIND: &str = "mtl training state 8";

/// Everything that goes on changing in a run: weights, the best weights, the optimiser's moments
/// and the history. From it training continues bit for bit.
///
/// Values lie where the state was made or read: in memory, or in a file, from which they are read when a
/// run takes it up.
#[derive(Clone, Debug)]
pub struct TrainingState {
    head: Head,
    source: Source,
    /// Where the sections begin: weights, the best ones if there are, the first moments, the second.
    starts: Vec<u64>,
    /// Its name in messages.
    file: String,
}

/// What a state has beside values.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Head {
    past: Past,
    /// Whether the best epoch's weights are there.
    has_best: bool,
    weights: Vec<Shape>,
    steps: u64,
    dense_rule: String,
    table_rule: String,
    moments: [Vec<Shape>; 2],
}

/// How a run came to where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Past {
    history: History,
    /// An epoch that was interrupted.
    partway: Option<Progress>,
    seed: u64,
    batch_size: usize,
    precision: Precision,
    /// None before the first epoch.
    rows: Option<SeenRows>,
    weighting: Option<WeightingState>,
    /// None before the first epoch.
    settings: Option<RunSettings>,
}

/// The rows that a run is trained on, how many of them shuffle among themselves, and those that it is
/// judged by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SeenRows {
    rows: Fingerprint,
    judges: Fingerprint,
    block_rows: usize,
}

impl SeenRows {
    pub(crate) fn of(survey: &Survey) -> Self {
        let (rows, judges) = (survey.rows.clone(), survey.judges.clone());
        Self { rows, judges, block_rows: survey.block_rows }
    }
}

impl Past {
    pub(crate) fn of(
        (history, partway): (&History, Option<&Progress>),
        config: &TrainConfig,
        (rows, settings): (&SeenRows, &RunSettings),
        weighting: Option<WeightingState>,
    ) -> Self {
        Self {
            history: history.clone(),
            partway: partway.cloned(),
            rows: Some(rows.clone()),
            weighting,
            settings: Some(settings.clone()),
            ..Self::none(config)
        }
    }

    /// Before the first epoch.
    pub(crate) fn none(config: &TrainConfig) -> Self {
        Self {
            history: History::default(),
            partway: None,
            seed: config.seed,
            batch_size: config.batch_size,
            precision: config.precision,
            rows: None,
            weighting: None,
            settings: None,
        }
    }

    pub(crate) fn steps_partway(&self) -> Option<usize> {
        self.partway.as_ref().map(Progress::steps)
    }
}

/// A run as it stands: what it would be resumed from, not copied yet.
#[derive(Debug)]
pub struct Checkpoint<'r> {
    pub(crate) past: Past,
    pub(crate) layout: &'r Layout,
    pub(crate) weights: Weights<'r>,
    pub(crate) best: Option<&'r StoredWeights>,
    pub(crate) optimiser: &'r Optimiser<f32>,
    pub(crate) store: &'r WeightStore,
}

/// The weights that are trained.
#[derive(Debug)]
pub(crate) enum Weights<'r> {
    Live(&'r Params<f32>),
    Stored(&'r StoredWeights),
}

impl Checkpoint<'_> {
    /// Writes the state to a file, through a buffer: a file beside it, made durable, takes its place, so
    /// that a crash leaves the old state or the new one.
    ///
    /// # Errors
    /// [`mtl_nn::Error::File`], naming the path.
    pub fn write(&self, path: &Path) -> Result<()> {
        let written = replace(path, |to| self.write_to(to));
        written.map_err(|source| Error::from(mtl_nn::Error::File { path: path.to_owned(), source }))
    }

    /// A copy of the state, which lies where the run keeps its best weights.
    ///
    /// # Errors
    /// [`Error::Resume`] if there is no room for it.
    pub fn state(&self) -> Result<TrainingState> {
        TrainingState::written(self.store, &self.head(), |to| self.write_to(to))
    }

    fn head(&self) -> Head {
        let config = self.optimiser.config();
        Head {
            past: self.past.clone(),
            has_best: self.best.is_some(),
            weights: Shape::of(self.layout),
            steps: self.optimiser.steps(),
            dense_rule: config.dense.kind().to_owned(),
            table_rule: config.table_rule().kind().to_owned(),
            moments: [0, 1]
                .map(|moment| Shape::of_matrices(&self.optimiser.moments(self.layout, moment))),
        }
    }

    fn write_to(&self, to: &mut dyn Write) -> io::Result<()> {
        begin(to, KIND, &self.head())?;
        match self.weights {
            Weights::Live(params) => write_section(to, params)?,
            Weights::Stored(stored) => stored.write_to(to)?,
        }
        if let Some(best) = self.best {
            best.write_to(to)?;
        }
        section_of(to, &self.optimiser.moments(self.layout, 0))?;
        section_of(to, &self.optimiser.moments(self.layout, 1))
    }
}

/// Writes a file so that a reader sees the old one or the new one.
fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mtl-state-");
    // A temporary file is its owner's alone; a state is for others to read as any file is.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder)?;
    let mut to = BufWriter::new(file.as_file());
    write(&mut to)?;
    to.flush()?;
    drop(to);
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename is durable too. Only Unix opens a folder as a file.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

impl Head {
    fn new(past: Past, weights: Vec<Shape>, has_best: bool, saved: &SavedOptimiser) -> Self {
        Self {
            past,
            has_best,
            weights,
            steps: saved.steps,
            dense_rule: saved.dense_rule.clone(),
            table_rule: saved.table_rule.clone(),
            moments: [&saved.first, &saved.second].map(|moment| Shape::of_entries(moment)),
        }
    }

    /// The matrices of each section, in order.
    fn sections(&self) -> Vec<&[Shape]> {
        let best = self.has_best.then_some(&self.weights[..]);
        let [first, second] = &self.moments;
        [&self.weights[..]].into_iter().chain(best).chain([&first[..], &second[..]]).collect()
    }
}

fn precision(of: Precision) -> String {
    match of {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    }
    .to_owned()
}

impl TrainingState {
    /// A state that `write` writes where `store` says.
    fn written(
        store: &WeightStore,
        head: &Head,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self> {
        let file = "the training state".to_owned();
        let n_values = head.sections().into_iter().flatten().map(Shape::n_values).sum::<u64>();
        let made = store.file(WORD as u64 * n_values).and_then(|made| Source::write(made, write));
        match made {
            Ok(source) => Self::of(source, file),
            Err(error) => {
                let folder = store.folder().display().to_string();
                Err(Error::Resume { file, message: format!("cannot be kept in {folder}: {error}") })
            }
        }
    }

    /// The state in which a run begins with these weights and moments.
    pub(crate) fn unstarted(
        config: &TrainConfig,
        weights: &[SavedEntry],
        saved: &SavedOptimiser,
    ) -> Result<Self> {
        let head = Head::new(Past::none(config), Shape::of_entries(weights), false, saved);
        Self::written(&config.kept, &head, |to| {
            begin(to, KIND, &head)?;
            section(to, weights)?;
            section(to, &saved.first)?;
            section(to, &saved.second)
        })
    }

    /// The epochs so far.
    pub const fn history(&self) -> &History {
        &self.head.past.history
    }

    /// The steps that were done of an epoch that was interrupted; `None` between epochs.
    pub fn steps_partway(&self) -> Option<usize> {
        self.head.past.steps_partway()
    }

    pub(crate) fn partway(&self) -> Option<&Progress> {
        self.head.past.partway.as_ref()
    }

    /// The state as bytes of a file.
    ///
    /// # Errors
    /// [`Error::Resume`] if the file that it lies in cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.source.bytes().map_err(|error| self.error(error.to_string()))
    }

    /// Reads what [`TrainingState::to_bytes`] wrote; `file` names it in messages.
    ///
    /// # Errors
    /// [`Error::Resume`] if the bytes are no such state.
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self> {
        Self::of(Source::Bytes(bytes.into()), file.to_owned())
    }

    /// The state in a file, which must stay as it is until a run has taken the state up: its values are
    /// read then. They are looked at here.
    ///
    /// # Errors
    /// [`Error::Resume`] if the file cannot be read or holds no such state.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        match Source::open(path) {
            Ok(source) => Self::of(source, file),
            Err(error) => Err(Error::Resume { file, message: error.to_string() }),
        }
    }

    fn of(source: Source, file: String) -> Result<Self> {
        let wrong = |message: String| Error::Resume { file: file.clone(), message };
        let unread = |error: io::Error| wrong(error.to_string());
        let line = source.line(KINDS).map_err(unread)?;
        let (bytes, start) = match &line {
            Some(line) if line == KIND => source.head(line).map_err(unread)?,
            Some(other) => return Err(wrong(of_another_version(other))),
            // Until version 6 all of it was one checkpoint.
            None => (source.bytes().map_err(unread)?, 0),
        };
        let head: Head = match checkpoint::decode(KIND, &bytes) {
            Ok(head) => head,
            Err(mtl_nn::Error::Checkpoint(Damage::Kind { found, .. }))
                if found.starts_with(KINDS) =>
            {
                return Err(wrong(of_another_version(&found)));
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        let starts = source.sections(start, &head.sections()).map_err(unread)?;
        Ok(Self { head, source, starts, file })
    }

    /// Whether the settings that a run may not change are those of `config`, and the parameters those
    /// of `model`. That the rows are the same is for [`fit`](crate::fit) to see.
    ///
    /// # Errors
    /// [`Error::Resume`], naming what differs.
    pub fn check(&self, model: &Model, config: &TrainConfig) -> Result<()> {
        let past = &self.head.past;
        let pairs = [
            ("seed", past.seed.to_string(), config.seed.to_string()),
            ("batch_size", past.batch_size.to_string(), config.batch_size.to_string()),
            ("precision", precision(past.precision), precision(config.precision)),
        ];
        if let Some((name, was, is)) = pairs.into_iter().find(|(_, was, is)| was != is) {
            return Err(self.error(format!("`{name}` was {was}, and is {is} now")));
        }
        self.check_settings(&RunSettings::of(model, config))?;
        self.check_weights(model.graph().layout())
            .and_then(|()| self.check_rules(config))
            .map_err(|error| self.error(format!("is of another model: {error}")))
    }

    /// Whether what is optimised, and by what it is judged, are those of the run so far: what a weighting
    /// has learnt is of no use to another, the best value of a metric none to another, and a run under
    /// two of them is a run of neither.
    pub(crate) fn check_settings(&self, now: &RunSettings) -> Result<()> {
        match self.head.past.settings.as_ref().and_then(|was| was.refused(now)) {
            Some(difference) => Err(self.error(difference)),
            None => Ok(()),
        }
    }

    /// The settings that a run may change, and that are not those of the run so far.
    pub(crate) fn changed_settings(&self, now: &RunSettings) -> Vec<String> {
        self.head.past.settings.as_ref().map(|was| was.changed(now)).unwrap_or_default()
    }

    /// Whether the rows are those of the run so far.
    pub(crate) fn check_rows(&self, survey: &Survey) -> Result<()> {
        let Some(SeenRows { rows, judges, block_rows }) = &self.head.past.rows else {
            return Ok(());
        };
        let of_train = rows.difference(&survey.rows, Part::Train);
        let of_validation = || judges.difference(&survey.judges, Part::Validation);
        if let Some(difference) = of_train.or_else(of_validation) {
            return Err(self.error(difference));
        }
        let (was, is) = (block_rows, survey.block_rows);
        match was == &is {
            true => Ok(()),
            false => Err(self.error(format!("`shuffle_rows` was {was}, and is {is} now"))),
        }
    }

    /// Whether the weights are those of a layout, in any order.
    pub(crate) fn check_weights(&self, layout: &Layout) -> mtl_nn::Result<()> {
        check_shapes(&self.head.weights, Shape::of(layout))
    }

    /// Whether the moments are those of the optimiser's rules.
    fn check_rules(&self, config: &TrainConfig) -> mtl_nn::Result<()> {
        let optimiser = config.optimiser();
        for (what, found, rule) in [
            ("dense parameters", &self.head.dense_rule, optimiser.dense),
            ("tables", &self.head.table_rule, optimiser.table_rule()),
        ] {
            let expected = rule.kind();
            if found != expected {
                return Err(Damage::Rule { what, found: found.clone(), expected }.into());
            }
        }
        Ok(())
    }

    fn error(&self, message: String) -> Error {
        Error::Resume { file: self.file.clone(), message }
    }

    /// Overwrites a model's weights by those of the state.
    pub(crate) fn restore_weights(&self, params: &mut Params<f32>) -> Result<()> {
        self.restore(0, params)
    }

    /// Overwrites a model's weights by the best epoch's; returns whether the state has them.
    pub(crate) fn restore_best(&self, params: &mut Params<f32>) -> Result<bool> {
        if self.head.has_best {
            self.restore(1, params)?;
        }
        Ok(self.head.has_best)
    }

    fn restore(&self, section: usize, params: &mut Params<f32>) -> Result<()> {
        self.check_weights(params.layout())?;
        let mut read = || -> io::Result<()> {
            let mut from = self.source.reader(self.starts[section])?;
            self.head.weights.iter().try_for_each(|shape| from.take_entry(params, &shape.path))?;
            from.finish()
        };
        read().map_err(|error| self.error(error.to_string()))
    }

    /// The sections of the moments.
    fn moments(&self) -> [(usize, &[Shape]); 2] {
        let (first, [of_first, of_second]) =
            (1 + usize::from(self.head.has_best), &self.head.moments);
        [(first, of_first), (first + 1, of_second)]
    }

    /// The optimiser's moments, copied.
    pub(crate) fn saved_optimiser(&self) -> Result<SavedOptimiser> {
        let head = &self.head;
        let entries = |(section, shapes): (usize, &[Shape])| {
            let found = self.source.entries(self.starts[section], shapes);
            found.map_err(|error| self.error(error.to_string()))
        };
        let [first, second] = self.moments();
        Ok(SavedOptimiser {
            steps: head.steps,
            dense_rule: head.dense_rule.clone(),
            table_rule: head.table_rule.clone(),
            first: entries(first)?,
            second: entries(second)?,
        })
    }

    pub(crate) fn restore_weighting(
        &self,
        weighting: &mut Weighting,
        step: &mut Step<f32>,
    ) -> Result<()> {
        let past = &self.head.past;
        match &past.weighting {
            Some(state) => weighting.restore(state, step, past.history.epochs.len() as u64),
            // A weighting starts with the first epoch.
            None => Ok(()),
        }
    }

    pub(crate) fn optimiser(
        &self,
        config: &TrainConfig,
        layout: &Layout,
    ) -> Result<Optimiser<f32>> {
        self.check_rules(config)?;
        let mut optimiser = Optimiser::new(config.optimiser(), layout)?;
        for (moment, (section, shapes)) in self.moments().into_iter().enumerate() {
            let expected = Shape::of_matrices(&optimiser.moments(layout, moment));
            check_shapes(shapes, expected)?;
            let mut read = || -> io::Result<()> {
                let mut from = self.source.reader(self.starts[section])?;
                for shape in shapes {
                    let of = (moment, shape.path.as_str());
                    optimiser.fill_moment(layout, of, |values| from.take(values))?;
                }
                from.finish()
            };
            read().map_err(|error| self.error(error.to_string()))?;
        }
        Ok(optimiser.with_steps(self.head.steps))
    }
}

/// Whether matrices are those expected, in any order.
fn check_shapes(found: &[Shape], mut missing: Vec<Shape>) -> mtl_nn::Result<()> {
    let mut unexpected = Vec::new();
    for found in found {
        let Some(i) = missing.iter().position(|shape| shape.path == found.path) else {
            unexpected.push(found.path.clone());
            continue;
        };
        let expected = missing.swap_remove(i);
        if expected != *found {
            let [found_rows, found_cols] = [found.rows, found.cols].map(|n| n as usize);
            let [rows, cols] = [expected.rows, expected.cols].map(|n| n as usize);
            let path = expected.path;
            return Err(mtl_nn::Error::ParameterShape { path, found_rows, found_cols, rows, cols });
        }
    }
    if missing.is_empty() && unexpected.is_empty() {
        return Ok(());
    }
    let mut missing: Vec<String> = missing.into_iter().map(|shape| shape.path).collect();
    missing.sort();
    unexpected.sort();
    Err(mtl_nn::Error::Paths { missing, unexpected })
}

fn of_another_version(found: &str) -> String {
    format!(
        "it was written by another version (`{found}`, expected `{KIND}`) and cannot be taken up: \
         expected training from the beginning, or without this file"
    )
}

/// What a run leaves to be resumed from.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) past: Past,
    pub(crate) layout: Arc<Layout>,
    /// The weights that it ended with, which are not those of the model if another epoch was best.
    pub(crate) last: StoredWeights,
    pub(crate) best: Option<StoredWeights>,
    pub(crate) optimiser: Optimiser<f32>,
    pub(crate) store: WeightStore,
}

impl Left {
    pub(crate) fn checkpoint(&self) -> Checkpoint<'_> {
        Checkpoint {
            past: self.past.clone(),
            layout: &self.layout,
            weights: Weights::Stored(&self.last),
            best: self.best.as_ref(),
            optimiser: &self.optimiser,
            store: &self.store,
        }
    }
}
