//! A server's life: bound, running, stopped.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, watch};

use crate::alone::Alone;
use crate::awake::{Awake, stay_awake};
use crate::config::ServeConfig;
use crate::connections::{serve, stopped};
use crate::http::{App, router};
use crate::loaded::{LoadError, Loaded};
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::queue::{Queue, Take};
use crate::watch::watch as watch_folder;
use crate::work::{Shared, work};
use crate::{Error, Result};

/// A server that listens and does not answer yet.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    stop: watch::Sender<bool>,
    signals: Signals,
}

/// Stops a server from another thread.
#[derive(Clone, Debug)]
pub struct Handle {
    stop: watch::Sender<bool>,
}

impl Handle {
    /// Asks the server to answer what it has taken, and end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Loads the model and listens. `load` is called once here, and again for each reload.
    ///
    /// # Errors
    /// A setting that cannot be, a model that cannot be loaded, an address that is taken.
    pub fn bind(
        config: ServeConfig,
        load: impl Fn() -> Result<Loaded, LoadError> + Send + Sync + 'static,
    ) -> Result<Self> {
        config.check()?;
        let loaded = load().map_err(Error::Load)?;
        // Sockets are little work beside scoring: one thread serves them.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let address = format!("{}:{}", config.host, config.port);
        let listener = runtime.block_on(TcpListener::bind(&address));
        let listener = listener.map_err(|source| Error::Bind { address, source })?;
        let metrics = Metrics::new();
        metrics.reloaded(true);
        let shared = Shared {
            loaded: RwLock::new(Arc::new(loaded)),
            queue: Queue::new(config.queue, config.threads),
            metrics,
            pace: Pace::default(),
            scoring: AtomicUsize::new(0),
        };
        let (alone, awake) = (Alone::new(&shared), Awake::new());
        let (load, loading) = (Box::new(load), Arc::new(Mutex::new(())));
        let app = App { shared: Arc::new(shared), alone, awake, config, load, loading };
        let address = listener.local_addr()?;
        // Listened to from here on: whoever reads the address may send one before `run` has begun.
        let signals = runtime.block_on(async { Signals::new() })?;
        let (app, stop) = (Arc::new(app), watch::Sender::new(false));
        Ok(Self { runtime, listener, address, app, stop, signals })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it from another thread.
    pub fn handle(&self) -> Handle {
        Handle { stop: self.stop.clone() }
    }

    /// Answers until [`Handle::stop`], Ctrl-C or SIGTERM. Then no connection is taken any more,
    /// requests under way are answered, and it ends, after `grace` at the latest.
    ///
    /// # Errors
    /// [`Error::System`] if the system refuses a thread.
    pub fn run(self) -> Result<()> {
        let app = Arc::clone(&self.app);
        let config = &app.config;
        let take = Take { batch: config.batch, window: config.window, spin: config.spin };
        let pool = pool(config.threads)?;
        // The first thread takes the sockets, and each of the others scores: pieces of a prediction
        // are the pool's, and whoever makes one does all of it that nobody has taken.
        let sockets = std::sync::Mutex::new(Some(self));
        pool.broadcast(|thread| match thread.index().checked_sub(1) {
            Some(number) => work(&app.shared, number, take),
            None => {
                let _end = Closes(&app);
                let server = sockets.lock().unwrap_or_else(PoisonError::into_inner).take();
                server.into_iter().for_each(Self::answer);
            }
        });
        Ok(())
    }

    /// Serves the sockets until the end.
    fn answer(self) {
        let Self { runtime, listener, app, stop, signals, .. } = self;
        runtime.block_on(async {
            if let Some((folder, every)) = app.config.watch.clone() {
                tokio::spawn(watch_folder(Arc::clone(&app), folder, every));
            }
            if !app.config.spin.is_zero() {
                let app = Arc::clone(&app);
                tokio::spawn(async move { stay_awake(&app, app.config.spin).await });
            }
            let handle = Handle { stop: stop.clone() };
            tokio::spawn(async move {
                signals.wait().await;
                handle.stop();
            });
            let router = router(Arc::clone(&app));
            let mut serving = pin!(serve(listener, router, &app.config, stop.subscribe()));
            tokio::select! {
                () = serving.as_mut() => return,
                () = stopped(stop.subscribe()) => {}
            }
            // A client that does not finish is not waited for any longer.
            let _ = tokio::time::timeout(app.config.grace, serving).await;
        });
        runtime.shutdown_background();
    }
}

/// The threads of a server: its sockets' and those that score.
fn pool(scoring: usize) -> Result<ThreadPool> {
    let name = |i: usize| match i.checked_sub(1) {
        Some(number) => format!("score-{number}"),
        None => "sockets".to_owned(),
    };
    let pool = ThreadPoolBuilder::new().num_threads(scoring + 1).thread_name(name).build();
    pool.map_err(|error| Error::System(std::io::Error::other(error)))
}

/// Ends the threads that score once it goes, whatever happened to the sockets.
struct Closes<'a>(&'a App);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.shared.queue.close();
    }
}

/// Ctrl-C and, on Unix, SIGTERM.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    /// Ends with the first of them.
    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Ends with it, or never where it cannot be listened to.
    async fn wait(self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
