//! Values as a stream of bytes, little-endian, with a checksum at the end: what is too large to be copied
//! goes to a file and comes back through a buffer.

use std::io::{self, ErrorKind, Read, Write};

use mtl_nn::{Entry, Params};
use xxhash_rust::xxh3::Xxh3;

/// Values that are converted at a time.
const CHUNK: usize = 16_384;
/// Bytes of a value.
pub(crate) const WORD: usize = size_of::<f32>();

/// Writes values.
pub(crate) struct ValueWriter<W> {
    to: W,
    hasher: Xxh3,
    buffer: Vec<u8>,
}

impl<W: Write> ValueWriter<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, hasher: Xxh3::new(), buffer: vec![0; WORD * CHUNK] }
    }

    pub(crate) fn put(&mut self, values: &[f32]) -> io::Result<()> {
        for chunk in values.chunks(CHUNK) {
            let bytes = &mut self.buffer[..WORD * chunk.len()];
            for (to, value) in bytes.as_chunks_mut::<WORD>().0.iter_mut().zip(chunk) {
                *to = value.to_le_bytes();
            }
            self.hasher.update(bytes);
            self.to.write_all(bytes)?;
        }
        Ok(())
    }

    /// Every value of some parameters, in the order of their layout's paths.
    pub(crate) fn put_params(&mut self, params: &Params<f32>) -> io::Result<()> {
        let layout = params.layout();
        for path in layout.paths() {
            match layout.find(path).map_err(io::Error::other)? {
                Entry::Param(id) => {
                    let matrix = params.param(id);
                    (0..matrix.rows()).try_for_each(|r| self.put(matrix.row(r)))?;
                }
                Entry::Table(id) => self.put(params.table(id))?,
            }
        }
        Ok(())
    }

    /// Ends the stream with its checksum.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.to.write_all(&self.hasher.digest().to_le_bytes())?;
        self.to.flush()
    }
}

/// Reads what a [`ValueWriter`] wrote.
pub(crate) struct ValueReader<R> {
    from: R,
    hasher: Xxh3,
    buffer: Vec<u8>,
}

impl<R: Read> ValueReader<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, hasher: Xxh3::new(), buffer: vec![0; WORD * CHUNK] }
    }

    pub(crate) fn take(&mut self, values: &mut [f32]) -> io::Result<()> {
        for chunk in values.chunks_mut(CHUNK) {
            let bytes = &mut self.buffer[..WORD * chunk.len()];
            self.from.read_exact(bytes)?;
            self.hasher.update(bytes);
            for (value, from) in chunk.iter_mut().zip(bytes.as_chunks::<WORD>().0) {
                *value = f32::from_le_bytes(*from);
            }
        }
        Ok(())
    }

    /// The values at a path, in place.
    pub(crate) fn take_entry(&mut self, params: &mut Params<f32>, path: &str) -> io::Result<()> {
        match params.layout().find(path).map_err(io::Error::other)? {
            Entry::Param(id) => {
                let mut matrix = params.param_mut(id);
                (0..matrix.rows()).try_for_each(|r| self.take(matrix.row(r)))
            }
            Entry::Table(id) => self.take(params.table_mut(id)),
        }
    }

    /// Ends the stream: the values that were read are those that were written, or this is an error.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let mut checksum = [0; 8];
        self.from.read_exact(&mut checksum)?;
        match u64::from_le_bytes(checksum) == self.hasher.digest() {
            true => Ok(()),
            false => Err(io::Error::new(ErrorKind::InvalidData, "the checksum does not match")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(values: &[f32]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut to = ValueWriter::new(&mut bytes);
        let (first, rest) = values.split_at(values.len() / 3);
        to.put(first)?;
        to.put(rest)?;
        to.finish()?;
        Ok(bytes)
    }

    fn read(bytes: &[u8], n: usize) -> io::Result<Vec<f32>> {
        let mut from = ValueReader::new(bytes);
        let mut values = vec![0.0; n];
        let (first, rest) = values.split_at_mut(n / 2);
        from.take(first)?;
        from.take(rest)?;
        from.finish()?;
        Ok(values)
    }

    #[test]
    fn values_come_back_bit_for_bit_however_they_are_cut() -> io::Result<()> {
        for n in [0, 1, 5, CHUNK, 3 * CHUNK + 7] {
            let value = |i: usize| f32::from_bits((i as u32).wrapping_mul(0x9E37_79B9));
            let values: Vec<f32> = (0..n).map(value).collect();
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&read(&written(&values)?, n)?), bits(&values), "{n}");
        }
        Ok(())
    }

    #[test]
    fn a_changed_byte_and_a_missing_one_are_noticed() -> io::Result<()> {
        let bytes = written(&[1.0, 2.0, 3.0])?;
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            let error = read(&damaged, 3).expect_err("damaged");
            assert_eq!(error.kind(), ErrorKind::InvalidData, "byte {at}");
        }
        let error = read(&bytes[..bytes.len() - 1], 3).expect_err("truncated");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        Ok(())
    }
}
