//! Matrix products and vectorised loops: the one module that holds unsafe code.
//!
//! Everything here takes checked views ([`crate::Mat`], [`crate::MatMut`]) or slices, so callers
//! stay safe. Which instructions run is decided at run time; [`instructions`] says which.

mod detect;
mod distinct;
mod element;
mod kernels;
mod packed;
mod pages;
mod product;
mod random;

pub(crate) use distinct::{ClassRoom, Distinct, Factor};
pub use element::{add, axpy, column_sums, dot, scale, sum, vectorise};
pub use kernels::{Instructions, Kernels, Precision};
pub use packed::Products;
pub(crate) use packed::{Bank, Scratch};
pub(crate) use pages::filled;
pub use product::{Transpose, product};
pub use random::{Draws, hash};

/// Whether products on this processor fuse multiplication and addition.
fn fuses() -> bool {
    cfg!(target_arch = "aarch64") || instructions() != "baseline"
}

/// The widest instruction set that the element-wise loops use on this processor.
pub fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512bw") {
            return "avx512";
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            return "avx2+fma";
        }
    }
    "baseline"
}
