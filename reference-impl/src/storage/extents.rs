//! The map of a file: runs of contiguous blocks on the storage.

use crate::units::Address;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// The highest number of a block of a file, because offsets are signed.
pub(crate) const LAST_BLOCK: u64 = i64::MAX as u64 / crate::units::BLOCK as u64;

/// The place of one block of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) address: Address,
    /// False for a block that is allocated but reads as zeros until it is written.
    pub(crate) written: bool,
}

/// A run of `count` blocks of a file, from block `start`, on consecutive addresses from `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) count: u64,
    pub(crate) address: Address,
    pub(crate) written: bool,
}

impl Run {
    pub(crate) fn end(&self) -> u64 {
        self.start + self.count
    }

    fn at(&self, block: u64) -> Extent {
        Extent { address: self.address + (block - self.start) as Address, written: self.written }
    }

    /// The part of the run inside a range; the two must overlap.
    fn within(&self, range: &Range<u64>) -> Self {
        let (start, end) = (self.start.max(range.start), self.end().min(range.end));
        Self { start, count: end - start, address: self.at(start).address, ..*self }
    }

    /// Whether the other run continues this run, in the file and on the storage.
    fn is_continued_by(&self, next: &Self) -> bool {
        self.end() == next.start && self.at(next.start).address == next.address && self.written == next.written
    }

    pub(crate) fn addresses(&self) -> Range<Address> {
        self.address..self.address + self.count as Address
    }

    /// Checks that a run of the log is inside the change that it belongs to, and on the storage. The error names the
    /// fault.
    fn check(&self, range: &Range<u64>, storage: usize) -> Result<(), String> {
        let blocks = self.start.checked_add(self.count).filter(|end| self.count > 0 && *end <= LAST_BLOCK + 1);
        let end = blocks.ok_or_else(|| format!("{} blocks from block {} of the file", self.count, self.start))?;
        if self.start < range.start || end > range.end {
            return Err(format!("blocks {}..{end} outside the change of {}..{}", self.start, range.start, range.end));
        }
        if self.count > storage as u64 || self.address > storage - self.count as usize {
            let place = format!("{} blocks at {}", self.count, self.address);
            return Err(format!("{place}, where the storage has {storage} blocks"));
        }
        Ok(())
    }
}

/// Maps the number of a block in the file to its place; missing blocks are holes.
#[derive(Clone, Debug)]
pub(crate) struct ExtentMap {
    runs: BTreeMap<u64, Run>,
    /// The number of blocks that are not holes.
    len: u64,
    /// The range of blocks that includes all changes since the last commit.
    changed: Range<u64>,
}

impl Default for ExtentMap {
    /// An empty map. It may replace another map, so the whole range counts as changed.
    fn default() -> Self {
        Self { runs: BTreeMap::new(), len: 0, changed: 0..u64::MAX }
    }
}

impl ExtentMap {
    pub(crate) fn get(&self, block: u64) -> Option<Extent> {
        let (_, run) = self.runs.range(..=block).next_back()?;
        (block < run.end()).then(|| run.at(block))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The block after the last one that is not a hole.
    pub(crate) fn end(&self) -> u64 {
        self.runs.values().next_back().map_or(0, Run::end)
    }

    /// The number of blocks that are not holes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The runs in a range, in order; runs at its ends are cut.
    pub(crate) fn runs(&self, range: Range<u64>) -> impl Iterator<Item = Run> + '_ {
        let first = self.runs.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
        let some = !range.is_empty();
        let meets = move |run: &&Run| some && run.end() > range.start;
        let whole = range.start..range.end.max(range.start);
        self.runs
            .range(first..range.end.max(first))
            .map(|(_, run)| run)
            .filter(meets)
            .map(move |run| run.within(&whole))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// Every address of the file, in order.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.runs.values().flat_map(Run::addresses)
    }

    /// The first block of a range that is a hole.
    pub(crate) fn hole(&self, range: Range<u64>) -> Option<u64> {
        let mut next = range.start;
        for run in self.runs(range.clone()) {
            if run.start > next {
                break;
            }
            next = run.end();
        }
        (next < range.end).then_some(next)
    }

    /// The first hole in a range, up to its end or the next run.
    pub(crate) fn gap(&self, range: Range<u64>) -> Option<Range<u64>> {
        let start = self.hole(range.clone())?;
        let end = self.runs(start..range.end).next().map_or(range.end, |run| run.start);
        Some(start..end)
    }

    pub(crate) fn insert(&mut self, block: u64, extent: Extent) {
        self.remove(block..block + 1);
        self.join(Run { start: block, count: 1, address: extent.address, written: extent.written });
    }

    /// Removes the blocks of a range, and returns their runs.
    pub(crate) fn remove(&mut self, range: Range<u64>) -> Vec<Run> {
        let out: Vec<Run> = self.runs(range.clone()).collect();
        let (Some(first), Some(last)) = (out.first(), out.last()) else { return out };
        self.note(first.start..last.end());
        self.len -= out.iter().map(|run| run.count).sum::<u64>();
        // A run can cross either end of the range.
        let before = self.runs.range(..range.start).next_back().map(|(_, run)| *run);
        let after = self.runs.range(..range.end).next_back().map(|(_, run)| *run).filter(|run| run.end() > range.end);
        for run in &out {
            self.runs.remove(&run.start);
        }
        if let Some(run) = before {
            self.runs.insert(run.start, run.within(&(run.start..range.start)));
        }
        if let Some(run) = after {
            let rest = run.within(&(range.end..run.end()));
            self.runs.insert(rest.start, rest);
        }
        out
    }

    /// Adds a run in place of a hole.
    pub(crate) fn join(&mut self, mut run: Run) {
        self.note(run.start..run.end());
        self.len += run.count;
        if let Some((_, before)) = self.runs.range(..run.start).next_back()
            && before.is_continued_by(&run)
        {
            run = Run { count: before.count + run.count, ..*before };
        }
        if let Some(after) = self.runs.get(&run.end()).copied()
            && run.is_continued_by(&after)
        {
            self.runs.remove(&after.start);
            run.count += after.count;
        }
        self.runs.insert(run.start, run);
    }

    /// Moves the blocks from number `from` on, so that they start at `to`.
    pub(crate) fn shift(&mut self, from: u64, to: u64) {
        for run in self.remove(from..u64::MAX) {
            self.join(Run { start: run.start - from + to, ..run });
        }
    }

    fn note(&mut self, range: Range<u64>) {
        let empty = self.changed.is_empty();
        let hull = self.changed.start.min(range.start)..self.changed.end.max(range.end);
        self.changed = if empty { range } else { hull };
    }

    /// Marks the whole map as changed, because it belongs to another file now.
    pub(crate) fn given(mut self) -> Self {
        self.changed = 0..u64::MAX;
        self
    }

    /// The changes that are not in the log yet: a range, and the runs in it.
    pub(crate) fn changes(&self) -> (Range<u64>, Vec<Run>) {
        (self.changed.clone(), self.runs(self.changed.clone()).collect())
    }

    /// Marks all changes as logged.
    pub(crate) fn settle(&mut self) {
        self.changed = 0..0;
    }

    /// Applies changes of the log. The error names their fault.
    pub(crate) fn apply(&mut self, range: Range<u64>, runs: Vec<Run>, storage: usize) -> Result<(), String> {
        if range.start > range.end {
            return Err(format!("changes in {}..{}", range.start, range.end));
        }
        self.remove(range.clone());
        for run in runs {
            run.check(&range, storage)?;
            if self.runs(run.start..run.end()).next().is_some() {
                return Err(format!("block {} of the file twice", run.start));
            }
            self.join(run);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The log cannot make a map that leaves the file or the storage, or has a block twice.
    #[test]
    fn forged_changes() {
        let run = |start, count, address| Run { start, count, address, written: true };
        let wrong = [
            vec![run(0, 0, 0)],
            vec![run(0, 11, 0)],
            vec![run(0, 2, 9)],
            vec![run(0, 1, usize::MAX)],
            vec![run(0, u64::MAX, 0)],
            vec![run(u64::MAX, 2, 0)],
            vec![run(LAST_BLOCK, 2, 0)],
            vec![run(3, 2, 0), run(4, 1, 5)],
        ];
        for runs in wrong {
            let text = format!("{runs:?}");
            assert!(ExtentMap::default().apply(0..u64::MAX, runs, 10).is_err(), "{text}");
        }
        assert!(ExtentMap::default().apply(2..5, vec![run(4, 2, 0)], 10).is_err());
        assert!(ExtentMap::default().apply(2..5, vec![run(1, 2, 0)], 10).is_err());
        let mut map = ExtentMap::default();
        assert!(map.apply(0..u64::MAX, vec![run(0, 10, 0)], 10).is_ok());
        assert!(map.apply(Range { start: 7, end: 3 }, Vec::new(), 10).is_err());
        assert_eq!((map.all().count(), map.len()), (1, 10));
    }

    /// After any inserts, removals and shifts, the runs equal a table with one line for each block.
    #[test]
    fn as_a_table_of_blocks() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut map, mut table) = (ExtentMap::default(), BTreeMap::new());
        map.settle();
        let mut durable = ExtentMap::default();
        for step in 0..4000 {
            let (a, b) = (random.u64(0..40), random.u64(0..40));
            match random.u8(0..8) {
                0 => {
                    let removed: Vec<Address> = map.remove(a..b).iter().flat_map(Run::addresses).collect();
                    let gone: Vec<u64> = table.range(a..b.max(a)).map(|(block, _)| *block).collect();
                    let expected: Vec<Address> =
                        gone.iter().filter_map(|block| table.remove(block)).map(|e: Extent| e.address).collect();
                    assert_eq!(removed, expected, "step {step}");
                }
                1 => {
                    let (from, to) = (a.max(b), a.min(b));
                    map.remove(to..from);
                    map.shift(from, to);
                    let tail = table.split_off(&from);
                    table.split_off(&to);
                    table.extend(tail.into_iter().map(|(block, extent)| (block - from + to, extent)));
                }
                _ => {
                    let extent = Extent { address: (a + random.u64(0..2)) as Address, written: random.u8(0..8) > 0 };
                    map.insert(a, extent);
                    table.insert(a, extent);
                }
            }
            for block in 0..42 {
                assert_eq!(map.get(block), table.get(&block).copied(), "block {block} after step {step}");
            }
            assert_eq!(map.len(), table.len() as u64, "the length after step {step}");
            assert!(map.all().is_sorted_by(|a, b| a.end() <= b.start), "a block twice after step {step}");
            let hole = (a..b).find(|block| !table.contains_key(block));
            assert_eq!(map.hole(a..b), hole, "the hole of {a}..{b} after step {step}");
            if random.u8(0..4) == 0 {
                let (range, runs) = map.changes();
                durable.apply(range, runs, 100).unwrap();
                map.settle();
                assert_eq!(durable.runs, map.runs, "the log after step {step}");
            }
        }
    }
}
