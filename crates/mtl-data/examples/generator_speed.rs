//! How fast generators are: `cargo run --release -p mtl-data --example generator_speed [ROWS]`.
//!
//! With `MTL_KUAIRAND_DIR` it times reading that folder too.

use std::error::Error;
use std::time::Instant;

use mtl_data::kuairand::{self, FeatureSet};
use mtl_data::{correlated, funnel};

fn main() -> Result<(), Box<dyn Error>> {
    let rows = std::env::args().nth(1).map_or(Ok(250_000), |rows| rows.parse())?;
    let folder = std::env::temp_dir().join(format!("generator_speed_{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for unobserved_share in [0.0, 0.5] {
        let config = funnel::Config { rows, unobserved_share, ..Default::default() };
        let what = format!("funnel, {unobserved_share} of the selection unobserved");
        timed(&format!("{what}, in memory"), rows, || funnel::load(&config).map(|_| ()))?;
        let path = folder.join("funnel.parquet");
        timed(&format!("{what}, Parquet"), rows, || funnel::write(&config, &path, |_| ()))?;
        println!("{:>12.1} bytes a row", std::fs::metadata(&path)?.len() as f64 / rows as f64);
    }
    let config = correlated::Config { rows, ..Default::default() };
    timed("correlated, 100 numbers, in memory", rows, || correlated::load(&config).map(|_| ()))?;
    let path = folder.join("correlated.parquet");
    timed("correlated, Parquet", rows, || correlated::write(&config, &path, |_| ()))?;
    std::fs::remove_dir_all(&folder)?;
    if let Some(folder) = std::env::var_os("MTL_KUAIRAND_DIR") {
        for set in [FeatureSet::Tutorial, FeatureSet::Rich] {
            let start = Instant::now();
            let loaded = kuairand::load(&folder, set)?;
            let (rows, seconds) = (loaded.summary.rows, start.elapsed().as_secs_f64());
            println!("{seconds:>8.2} s  KuaiRand, {set:?}: {rows} rows");
        }
    }
    Ok(())
}

fn timed(what: &str, rows: u64, f: impl FnOnce() -> mtl_data::Result<()>) -> mtl_data::Result<()> {
    let start = Instant::now();
    f()?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds:>8.2} s  {what}: {:.2} million rows/s", rows as f64 / seconds / 1e6);
    Ok(())
}
