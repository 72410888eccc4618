//! Weights out and in again, in any float type, and what is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::collections::HashMap;

use half::{bf16, f16};
use mtl_export::{LAYOUT_KEY, read_safetensors, to_safetensors};
use mtl_nn::Params;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};

use common::{TASKS, model, model_of, model_of_derived, model_of_sequences};

const SETTINGS: &str = "name = 'mmoe'\nbatch_norm = true\nexpert_units = [6]\ntower_units = [3]";

/// A file's tensors, to be changed.
type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

fn tensors(params: &Params<f32>) -> Tensors {
    let bytes = to_safetensors(params).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, TensorView<'_>)| {
        (name, view.dtype(), view.shape().to_vec(), view.data().to_vec())
    };
    let mut tensors: Tensors = file.tensors().into_iter().map(tensor).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

fn file(tensors: &Tensors, layout: Option<&str>) -> Vec<u8> {
    let view = |(name, dtype, shape, data): &(String, Dtype, Vec<usize>, Vec<u8>)| {
        let data: &[u8] = Box::leak(data.clone().into_boxed_slice());
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    };
    let metadata = layout.map(|said| HashMap::from([(LAYOUT_KEY.to_owned(), said.to_owned())]));
    serialize(tensors.iter().map(view), metadata).unwrap()
}

fn floats(data: &[u8]) -> Vec<f32> {
    data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn values(params: &Params<f32>) -> Vec<f32> {
    let paths: Vec<String> = params.layout().paths().map(str::to_owned).collect();
    paths
        .iter()
        .flat_map(|path| params.get(path).unwrap().iter().copied().collect::<Vec<_>>())
        .collect()
}

/// What reading the file into a model with other weights leaves, or says.
fn read(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let mut params = Params::init(model(SETTINGS, None).params.layout(), 77);
    let before = values(&params);
    let result = read_safetensors(&mut params, bytes).map_err(|error| error.to_string());
    assert!(result.is_ok() || values(&params) == before, "an error changes nothing");
    result.map(|()| values(&params))
}

#[test]
fn what_is_written_is_read_in_every_float_type() {
    let params = model(SETTINGS, None).params;
    let written = tensors(&params);
    assert_eq!(read(&file(&written, None)).unwrap(), values(&params));
    let other = |dtype: Dtype, bytes: fn(f32) -> Vec<u8>| {
        let mut tensors = written.clone();
        for tensor in &mut tensors {
            tensor.1 = dtype;
            tensor.3 = floats(&tensor.3).into_iter().flat_map(bytes).collect();
        }
        read(&file(&tensors, None)).unwrap()
    };
    assert_eq!(other(Dtype::F64, |v| f64::from(v).to_le_bytes().to_vec()), values(&params));
    let brief = other(Dtype::BF16, |v| bf16::from_f32(v).to_le_bytes().to_vec());
    let expected: Vec<f32> = values(&params).iter().map(|&v| bf16::from_f32(v).to_f32()).collect();
    assert_eq!(brief, expected);
    let half = other(Dtype::F16, |v| f16::from_f32(v).to_le_bytes().to_vec());
    let expected: Vec<f32> = values(&params).iter().map(|&v| f16::from_f32(v).to_f32()).collect();
    assert_eq!(half, expected);
}

#[test]
fn transposed_weights_are_read_if_the_file_says_so() {
    let params = model(SETTINGS, None).params;
    let mut turned = tensors(&params);
    for (name, _, shape, data) in &mut turned {
        if name.ends_with(".weight") {
            let (rows, cols) = (shape[0], shape[1]);
            let values = floats(data);
            let at = |c: usize, r: usize| values[r * cols + c].to_le_bytes();
            *data = (0..cols).flat_map(|c| (0..rows).flat_map(move |r| at(c, r))).collect();
            *shape = vec![cols, rows];
        }
    }
    assert_eq!(read(&file(&turned, Some("out_in"))).unwrap(), values(&params));
    let error = read(&file(&turned, None)).unwrap_err();
    assert!(error.contains("it is the transpose"), "{error}");
    let error = read(&file(&turned, Some("sideways"))).unwrap_err();
    assert!(error.contains("is `sideways`, expected `in_out` or `out_in`"), "{error}");
}

#[test]
fn errors_name_the_tensor() {
    let written = tensors(&model(SETTINGS, None).params);
    let check = |change: fn(&mut Tensors), expected: &[&str]| {
        let mut tensors = written.clone();
        change(&mut tensors);
        let error = read(&file(&tensors, None)).unwrap_err();
        for part in expected {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    };
    check(
        |t| t[0].0 = t[0].0.replace("embedding", "embeding"),
        &["1 tensors are missing: `embedding.age.table`", "`embeding.age.table` (did you mean"],
    );
    check(|t| t.truncate(2), &["tensors are missing", "more"]);
    check(|t| t[0].2.swap(0, 1), &["tensor `embedding.age.table` has shape [8, ", "expected ["]);
    check(|t| t[0].1 = Dtype::I32, &["`embedding.age.table` has type I32, expected F32, F64"]);
    check(
        |t| t[0].3[4..8].copy_from_slice(&f32::NAN.to_le_bytes()),
        &["tensor `embedding.age.table`, element 1: found NaN, expected a finite f32"],
    );
    assert!(read(b"not at all").unwrap_err().starts_with("not a safetensors file: "));
}

/// Names of the document's two tables: those of every architecture, and each architecture's own.
fn documented() -> (Vec<String>, Vec<(String, Vec<String>)>) {
    let document = include_str!("../../../docs/interchange.md");
    let section = document.split("## Weights: safetensors").nth(1).unwrap();
    let section = section.split("\n### ").next().unwrap();
    let (mut every, mut own) = (Vec::new(), Vec::new());
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').collect();
        let spans = |cell: &str| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let first = spans(cells[1]);
        if first[0].contains('<') {
            every.extend(first);
        } else {
            own.push((first[0].clone(), [spans(cells[2]), spans(cells[3])].concat()));
        }
    }
    (every, own)
}

/// Whether a name is one of a pattern's. A feature's name may have dots.
fn fits(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((part, rest)), Some((found, left))) => {
            (part == found || part.starts_with('<'))
                && (fits(rest, left) || (*part == "<feature>" && fits(pattern, left)))
        }
        _ => false,
    }
}

/// Every tensor of every architecture has a name that docs/interchange.md has, and the document has
/// none that no model has.
#[test]
fn names_are_those_of_the_document() {
    let (every, own) = documented();
    assert_eq!((every.len(), own.len()), (10, mtl_arch::NAMES.len()));
    let mut met = std::collections::BTreeSet::new();
    for (architecture, names) in &own {
        let (stacks, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| {
            let last = name.split('.').next_back().unwrap();
            ["bottom", "tower", "gate", "transfer", "auxiliary", "<k>"].contains(&last)
        });
        let each = every.iter().chain(others).flat_map(|name| -> Vec<String> {
            match name.strip_prefix("<stack>") {
                Some(rest) => stacks.iter().map(|stack| format!("{stack}{rest}")).collect(),
                None => vec![name.clone()],
            }
        });
        let patterns: Vec<String> = each.collect();
        let more = match architecture.as_str() {
            "aitm" => "sequence = ['click', 'buy']\n",
            "star" => "domain = 'city'\n",
            _ => "",
        };
        let settings = format!("name = '{architecture}'\nfirst_order = true\n{more}");
        let models = [
            model_of_derived(&settings),
            model_of_sequences(&settings, "units = [4]"),
            model_of(&format!("{settings}batch_norm = true\npreset = 'paper'"), &TASKS),
        ];
        for model in models {
            for path in model.params.layout().paths() {
                let name: Vec<&str> = path.split('.').collect();
                let fitting = patterns
                    .iter()
                    .filter(|pattern| fits(&pattern.split('.').collect::<Vec<_>>(), &name));
                let fitting: Vec<&String> = fitting.collect();
                assert!(!fitting.is_empty(), "{architecture}: `{path}` is not documented");
                met.extend(
                    fitting.into_iter().map(|pattern| (architecture.clone(), pattern.clone())),
                );
            }
        }
        for stack in stacks {
            let weight = (architecture.clone(), format!("{stack}.<layer>.weight"));
            assert!(met.contains(&weight), "{architecture}: there is no `{stack}`");
        }
        for name in
            names.iter().filter(|name| name.starts_with("normalise") || name.starts_with("stitch"))
        {
            assert!(met.contains(&(architecture.clone(), name.clone())), "there is no `{name}`");
        }
    }
    for name in every.iter().filter(|name| !name.starts_with("<stack>")) {
        assert!(met.iter().any(|(_, pattern)| pattern == name), "there is no `{name}`");
    }
}
