//! How a server listens, and what it refuses.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Error, Result};

/// The settings of a server.
///
/// | field | default | purpose | range |
/// |---|---|---|---|
/// | `host` | `127.0.0.1` | the address to listen on; `0.0.0.0` for all | |
/// | `port` | 8080 | 0 lets the system choose | |
/// | `threads` | all cores | threads that score | 1 to 256, or to the number of cores if that is more |
/// | `queue` | 256 | requests that may wait; more are answered 503 | ≥ 1 |
/// | `batch` | 32 | waiting requests that a thread takes together | ≥ 1 |
/// | `window` | 0 | how long it waits for more of them | |
/// | `spin` | 200 µs | how long the sockets' thread and one that scores look for work before they sleep | |
/// | `max_body` | 8 MiB | bytes of a request; more are answered 413 | ≥ 1 |
/// | `timeout` | 5 s | for headers, later is closed; from them to the answer, later is 504; for the answer to be taken, later is closed | > 0 |
/// | `connections` | 1024 | open at once; more wait until one ends | ≥ 1 |
/// | `reload_timeout` | 60 s | how long `POST /reload` waits; later is 504, and loading goes on | > 0 |
/// | `grace` | 10 s | how long a stop waits for requests under way | |
/// | `watch` | none | a folder to look at for a new model, and how often | > 0 |
#[derive(Clone, Debug, PartialEq)]
pub struct ServeConfig {
    /// The address to listen on.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// Threads that score.
    pub threads: usize,
    /// Requests that may wait.
    pub queue: usize,
    /// Waiting requests that a thread takes together.
    pub batch: usize,
    /// How long it waits for more of them.
    pub window: Duration,
    /// How long the sockets' thread and one of those that score look for work, after they had some,
    /// before they sleep. Whoever looks need not be woken, and keeps a processor busy for it.
    pub spin: Duration,
    /// Bytes of a request.
    pub max_body: usize,
    /// For a request's headers, again from there to the answer, and again for the peer to take what is
    /// written. A connection on which no request comes is closed after as long.
    pub timeout: Duration,
    /// Connections that are open at once.
    pub connections: u32,
    /// How long `POST /reload` waits for the model.
    pub reload_timeout: Duration,
    /// How long a stop waits for requests under way.
    pub grace: Duration,
    /// A folder to look at for a new model, and how often.
    pub watch: Option<(PathBuf, Duration)>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            queue: 256,
            batch: 32,
            window: Duration::ZERO,
            // About what it takes to wake two sleeping threads of a virtual machine: at worst looking
            // costs as much again as sleeping at once would have.
            spin: Duration::from_micros(200),
            max_body: 8 << 20,
            timeout: Duration::from_secs(5),
            connections: 1024,
            reload_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            watch: None,
        }
    }
}

impl ServeConfig {
    /// As many threads as there may be: more than there are cores are of no use, and thousands take
    /// longer to make than anybody waits.
    pub fn most_threads() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from).max(256)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the setting.
    pub(crate) fn check(&self) -> Result<()> {
        let counts = [
            ("threads", self.threads),
            ("queue", self.queue),
            ("batch", self.batch),
            ("max_body", self.max_body),
            ("connections", self.connections as usize),
        ];
        for (key, count) in counts {
            if count == 0 {
                return Err(Error::Setting { key, value: "0".to_owned(), expected: "at least 1" });
            }
        }
        if self.threads > Self::most_threads() {
            let value = self.threads.to_string();
            let expected = "at most 256, or the number of cores if that is more";
            return Err(Error::Setting { key: "threads", value, expected });
        }
        let watch = self.watch.as_ref().map(|(_, every)| ("watch", *every));
        let times = [("timeout", self.timeout), ("reload_timeout", self.reload_timeout)];
        for (key, time) in times.into_iter().chain(watch) {
            if time.is_zero() {
                let value = "0".to_owned();
                return Err(Error::Setting { key, value, expected: "more than no time" });
            }
        }
        Ok(())
    }
}
