//! `mtl-data` alone: a CSV file into encoded tables, split and shuffled.
//!
//! `cargo run --release -p mtl-examples --example files` (from the workspace's folder)

use mtl_data::{DataConfig, Shuffle, load};
use mtl_feature::{FeatureSpec, LabelSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config: DataConfig = toml::from_str(
        "train = 'shop.csv'\nsplit = { by = 'random', validation = 0.1, test = 0.1 }",
    )?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let features = vec![FeatureSpec::categorical("user_id"), FeatureSpec::numeric("price")];
    let labels = vec![LabelSpec::binary("click")];
    let data = load(&config.relative_to(folder.as_ref()), features, labels)?;
    println!("{} rows to train on, {} to test", data.train.n_rows(), data.test.n_rows());
    let shuffle = Shuffle::new(data.train.n_rows(), 42, 1);
    if let Some(batch) = shuffle.batches(4).next() {
        println!(
            "first batch: rows {batch:?}, users {:?}",
            data.train.select(batch).ids_of("user_id")
        );
    }
    Ok(())
}
