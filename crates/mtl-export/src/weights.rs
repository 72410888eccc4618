//! Weights as safetensors: every parameter by its documented path.
//!
//! | parameter | shape in the file |
//! |---|---|
//! | `….weight` | in × out |
//! | `….bias` and the 1 × n parameters of a normalisation | n |
//! | `embedding.<feature>.table` | ids × dim |
//!
//! PyTorch's `Linear` keeps out × in. A file whose metadata say `mtl.weight_layout = out_in` is read
//! that way.

use std::collections::{BTreeMap, HashMap};

use half::{bf16, f16};
use mtl_nn::{Entry, Layout, Mat, Params, Role};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::{Error, Result};

/// The metadata key that says how dense weights lie.
pub const LAYOUT_KEY: &str = "mtl.weight_layout";

/// The bytes of a safetensors file with every parameter, running statistics included, in f32.
///
/// # Errors
/// [`Error::Format`] if the format cannot hold them.
pub fn to_safetensors(params: &Params<f32>) -> Result<Vec<u8>> {
    let layout = params.layout();
    let mut tensors = Vec::new();
    for path in layout.paths() {
        let shape = Shape::of(layout, path)?;
        let values = params.get(path)?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((path, shape.in_file(), bytes));
    }
    let views = tensors.iter().map(|(path, shape, bytes)| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (*path, view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(format)?;
    let metadata = HashMap::from([(LAYOUT_KEY.to_owned(), "in_out".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(format)
}

/// Every tensor of such a file by its name, with its shape there, in the layout's order.
///
/// # Errors
/// None for a layout that was built; the type is that of looking a path up.
pub fn tensor_shapes(layout: &Layout) -> Result<Vec<(String, Vec<usize>)>> {
    layout.paths().map(|path| Ok((path.to_owned(), Shape::of(layout, path)?.in_file()))).collect()
}

/// Overwrites every parameter with the tensor of its name. Names must match exactly; tensors may be
/// f32, f64, bf16 or f16.
///
/// # Errors
/// [`Error::Format`], [`Error::Names`], [`Error::Type`], [`Error::Shape`] or [`Error::Value`],
/// naming the tensor; `params` are then as they were.
pub fn read_safetensors(params: &mut Params<f32>, bytes: &[u8]) -> Result<()> {
    let file = SafeTensors::deserialize(bytes).map_err(format)?;
    let transposed = is_out_in(bytes)?;
    let layout = params.layout().clone();
    let mut tensors: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    check_names(&layout, &tensors)?;
    let mut new = params.clone();
    for path in layout.paths() {
        let Some(tensor) = tensors.remove(path) else { continue }; // checked: every one is there
        let shape = Shape::of(&layout, path)?;
        let values = floats(path, &tensor)?;
        let values = shape.read(path, tensor.shape(), values, transposed)?;
        new.set(path, (shape.rows, shape.cols), &values)?;
    }
    *params = new;
    Ok(())
}

/// How a parameter lies in a file.
struct Shape {
    rows: usize,
    cols: usize,
    /// One row, which a file holds as a vector.
    is_vector: bool,
    /// A dense weight, which another library may hold transposed.
    is_weight: bool,
}

impl Shape {
    fn of(layout: &Layout, path: &str) -> Result<Self> {
        Ok(match layout.find(path)? {
            Entry::Param(id) => {
                let spec = layout.param(id);
                let is_weight = spec.role == Role::Weight;
                let is_vector = !is_weight && spec.rows == 1;
                Self { rows: spec.rows, cols: spec.cols, is_vector, is_weight }
            }
            Entry::Table(id) => {
                let spec = layout.table(id);
                Self { rows: spec.rows, cols: spec.dim, is_vector: false, is_weight: false }
            }
        })
    }

    fn in_file(&self) -> Vec<usize> {
        if self.is_vector { vec![self.cols] } else { vec![self.rows, self.cols] }
    }

    /// Values in rows × cols, if a tensor of that shape holds them.
    fn read(
        &self,
        name: &str,
        found: &[usize],
        values: Vec<f32>,
        transposed: bool,
    ) -> Result<Vec<f32>> {
        let (rows, cols) = (self.rows, self.cols);
        let turn = transposed && self.is_weight;
        let expected = if turn { vec![cols, rows] } else { self.in_file() };
        let flat = self.is_vector && found == [1, cols];
        if found == expected && turn {
            let turned = Mat::new(&values, cols, rows, rows);
            return Ok(turned.as_array().t().iter().copied().collect());
        }
        if found == expected || flat {
            return Ok(values);
        }
        let (name, found) = (name.to_owned(), found.to_vec());
        let transposed = !turn && self.is_weight && found == [cols, rows];
        Err(Error::Shape { name, found, expected, transposed })
    }
}

fn check_names(layout: &Layout, tensors: &BTreeMap<String, TensorView<'_>>) -> Result<()> {
    let known: Vec<&str> = layout.paths().collect();
    let missing: Vec<String> =
        known.iter().filter(|path| !tensors.contains_key(**path)).map(|p| (*p).into()).collect();
    let strange = tensors.keys().filter(|name| layout.find(name).is_err());
    let near = |name: &String| (name.clone(), mtl_feature::nearest_names(name, &known));
    let unexpected: Vec<_> = strange.map(near).collect();
    if missing.is_empty() && unexpected.is_empty() {
        return Ok(());
    }
    Err(Error::Names { missing, unexpected })
}

fn is_out_in(bytes: &[u8]) -> Result<bool> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
    let said = header.metadata().as_ref().and_then(|metadata| metadata.get(LAYOUT_KEY));
    match said.map(String::as_str) {
        None | Some("in_out") => Ok(false),
        Some("out_in") => Ok(true),
        Some(found) => Err(Error::Layout { key: LAYOUT_KEY, found: found.to_owned() }),
    }
}

fn floats(name: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>> {
    let data = tensor.data();
    let wide: Vec<f64> = match tensor.dtype() {
        Dtype::F32 => each(data, |bytes| f32::from_le_bytes(bytes).into()),
        Dtype::F64 => each(data, f64::from_le_bytes),
        Dtype::BF16 => each(data, |bytes| bf16::from_le_bytes(bytes).to_f64()),
        Dtype::F16 => each(data, |bytes| f16::from_le_bytes(bytes).to_f64()),
        other => return Err(Error::Type { name: name.to_owned(), found: format!("{other:?}") }),
    };
    let value = |(index, value): (usize, f64)| match value as f32 {
        narrow if narrow.is_finite() => Ok(narrow),
        _ => Err(Error::Value { name: name.to_owned(), index, value }),
    };
    wide.into_iter().enumerate().map(value).collect()
}

fn each<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|&bytes| value(bytes)).collect()
}

fn format(error: safetensors::SafeTensorError) -> Error {
    Error::Format { reason: error.to_string() }
}
