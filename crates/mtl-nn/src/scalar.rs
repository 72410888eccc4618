//! The two float types a graph may work in.
//!
//! `f32` is what models train and serve in; `f64` exists for finite differences and golden
//! values. The trait is sealed: every kernel is compiled and tested for exactly these two.

use ndarray::NdFloat;

use crate::checkpoint::Values;
use crate::{Mat, MatMut};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A float that graphs can be built over: `f32` or `f64`.
pub trait Scalar: sealed::Sealed + NdFloat + Default + std::iter::Sum {
    /// The name used in checkpoints and messages: `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// Whether this is `f32`, for which there are kernels of packed products.
    const IS_F32: bool;

    /// The nearest value of this type.
    fn of(value: f64) -> Self;

    /// The value widened to `f64` (exact).
    fn f64(self) -> f64;

    /// Values for a checkpoint.
    fn into_values(values: Vec<Self>) -> Values;

    /// Values of a checkpoint; `None` if they are of the other type.
    fn of_values(values: &Values) -> Option<&[Self]>;

    /// The view itself if it is of `f32`s.
    fn f32_mat(mat: Mat<'_, Self>) -> Option<Mat<'_, f32>>;

    /// As [`Scalar::f32_mat`], writable.
    fn f32_mat_mut(mat: MatMut<'_, Self>) -> Option<MatMut<'_, f32>>;
}

impl Scalar for f32 {
    const NAME: &'static str = "f32";
    const IS_F32: bool = true;

    fn of(value: f64) -> Self {
        value as f32
    }

    fn f64(self) -> f64 {
        f64::from(self)
    }

    fn into_values(values: Vec<Self>) -> Values {
        Values::F32(values)
    }

    fn of_values(values: &Values) -> Option<&[Self]> {
        match values {
            Values::F32(values) => Some(values),
            Values::F64(_) => None,
        }
    }

    fn f32_mat(mat: Mat<'_, Self>) -> Option<Mat<'_, f32>> {
        Some(mat)
    }

    fn f32_mat_mut(mat: MatMut<'_, Self>) -> Option<MatMut<'_, f32>> {
        Some(mat)
    }
}

impl Scalar for f64 {
    const NAME: &'static str = "f64";
    const IS_F32: bool = false;

    fn of(value: f64) -> Self {
        value
    }

    fn f64(self) -> f64 {
        self
    }

    fn into_values(values: Vec<Self>) -> Values {
        Values::F64(values)
    }

    fn of_values(values: &Values) -> Option<&[Self]> {
        match values {
            Values::F64(values) => Some(values),
            Values::F32(_) => None,
        }
    }

    fn f32_mat(_: Mat<'_, Self>) -> Option<Mat<'_, f32>> {
        None
    }

    fn f32_mat_mut(_: MatMut<'_, Self>) -> Option<MatMut<'_, f32>> {
        None
    }
}
