//! Weights beside those that are trained: in memory where they are few, in a file where they are many.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use mtl_nn::Params;

use crate::value_stream::{ValueReader, ValueWriter, WORD};
use crate::{Error, Result};

/// Where a run keeps the weights of its best epoch while it goes on training.
///
/// With Adam a table and its moments are three times the table; a copy more would be a third of that again,
/// of values that nobody looks at until the run ends. So weights of more than `in_memory` bytes lie in a
/// file. It has no name: however the run ends, it is gone. Values are read back as they were written,
/// bit for bit.
///
/// Fewer are held in memory. A file of theirs would stay in the system's memory too, and a program that
/// trains small models needs no disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightStore {
    /// The folder of the file; the system's folder of temporary files if there is none. That one may
    /// lie in memory: a run that writes somewhere had better name its own.
    pub folder: Option<PathBuf>,
    /// The most bytes of weights that are held in memory, 64 MiB.
    pub in_memory: u64,
}

impl Default for WeightStore {
    fn default() -> Self {
        Self { folder: None, in_memory: 64 << 20 }
    }
}

impl WeightStore {
    /// A copy of some weights.
    pub(crate) fn keep(&self, params: &Params<f32>) -> Result<StoredWeights> {
        let folder = self.folder();
        let made = self.file(bytes(params));
        let made = made.map_err(|source| unwritten(&folder, params, source))?;
        let Some(file) = made else { return Ok(StoredWeights::Memory(params.clone())) };
        let stored = WeightFile { file, folder };
        stored.write(params)?;
        Ok(StoredWeights::File(stored))
    }

    /// A file without a name for so many bytes; `None` if they are held in memory.
    pub(crate) fn file(&self, bytes: u64) -> io::Result<Option<File>> {
        (bytes > self.in_memory).then(|| tempfile::tempfile_in(self.folder())).transpose()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// A copy of a model's weights.
#[derive(Debug)]
pub(crate) enum StoredWeights {
    Memory(Params<f32>),
    File(WeightFile),
}

impl StoredWeights {
    /// Puts other weights of the model in their place. Those of a file take the room that it has: where
    /// there was room at the start, there is room until the end.
    pub(crate) fn replace(&mut self, params: &Params<f32>) -> Result<()> {
        match self {
            Self::Memory(kept) => kept.clone_from(params),
            Self::File(kept) => kept.write(params)?,
        }
        Ok(())
    }

    /// Writes them as a section of a training state.
    pub(crate) fn write_to(&self, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Memory(kept) => write_section(to, kept),
            // The file is one.
            Self::File(kept) => {
                (&kept.file).rewind()?;
                io::copy(&mut &kept.file, to).map(drop)
            }
        }
    }

    /// Overwrites the model's weights.
    pub(crate) fn restore(&self, params: &mut Params<f32>) -> Result<()> {
        match self {
            Self::Memory(kept) => params.clone_from(kept),
            Self::File(kept) => kept.read(params)?,
        }
        Ok(())
    }
}

/// A file without a name.
#[derive(Debug)]
pub(crate) struct WeightFile {
    file: File,
    folder: PathBuf,
}

impl WeightFile {
    fn write(&self, params: &Params<f32>) -> Result<()> {
        let written = || -> io::Result<()> {
            (&self.file).rewind()?;
            write_section(&mut BufWriter::new(&self.file), params)
        };
        written().map_err(|source| unwritten(&self.folder, params, source))
    }

    fn read(&self, params: &mut Params<f32>) -> Result<()> {
        let mut read = || -> io::Result<()> {
            (&self.file).rewind()?;
            let mut from = ValueReader::new(BufReader::new(&self.file));
            let layout = params.layout().clone();
            layout.paths().try_for_each(|path| from.take_entry(params, path))?;
            from.finish()
        };
        let folder = || self.folder.display().to_string();
        read().map_err(|source| Error::BestWeightsLost { folder: folder(), source })
    }
}

/// Writes every weight, and a checksum.
pub(crate) fn write_section(to: &mut dyn Write, params: &Params<f32>) -> io::Result<()> {
    let mut values = ValueWriter::new(to);
    values.put_params(params)?;
    values.finish()
}

fn unwritten(folder: &Path, params: &Params<f32>, source: io::Error) -> Error {
    let mebibytes = bytes(params).div_ceil(1 << 20);
    Error::BestWeights { folder: folder.display().to_string(), mebibytes, source }
}

/// Bytes of a model's weights, all but running statistics.
fn bytes(params: &Params<f32>) -> u64 {
    (WORD * params.layout().n_values()) as u64
}

#[cfg(test)]
mod tests {
    use mtl_nn::{GraphBuilder, Init, Layout, Role};

    use super::*;

    fn layout() -> std::sync::Arc<Layout> {
        let mut b = GraphBuilder::<f32>::new();
        b.table("embedding.user.table", 700, 16, Init::Uniform(0.5)).unwrap();
        b.param("tower.0.weight", (5, 3), Role::Weight, Init::Uniform(0.5)).unwrap();
        b.param("tower.0.norm.running_mean", (1, 3), Role::State, Init::Uniform(0.5)).unwrap();
        b.finish().layout().clone()
    }

    fn store(folder: &Path) -> WeightStore {
        WeightStore { folder: Some(folder.to_owned()), in_memory: 0 }
    }

    fn assert_same(left: &Params<f32>, right: &Params<f32>) {
        for path in left.layout().paths() {
            assert_eq!(left.get(path).unwrap(), right.get(path).unwrap(), "{path}");
        }
    }

    #[test]
    fn weights_come_back_from_a_file_that_nobody_sees() -> Result<()> {
        let (layout, folder) = (layout(), tempfile::tempdir().unwrap());
        let [first, second] = [1, 2].map(|seed| Params::<f32>::init(&layout, seed));
        let mut stored = store(folder.path()).keep(&first)?;
        assert!(matches!(stored, StoredWeights::File(_)));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "no name");
        let mut read = second.clone();
        stored.restore(&mut read)?;
        assert_same(&read, &first);
        stored.replace(&second)?;
        stored.restore(&mut read)?;
        assert_same(&read, &second);
        Ok(())
    }

    #[test]
    fn few_weights_are_held() -> Result<()> {
        let params = Params::<f32>::init(&layout(), 1);
        let exactly = WORD as u64 * (700 * 16 + 5 * 3);
        let keep = |in_memory| WeightStore { in_memory, ..Default::default() }.keep(&params);
        assert!(matches!(keep(exactly)?, StoredWeights::Memory(_)));
        assert!(matches!(keep(exactly - 1)?, StoredWeights::File(_)));
        Ok(())
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let home = tempfile::tempdir().unwrap();
        let params = Params::<f32>::init(&layout(), 1);
        let error = store(&home.path().join("absent")).keep(&params).unwrap_err().to_string();
        let expected = "absent: the weights of the best epoch cannot be kept there: ";
        assert!(error.contains(expected), "{error}");
        assert!(error.ends_with("expected a folder that can be written, with room for 1 MiB"));
    }

    /// Linux has a disk that is always full.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        let params = Params::<f32>::init(&layout(), 1);
        let file = File::options().write(true).open("/dev/full").unwrap();
        let error = WeightFile { file, folder: "model".into() }.write(&params).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("model: the weights of the best epoch cannot be kept there: No ")
        );
    }

    #[test]
    fn a_file_that_changed_is_no_copy() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let mut params = Params::<f32>::init(&layout(), 1);
        let StoredWeights::File(kept) = store(folder.path()).keep(&params)? else {
            panic!("a file");
        };
        kept.file.set_len(1000).unwrap();
        let error = kept.read(&mut params).unwrap_err().to_string();
        assert!(error.contains("the weights of the best epoch are lost: "), "{error}");
        Ok(())
    }
}
