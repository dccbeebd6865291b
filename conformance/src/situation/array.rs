//! Covering arrays: few rows in which every combination of values of each so many axes occurs.
//!
//! Greedy and deterministic. A row begins with a combination that no row has yet, and each further axis gets the value
//! that brings the most such combinations.

/// Whether two values, each with its axis, exclude each other. The value 0 of an axis excludes no other.
pub(crate) type Excludes<'a> = &'a dyn Fn((usize, usize), (usize, usize)) -> bool;

/// Rows over axes that have so many values each. Every combination of values of `strength` axes occurs in a row, unless
/// two of its values exclude each other, or the rows are as many as `most` before. The number `turn` decides between
/// arrays that are equally good.
pub(crate) fn covering(
    sizes: &[usize],
    strength: usize,
    (most, turn): (usize, usize),
    excludes: Excludes,
) -> Vec<Vec<usize>> {
    let mut open = Open::new(sizes, strength.min(sizes.len()), excludes);
    let mut rows = Vec::new();
    // Axes with many values first: their combinations are the hardest to place.
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|axis| std::cmp::Reverse(sizes[*axis]));
    while let Some(mut row) = open.first().filter(|_| rows.len() < most) {
        let begun: Vec<usize> = row.iter().map(|value| open.values[*value].0).collect();
        for axis in order.iter().copied().filter(|axis| !begun.contains(axis)) {
            let start = open.starts[axis];
            // Between values that bring the same the place in this order decides, so that all of them are used.
            let value = |place| start + (place + rows.len() + (turn >> axis)) % sizes[axis];
            let mut best = (0, 0);
            for place in 0..sizes[axis] {
                if open.fits(&row, value(place)) {
                    best = best.max((open.brings(&row, value(place)) + 1, place));
                }
            }
            row.push(if best.0 == 0 { start } else { value(best.1) });
        }
        open.mark(&row, false);
        row.sort_unstable();
        rows.push(row.into_iter().map(|value| open.values[value].1).collect());
    }
    rows
}

/// The combinations of values of `strength` axes that are in none of these rows, each value with its axis.
pub(crate) fn remaining(
    sizes: &[usize],
    strength: usize,
    excludes: Excludes,
    rows: impl Iterator<Item = Vec<usize>>,
) -> Vec<Vec<(usize, usize)>> {
    let mut open = Open::new(sizes, strength, excludes);
    for row in rows {
        let row: Vec<usize> = row.iter().zip(&open.starts).map(|(value, start)| start + value).collect();
        open.clear(0, &row, strength);
    }
    std::iter::from_fn(|| open.first().map(|one| one.iter().map(|value| open.values[*value]).collect())).collect()
}

/// The combinations that no row has yet. A value is a number here: all values of all axes are counted.
struct Open {
    strength: usize,
    /// The axis of each value, and its number among the values of the axis.
    values: Vec<(usize, usize)>,
    /// The first value of each axis.
    starts: Vec<usize>,
    /// Whether two values exclude each other, at the place of the two.
    excluded: Vec<bool>,
    /// Whether a combination is missing, at its place in each order.
    missing: Vec<bool>,
    /// All combinations, the next at the end.
    all: Vec<Vec<usize>>,
}

impl Open {
    fn new(sizes: &[usize], strength: usize, excludes: Excludes) -> Self {
        let starts: Vec<usize> = sizes.iter().scan(0, |sum, size| Some(std::mem::replace(sum, *sum + size))).collect();
        let of = |(axis, size): (usize, &usize)| (0..*size).map(move |value| (axis, value));
        let values: Vec<(usize, usize)> = sizes.iter().enumerate().flat_map(of).collect();
        let excluded = values.iter().flat_map(|one| values.iter().map(|other| excludes(*one, *other))).collect();
        let missing = vec![false; values.len().pow(strength as u32)];
        let mut open = Self { strength, values, starts, excluded, missing, all: vec![Vec::new()] };
        for _ in 0..strength {
            let longer = |one: &Vec<usize>| {
                let next = one.last().map_or(0, |value| open.values[*value].0 + 1);
                let first = open.starts.get(next).copied().unwrap_or(open.values.len());
                let fitting = (first..open.values.len()).filter(|value| open.fits(one, *value));
                fitting.map(|value| [one.as_slice(), &[value]].concat()).collect::<Vec<_>>()
            };
            open.all = open.all.iter().flat_map(longer).collect();
        }
        open.all.reverse();
        let all = std::mem::take(&mut open.all);
        all.iter().for_each(|one| open.mark(one, true));
        Self { all, ..open }
    }

    fn fits(&self, row: &[usize], value: usize) -> bool {
        row.iter().all(|other| !self.excluded[value * self.values.len() + other])
    }

    /// The next combination that is missing.
    fn first(&mut self) -> Option<Vec<usize>> {
        while let Some(one) = self.all.pop() {
            if self.missing[one.iter().fold(0, |place, value| place * self.values.len() + value)] {
                return Some(one);
            }
        }
        None
    }

    /// The number of missing combinations that a value brings, together with the values that the row has already.
    fn brings(&self, row: &[usize], value: usize) -> usize {
        self.count(value, row, self.strength - 1)
    }

    /// The number of missing combinations that begin at this place and have `more` of these values.
    fn count(&self, place: usize, row: &[usize], more: usize) -> usize {
        if more == 0 {
            return usize::from(self.missing[place]);
        }
        let with = |at: usize| self.count(place * self.values.len() + row[at], &row[at + 1..], more - 1);
        (0..row.len()).map(with).sum()
    }

    /// Notes that the combinations of `more` of these values after this place are not missing, in this order only: that
    /// of the axes is enough for [`first()`](Self::first).
    fn clear(&mut self, place: usize, row: &[usize], more: usize) {
        if more == 0 {
            self.missing[place] = false;
            return;
        }
        for at in 0..row.len() {
            self.clear(place * self.values.len() + row[at], &row[at + 1..], more - 1);
        }
    }

    /// Notes for all combinations of these values whether they are missing.
    fn mark(&mut self, row: &[usize], missing: bool) {
        self.mark_from(0, &mut row.to_vec(), self.strength, missing);
    }

    fn mark_from(&mut self, place: usize, rest: &mut Vec<usize>, more: usize, missing: bool) {
        if more == 0 {
            self.missing[place] = missing;
            return;
        }
        for at in 0..rest.len() {
            let value = rest.remove(at);
            self.mark_from(place * self.values.len() + value, rest, more - 1, missing);
            rest.insert(at, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination that is possible occurs, no row has two values that exclude each other, and the same axes give
    /// the same rows.
    #[test]
    fn every_combination_occurs() {
        let mut random = fastrand::Rng::with_seed(18);
        for _ in 0..60 {
            let sizes: Vec<usize> = (0..random.usize(1..8)).map(|_| random.usize(1..6)).collect();
            let seed = random.u64(..);
            let excludes = |one: (usize, usize), other: (usize, usize)| {
                let (low, high) = (one.min(other), one.max(other));
                let number = (low.0 * 7 + low.1) * 61 + high.0 * 7 + high.1;
                low.1 > 0 && high.1 > 0 && low.0 != high.0 && (seed >> (number % 61)) & 7 == 0
            };
            for strength in 1..4 {
                let turn = random.usize(..);
                let rows = covering(&sizes, strength, (usize::MAX, turn), &excludes);
                assert_eq!(rows, covering(&sizes, strength, (usize::MAX, turn), &excludes));
                let Open { all, values, .. } = Open::new(&sizes, strength.min(sizes.len()), &excludes);
                for one in &all {
                    let has = |row: &Vec<usize>| one.iter().map(|at| values[*at]).all(|(axis, it)| row[axis] == it);
                    assert!(rows.iter().any(has), "{sizes:?} {one:?}");
                }
                for row in &rows {
                    let values: Vec<(usize, usize)> = row.iter().copied().enumerate().collect();
                    let clash = values.iter().any(|one| values.iter().any(|other| excludes(*one, *other)));
                    assert!(!clash, "{sizes:?} {row:?}");
                }
                assert!(rows.len() <= all.len());
                let strength = strength.min(sizes.len());
                let remain = |rows: &[Vec<usize>]| remaining(&sizes, strength, &excludes, rows.iter().cloned());
                assert!(remain(&rows).is_empty(), "{sizes:?}");
                let half = &rows[..rows.len() / 2];
                let missing = all.iter().map(|one| one.iter().map(|at| values[*at]).collect::<Vec<_>>());
                let missing =
                    missing.filter(|one| !half.iter().any(|row| one.iter().all(|(axis, it)| row[*axis] == *it)));
                assert_eq!(remain(half).len(), missing.count(), "{sizes:?}");
            }
        }
    }

    /// The two largest axes need as many rows as they have pairs of values; a greedy array has few more.
    #[test]
    fn rows_are_few() {
        let rows = covering(&[2, 7, 8, 5, 6, 7, 6, 5, 2], 2, (usize::MAX, 0), &|_, _| false);
        assert!((56..72).contains(&rows.len()), "{} rows", rows.len());
    }
}
