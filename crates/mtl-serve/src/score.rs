//! The threads that score: requests in, bodies out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};
use std::time::Instant;

use axum::body::Bytes;
use mtl_feature::{FeatureTable, Targets};
use mtl_model::{Predictions, Scorer};
use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::problem::{Part, Problem};
use crate::queue::{Queue, Take};
use crate::request::Request;

/// The body of an answer.
pub(crate) type Reply = Result<Vec<u8>, Problem>;

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) body: Bytes,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What sockets and scoring threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) loaded: RwLock<Arc<Loaded>>,
    pub(crate) queue: Queue<Job>,
    pub(crate) metrics: Metrics,
}

impl Shared {
    /// The model of this moment; a request keeps the one that it began with.
    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        let loaded = self.loaded.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(&loaded)
    }

    /// Puts another model in the place of the present one.
    pub(crate) fn swap(&self, new: Loaded) {
        let mut loaded = self.loaded.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *loaded = Arc::new(new);
    }
}

/// Scores until the queue is closed and empty.
pub(crate) fn work(shared: &Shared, take: Take) {
    let mut thread = Thread::new(shared.loaded());
    while !shared.queue.is_done() {
        let mut jobs = shared.queue.take(take);
        // Nobody waits for an answer after its time.
        jobs.retain(|job| !job.reply.is_closed());
        if jobs.is_empty() {
            continue;
        }
        let start = Instant::now();
        shared.metrics.batch_requests.observe(jobs.len() as f64);
        let loaded = shared.loaded();
        if !Arc::ptr_eq(&loaded, &thread.loaded) {
            thread = Thread::new(loaded);
        }
        // A bug that panics costs its batch an answer (500), not the server a thread.
        let scored = catch_unwind(AssertUnwindSafe(|| thread.score(jobs)));
        match scored {
            Ok(rows) => drop(shared.metrics.rows.inc_by(rows as u64)),
            Err(_) => thread = Thread::new(shared.loaded()),
        }
        shared.metrics.scoring_seconds.observe(start.elapsed().as_secs_f64());
    }
}

/// A model with one thread's buffers.
struct Thread {
    loaded: Arc<Loaded>,
    scorer: Scorer,
}

/// A request among the rows that are scored together.
struct Placed {
    request: Request,
    rows: std::ops::Range<usize>,
    reply: oneshot::Sender<Reply>,
}

impl Thread {
    fn new(loaded: Arc<Loaded>) -> Self {
        Self { scorer: loaded.scorer.another(), loaded }
    }

    /// Answers every job; returns the number of rows scored.
    fn score(&mut self, jobs: Vec<Job>) -> usize {
        let loaded = Arc::clone(&self.loaded);
        let schema = loaded.model.schema();
        let encoder = match schema.encoder(loaded.inputs.columns(), Targets::Ignored) {
            Ok(encoder) => encoder,
            Err(error) => {
                let problem = Problem::failed(error.to_string());
                jobs.into_iter().for_each(|job| drop(job.reply.send(Err(problem.clone()))));
                return 0;
            }
        };
        let (mut together, mut placed, mut n_rows) = (encoder.table(), Vec::new(), 0);
        for job in jobs {
            let request = match Request::parse(&job.body, &loaded.inputs)
                .and_then(|request| checked(request, &loaded))
            {
                Ok(request) => request,
                Err(problem) => {
                    drop(job.reply.send(Err(problem)));
                    continue;
                }
            };
            n_rows += request.chunk.n_rows();
            // A user's candidates are scored by themselves: what they share is computed once.
            let alone = request.part == Part::Candidates;
            let mut own = if alone { Some(encoder.table()) } else { None };
            let table = own.as_mut().unwrap_or(&mut together);
            let start = table.n_rows();
            if let Err(error) = encoder.encode(&request.chunk, table) {
                drop(job.reply.send(Err(Problem::encoding(part_of(&request, &error), error))));
                continue;
            }
            let rows = start..table.n_rows();
            let one = Placed { request, rows, reply: job.reply };
            match own {
                Some(table) => self.answer(&table, vec![one], true),
                None => placed.push(one),
            }
        }
        self.answer(&together, placed, false);
        n_rows
    }

    fn answer(&mut self, table: &FeatureTable, placed: Vec<Placed>, candidates: bool) {
        if placed.is_empty() {
            return;
        }
        let scorer = &mut self.scorer;
        let scored = if candidates { scorer.score_candidates(table) } else { scorer.score(table) };
        for Placed { request, rows, reply } in placed {
            let answer = match &scored {
                Ok(predictions) => self.json(predictions, &request, rows),
                Err(error) => Err(Problem::failed(error.to_string())),
            };
            // A sender that went away needs no answer.
            drop(reply.send(answer));
        }
    }

    fn json(
        &self,
        predictions: &Predictions,
        request: &Request,
        rows: std::ops::Range<usize>,
    ) -> Reply {
        let fusion = request.fusion.as_ref().or(self.loaded.fusion.as_ref());
        let answer = Answer::new(predictions, rows, fusion, request.sort, request.top_k);
        Ok(answer.to_json())
    }
}

/// A request whose formula fits the model.
fn checked(request: Request, loaded: &Loaded) -> Result<Request, Problem> {
    if let Some(fusion) = &request.fusion {
        fusion.check(&loaded.model).map_err(|error| Problem::fusion(&error))?;
    }
    if request.sort && request.fusion.is_none() && loaded.fusion.is_none() {
        let message = "`sort` and `top_k` need a formula, expected `fusion` such as \
                       {\"product\": {\"p_click\": 1.0}}";
        return Err(Problem::bad(message));
    }
    Ok(request)
}

/// Whose field an error of encoding is about: a user's value is the same in every candidate.
fn part_of(request: &Request, error: &mtl_feature::Error) -> Part {
    let mtl_feature::Error::Value { column, .. } = error else { return request.part };
    let column = request.chunk.column(column).map(mtl_feature::RawColumn::values);
    match column {
        Some(mtl_feature::Values::Dictionary { .. }) => Part::User,
        _ => request.part,
    }
}
