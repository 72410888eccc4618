//! What `/metrics` tells Prometheus.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Labels = Vec<(&'static str, String)>;

/// Counters and histograms of a server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    reloads: Family<Labels, Counter>,
    pub(crate) rows: Counter,
    pub(crate) request_seconds: Histogram,
    pub(crate) scoring_seconds: Histogram,
    pub(crate) batch_requests: Histogram,
    waiting: Gauge,
    loaded: Gauge<f64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        // 0.1 ms to 3.3 s.
        let seconds = || Histogram::new(exponential_buckets(1e-4, 2.0, 16));
        let mut metrics = Self {
            registry: Registry::with_prefix("mtl"),
            requests: Family::default(),
            reloads: Family::default(),
            rows: Counter::default(),
            request_seconds: seconds(),
            scoring_seconds: seconds(),
            batch_requests: Histogram::new(exponential_buckets(1.0, 2.0, 8)),
            waiting: Gauge::default(),
            loaded: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Scoring requests by status", metrics.requests.clone());
        registry.register("reloads", "Models loaded by result", metrics.reloads.clone());
        registry.register("rows", "Rows scored", metrics.rows.clone());
        let request = metrics.request_seconds.clone();
        registry.register_with_unit("request", "From body to answer", Unit::Seconds, request);
        let scoring = metrics.scoring_seconds.clone();
        registry.register_with_unit("scoring", "One batch on its thread", Unit::Seconds, scoring);
        let batch = metrics.batch_requests.clone();
        registry.register("batch_requests", "Requests scored together", batch);
        registry.register("waiting", "Requests that wait for a thread", metrics.waiting.clone());
        let loaded = metrics.loaded.clone();
        registry.register("model_loaded_timestamp_seconds", "When the model was loaded", loaded);
        metrics
    }

    pub(crate) fn answered(&self, status: u16) {
        self.requests.get_or_create(&vec![("code", status.to_string())]).inc();
    }

    pub(crate) fn reloaded(&self, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.reloads.get_or_create(&vec![("result", result.to_owned())]).inc();
        if is_ok {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            self.loaded.set(now.map_or(0.0, |now| now.as_secs_f64()));
        }
    }

    /// All of them in the text format of OpenMetrics.
    pub(crate) fn text(&self, waiting: usize) -> Result<String, std::fmt::Error> {
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
