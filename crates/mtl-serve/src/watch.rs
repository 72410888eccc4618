//! Looking at a model's folder for a new one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mtl_model::MODEL_FILES;

use crate::http::{App, load_again};

/// When each of a model's files was last written: another time means another model.
fn stamp(folder: &Path) -> Vec<Option<(SystemTime, u64)>> {
    let of = |name: &&str| {
        let metadata = std::fs::metadata(folder.join(name)).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    MODEL_FILES.iter().map(of).collect()
}

/// Loads the model again whenever its files have changed and then been left alone for one look. A
/// load that fails leaves the old model in place, and is tried again once the files change.
pub(crate) async fn watch(app: Arc<App>, folder: PathBuf, every: Duration) {
    let mut loaded = stamp(&folder);
    let mut before = loaded.clone();
    loop {
        tokio::time::sleep(every).await;
        let now = stamp(&folder);
        if now != loaded && now == before {
            if let Err(problem) = load_again(Arc::clone(&app)).await {
                // If nobody reads standard error any more, whoever sends requests is served all the same.
                let _ = writeln!(io::stderr(), "{}: {}", folder.display(), problem.message);
            }
            loaded.clone_from(&now);
        }
        before = now;
    }
}
