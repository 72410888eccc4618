//! The routes.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Mutex;

use crate::alone::{Alone, scored};
use crate::awake::Awake;
use crate::config::ServeConfig;
use crate::loaded::{LoadError, Loaded};
use crate::problem::Problem;
use crate::request::refused;
use crate::score::Reply;
use crate::work::Shared;

/// Reads a model: at the start, and for each reload.
pub(crate) type Load = dyn Fn() -> Result<Loaded, LoadError> + Send + Sync;

/// What every route has.
pub(crate) struct App {
    pub(crate) shared: Arc<Shared>,
    pub(crate) alone: Alone,
    pub(crate) awake: Awake,
    pub(crate) config: ServeConfig,
    pub(crate) load: Box<Load>,
    /// One load at a time: two would need the memory of three models.
    pub(crate) loading: Arc<Mutex<()>>,
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let limit = DefaultBodyLimit::max(app.config.max_body);
    Router::new()
        .route("/score", post(score))
        .route("/reload", post(reload))
        .route("/model", get(model))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(limit)
        .with_state(app)
}

async fn score(State(app): State<Arc<App>>, request: Request) -> Response {
    let start = Instant::now();
    let timeout = app.config.timeout;
    let reply = match tokio::time::timeout(timeout, answer(&app, request)).await {
        Ok(reply) => reply,
        Err(_) => {
            let message = format!("no answer within {} s", timeout.as_secs_f64());
            Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, message))
        }
    };
    let response = match reply {
        Ok(body) => json(body),
        Err(problem) => problem.into_response(),
    };
    app.shared.metrics.request_seconds.observe(start.elapsed().as_secs_f64());
    app.shared.metrics.answered(response.status().as_u16());
    response
}

async fn answer(app: &App, request: Request) -> Reply {
    let limit = app.config.max_body;
    // A body that says itself that it is too large is not waited for.
    if request.body().size_hint().lower() > limit as u64 {
        return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, limit));
    }
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|rejection| refused(rejection.status(), limit))?;
    let reply = scored(app, body).await;
    app.awake.answered();
    reply
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn reload(State(app): State<Arc<App>>) -> Response {
    let limit = app.config.reload_timeout;
    match tokio::time::timeout(limit, load_again(app)).await {
        Ok(Ok(())) => json(br#"{"reloaded":true}"#.to_vec()),
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => {
            let waited = limit.as_secs_f64();
            let message = format!("not loaded within {waited} s; loading goes on");
            Problem::new(StatusCode::GATEWAY_TIMEOUT, message).into_response()
        }
    }
}

/// Loads the model once more and puts it in the place of the old one, which stays if that fails. A
/// load that has begun is ended by nobody: whoever stops waiting leaves it to itself.
pub(crate) async fn load_again(app: Arc<App>) -> Result<(), Problem> {
    let one = Arc::clone(&app.loading).lock_owned().await;
    let loading = tokio::task::spawn_blocking(move || {
        let _one = one;
        let loaded = (app.load)();
        app.shared.metrics.reloaded(loaded.is_ok());
        let loaded = loaded.map_err(|error| error.to_string())?;
        app.shared.swap(loaded);
        app.alone.renew(&app.shared);
        Ok::<(), String>(())
    });
    let kept = |error: String| Problem::failed(format!("the old model is kept: {error}"));
    loading.await.map_err(|error| kept(error.to_string()))?.map_err(kept)
}

/// What a request must have and what it gets.
async fn model(State(app): State<Arc<App>>) -> Response {
    let loaded = app.shared.loaded();
    let outputs = loaded.model.output_order();
    let fields = loaded.inputs.columns();
    let architecture = &loaded.model.spec().model.name;
    let text = serde_json::json!({
        "model": architecture,
        "fields": fields,
        "outputs": outputs,
        "fusion": loaded.fusion,
    });
    json(text.to_string().into_bytes())
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match app.shared.metrics.text(app.shared.queue.len()) {
        Ok(text) => ([(header::CONTENT_TYPE, FORMAT)], text).into_response(),
        Err(error) => Problem::failed(error.to_string()).into_response(),
    }
}

const ROUTES: &str = "POST /score, POST /reload, GET /model, GET /metrics or GET /healthz";

async fn unknown(request: Request) -> Problem {
    let message = format!("there is no {}, expected {ROUTES}", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, message)
}

async fn not_allowed(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("{path} does not take {method}, expected {ROUTES}");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
