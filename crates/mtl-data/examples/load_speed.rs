//! How fast files become tables: `cargo run --release -p mtl-data --example load_speed [FILE.csv]`.
//!
//! Without a file it times the embedded census. With one, every column is a categorical feature.

use std::error::Error;
use std::time::Instant;

use mtl_data::{DataConfig, ReadOptions, Reader, census, load};
use mtl_feature::FeatureSpec;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(path) = std::env::args().nth(1) else {
        let start = Instant::now();
        let data = census::load(census::Group::Income)?;
        let n_rows = data.train.n_rows() + data.validation.n_rows() + data.test.n_rows();
        println!("census: {n_rows} rows in {:.3} s", start.elapsed().as_secs_f64());
        return Ok(());
    };
    let names = Reader::open(&path, &ReadOptions::default())?.names().to_vec();
    let start = Instant::now();
    let data = load(
        &DataConfig::new(&path),
        names.iter().map(FeatureSpec::categorical).collect(),
        Vec::new(),
    )?;
    let seconds = start.elapsed().as_secs_f64();
    let megabytes = std::fs::metadata(&path)?.len() as f64 / 1e6;
    let n_rows = data.train.n_rows();
    println!("{n_rows} rows, {megabytes:.0} MB in {seconds:.2} s: {:.0} MB/s", megabytes / seconds);
    Ok(())
}
