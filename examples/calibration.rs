//! `mtl-calibrate` alone: predictions of another program, twice too high, put right by two methods.
//!
//! `cargo run --release -p mtl-examples --example calibration`

use mtl_calibrate::{Calibrator, FitRows, Method, Quality};

fn main() -> Result<(), mtl_calibrate::Error> {
    // A row of prediction p is positive in a share p/2 of the cases.
    let predictions: Vec<f32> = (0..2_000).map(|i| 0.05 + 0.9 * (i % 100) as f32 / 100.0).collect();
    let chance = |i: usize| (i * 7_919 % 2_000) as f32 / 2_000.0;
    let is_positive = |(i, p): (usize, &f32)| f32::from(u8::from(chance(i) < p / 2.0));
    let labels: Vec<f32> = predictions.iter().enumerate().map(is_positive).collect();
    let rows = FitRows::new(&labels, &predictions, None)?;

    for method in [Method::None, Method::Platt, Method::Isotonic] {
        let map = Calibrator::fit(method, None, &rows)?;
        let quality = Quality::of(&rows, &map)?;
        let [pcoc, log_loss] =
            [quality.pcoc, quality.log_loss].map(|value| value.value().unwrap_or(f64::NAN));
        let at = map.apply(0.8);
        println!("{method:?}: 0.8 becomes {at:.3}, pcoc {pcoc:.3}, log loss {log_loss:.4}");
    }
    Ok(())
}
