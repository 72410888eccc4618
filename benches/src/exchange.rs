//! W1's initial weights and batches as files, for the same step in another library.

use std::error::Error;
use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::w1::W1;

/// Writes `weights.safetensors` (every parameter by its path, as
/// [`mtl_export::to_safetensors`] has them) and `batches.safetensors` into a folder, which is made
/// if it is not there.
///
/// # Shapes
/// `ids.<i>`, rows × columns, i32, and `labels.<i>`, labels × rows, f32, of batch i; labels in the
/// order of `label_names`, a metadata entry that joins them by commas.
///
/// # Errors
/// Those of the file system.
pub fn write(model: &W1, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let weights = mtl_export::to_safetensors(model.params())?;
    fs::write(folder.join("weights.safetensors"), weights)?;
    let (graph, batches) = model.batches();
    let mut tensors = Vec::new();
    for (i, batch) in batches.iter().enumerate() {
        let mut ids = Vec::with_capacity(4 * batch.rows * batch.ids.len());
        for row in 0..batch.rows {
            ids.extend(batch.ids.iter().flat_map(|column| column[row].to_le_bytes()));
        }
        tensors.push((format!("ids.{i}"), Dtype::I32, [batch.rows, batch.ids.len()], ids));
        let labels = batch.values.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((format!("labels.{i}"), Dtype::F32, [batch.values.len(), batch.rows], labels));
    }
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in &tensors {
        views.push((name, TensorView::new(*dtype, shape.to_vec(), bytes)?));
    }
    let names: Vec<&str> = graph.value_slots().iter().map(|slot| slot.name.as_str()).collect();
    let metadata = [("label_names".to_owned(), names.join(","))].into();
    let bytes = safetensors::serialize(views, Some(metadata))?;
    fs::write(folder.join("batches.safetensors"), bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;
    use crate::w1::{N_BATCHES, Setup};

    #[test]
    fn files_hold_the_weights_and_the_batches() -> Result<(), Box<dyn Error>> {
        let model = W1::with("esmm", &Setup { large: [50, 40], rows: 3, ..Setup::default() })?;
        let folder = tempfile::tempdir()?;
        write(&model, &folder.path().join("new"))?;
        let read = |name: &str| fs::read(folder.path().join("new").join(name));
        let mut params = model.params().clone();
        let path = "embedding.feature_0.table";
        params.set(path, (50, 16), &[7.0; 50 * 16])?;
        mtl_export::read_safetensors(&mut params, &read("weights.safetensors")?)?;
        assert_eq!(params.get(path)?, model.params().get(path)?);

        let bytes = read("batches.safetensors")?;
        let file = SafeTensors::deserialize(&bytes)?;
        assert_eq!(file.len(), 2 * N_BATCHES);
        let (graph, batches) = model.batches();
        let ids = file.tensor("ids.2")?;
        assert_eq!(ids.shape(), [3, 30]);
        let word = |data: &[u8], at: usize| <[u8; 4]>::try_from(&data[4 * at..4 * at + 4]);
        assert_eq!(u32::from_le_bytes(word(ids.data(), 30 + 4)?), batches[2].ids[4][1]);
        let labels = file.tensor("labels.2")?;
        assert_eq!(labels.shape(), [2, 3]);
        assert_eq!(f32::from_le_bytes(word(labels.data(), 3 + 2)?), batches[2].values[1][2]);
        let (_, header) = SafeTensors::read_metadata(&bytes)?;
        let names = header.metadata().as_ref().and_then(|m| m.get("label_names")).cloned();
        assert_eq!(names.as_deref(), Some("click,conversion"));
        assert_eq!(graph.value_slots()[1].name, "conversion");
        Ok(())
    }
}
