//! Room for packed words, from the start of a cache line on.

#![allow(unsafe_code, reason = "lines of words are words")]

use super::TILE;

/// Words that begin where a cache line does, and so does every panel and every row of a tile in
/// them: a row that straddled two lines would take two loads.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    lines: Vec<Line>,
}

/// A cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u32; TILE]);

impl Room {
    /// `n` zeros.
    pub(super) fn new(n: usize) -> Self {
        assert!(n.is_multiple_of(TILE), "whole lines");
        Self { lines: vec![Line([0; TILE]); n / TILE] }
    }

    /// All words.
    pub(super) const fn words(&self) -> &[u32] {
        // SAFETY: a line is `TILE` words and nothing else, and lines follow one another.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), TILE * self.lines.len()) }
    }

    /// All words.
    pub(super) const fn words_mut(&mut self) -> &mut [u32] {
        let n = TILE * self.lines.len();
        // SAFETY: as above; `self` is borrowed mutably for as long.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), n) }
    }

    /// The first `n` words, with whatever was there; allocates only to grow.
    pub(super) fn at_least(&mut self, n: usize) -> &mut [u32] {
        if self.lines.len() < n.div_ceil(TILE) {
            self.lines.resize(n.div_ceil(TILE), Line([0; TILE]));
        }
        &mut self.words_mut()[..n]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_and_begins_with_a_line() {
        let mut room = Room::new(32);
        room.words_mut()[31] = 5;
        assert_eq!(room.at_least(33)[31], 5);
        assert_eq!(room.words().len(), 48);
        assert_eq!(room.clone().words(), room.words());
        assert_eq!(room.words().as_ptr().align_offset(64), 0);
        assert_eq!(Room::default().at_least(0), []);
    }
}
