//! Scoring: requests in, bodies out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::Bytes;
use mtl_feature::{FeatureTable, Targets};
use mtl_model::{Predictions, Scorer};
use mtl_nn::prediction_pieces;
use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::loaded::Loaded;
use crate::problem::{Part, Problem};
use crate::request::Request;
use crate::work::Shared;

/// The body of an answer.
pub(crate) type Reply = Result<Vec<u8>, Problem>;

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) body: Bytes,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// A model with one thread's buffers.
pub(crate) struct Thread {
    loaded: Arc<Loaded>,
    scorer: Scorer,
}

/// A request among the rows that are scored together.
struct Placed {
    request: Request,
    rows: std::ops::Range<usize>,
    reply: oneshot::Sender<Reply>,
}

/// Bodies that may have rows for two threads, and are read in about the time that a thread takes to
/// wake, 0.2 ms on a virtual machine at rest: the second one is called before. Of larger ones threads
/// are called once it is known how many.
const BYTES_FOR_TWO: std::ops::RangeInclusive<usize> = (4 << 10)..=(64 << 10);

impl Thread {
    pub(crate) fn new(loaded: Arc<Loaded>) -> Self {
        Self { scorer: loaded.scorer.another(), loaded }
    }

    /// Takes up the present model, if it is another one.
    pub(crate) fn renew(&mut self, shared: &Shared) {
        let loaded = shared.loaded();
        if !Arc::ptr_eq(&loaded, &self.loaded) {
            *self = Self::new(loaded);
        }
    }

    /// Answers every job by the present model. A bug that panics costs them their answer (500), not
    /// the server a thread.
    pub(crate) fn answer(&mut self, shared: &Shared, jobs: Vec<Job>) {
        let (start, n) = (Instant::now(), jobs.len());
        shared.metrics.batch_requests.observe(n as f64);
        shared.scoring.fetch_add(1, Ordering::Relaxed);
        self.renew(shared);
        match catch_unwind(AssertUnwindSafe(|| self.score(shared, jobs))) {
            Ok(rows) => drop(shared.metrics.rows.inc_by(rows as u64)),
            Err(_) => *self = Self::new(shared.loaded()),
        }
        shared.scoring.fetch_sub(1, Ordering::Relaxed);
        let time = start.elapsed();
        shared.pace.scored(time / n.max(1) as u32);
        shared.metrics.scoring_seconds.observe(time.as_secs_f64());
    }

    /// Answers every job; returns the number of rows scored.
    fn score(&mut self, shared: &Shared, jobs: Vec<Job>) -> usize {
        let loaded = Arc::clone(&self.loaded);
        let bytes: usize = jobs.iter().map(|job| job.body.len()).sum();
        let called = usize::from(BYTES_FOR_TWO.contains(&bytes));
        shared.queue.call(called);
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
            let helpers = prediction_pieces(request.chunk.n_rows()) - 1;
            shared.queue.call(helpers.saturating_sub(called));
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
                Some(table) => self.predict(&table, vec![one], true),
                None => placed.push(one),
            }
        }
        self.predict(&together, placed, false);
        n_rows
    }

    fn predict(&mut self, table: &FeatureTable, placed: Vec<Placed>, candidates: bool) {
        if placed.is_empty() {
            return;
        }
        let scorer = &mut self.scorer;
        let scored = if candidates { scorer.score_candidates(table) } else { scorer.score(table) };
        for Placed { request, rows, reply } in placed {
            let answer = match &scored {
                Ok(predictions) => Ok(self.json(predictions, &request, rows)),
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
    ) -> Vec<u8> {
        let fusion = request.fusion.as_ref().or(self.loaded.fusion.as_ref());
        Answer::new(predictions, rows, fusion, request.sort, request.top_k).to_json()
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
