//! What can keep a server from running. What is wrong with a request is answered to its sender.

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be.
    #[error("`{key}` is {value}, expected {expected}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// The model could not be loaded.
    #[error("{0}")]
    Load(#[source] crate::LoadError),
    /// The address cannot be listened on.
    #[error("{address}: cannot be listened on: {source}")]
    Bind {
        /// Host and port.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The system refused a thread, a timer or a socket.
    #[error("the server cannot run: {0}")]
    System(#[from] std::io::Error),
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
