//! Covering arrays: few rows in which every combination of values of each so many axes occurs.
//!
//! Greedy and deterministic. A row begins with a combination that no row has yet, and each further axis gets the value
//! that brings the most such combinations.

/// Whether two values, each with its axis, exclude each other. The value 0 of an axis excludes no other.
pub(crate) type Excludes<'a> = &'a dyn Fn((usize, usize), (usize, usize)) -> bool;

/// Rows over axes that have so many values each. Every combination of values of `strength` axes occurs in a row, unless
/// two of its values exclude each other, or the rows are as many as `most` before.
pub(crate) fn covering(sizes: &[usize], strength: usize, most: usize, excludes: Excludes) -> Vec<Vec<usize>> {
    let mut open = Open::new(sizes, strength.min(sizes.len()), excludes);
    let mut rows = Vec::new();
    // Axes with many values first: their combinations are the hardest to place.
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|axis| std::cmp::Reverse(sizes[*axis]));
    while let Some(first) = open.first().filter(|_| rows.len() < most) {
        let mut row: Vec<Option<usize>> = vec![None; sizes.len()];
        for (axis, value) in first {
            row[axis] = Some(value);
        }
        for axis in order.iter().copied() {
            if row[axis].is_some() {
                continue;
            }
            let mut best = (0, 0);
            for turn in 0..sizes[axis] {
                // The turn decides between values that bring the same, so that all of them are used.
                let value = (turn + rows.len()) % sizes[axis];
                let fits = row
                    .iter()
                    .enumerate()
                    .all(|(other, set)| set.is_none_or(|set| !excludes((axis, value), (other, set))));
                if fits {
                    let brings = open.brings(&row, (axis, value)) + 1;
                    best = best.max((brings, turn));
                }
            }
            row[axis] = Some(if best.0 == 0 { 0 } else { (best.1 + rows.len()) % sizes[axis] });
        }
        let row: Vec<usize> = row.into_iter().map(Option::unwrap_or_default).collect();
        open.cover(&row);
        rows.push(row);
    }
    rows
}

/// The combinations that no row has yet.
struct Open {
    strength: usize,
    /// The number of the first value of each axis, when all values are counted.
    starts: Vec<usize>,
    /// The number of all values.
    count: usize,
    /// A bit for each combination, at the place that [`Open::place`] gives.
    missing: Vec<bool>,
    /// All combinations, the next at the end.
    all: Vec<Vec<(usize, usize)>>,
}

impl Open {
    fn new(sizes: &[usize], strength: usize, excludes: Excludes) -> Self {
        let starts: Vec<usize> = sizes.iter().scan(0, |sum, size| Some(std::mem::replace(sum, *sum + size))).collect();
        let count: usize = sizes.iter().sum();
        let mut all: Vec<Vec<(usize, usize)>> = vec![Vec::new()];
        for _ in 0..strength {
            let longer = |one: &Vec<(usize, usize)>| {
                let next = one.last().map_or(0, |(axis, _)| axis + 1);
                let values = (next..sizes.len()).flat_map(|axis| (0..sizes[axis]).map(move |value| (axis, value)));
                let fits = |value: &(usize, usize)| one.iter().all(|other| !excludes(*value, *other));
                values.filter(fits).map(|value| [one.as_slice(), &[value]].concat()).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(longer).collect();
        }
        all.reverse();
        let mut open =
            Self { strength, starts, count, missing: vec![false; count.pow(strength as u32)], all: Vec::new() };
        for one in &all {
            let place = open.place(one);
            open.missing[place] = true;
        }
        open.all = all;
        open
    }

    fn place(&self, combination: &[(usize, usize)]) -> usize {
        combination.iter().fold(0, |place, (axis, value)| place * self.count + self.starts[*axis] + value)
    }

    /// The next combination that is missing.
    fn first(&mut self) -> Option<Vec<(usize, usize)>> {
        while let Some(one) = self.all.pop() {
            if self.missing[self.place(&one)] {
                return Some(one);
            }
        }
        None
    }

    /// The number of missing combinations that a value brings, together with the values that the row has already.
    fn brings(&self, row: &[Option<usize>], (axis, value): (usize, usize)) -> usize {
        let with = |at: usize| if at == axis { Some(value) } else { row[at] };
        self.count_from(0, 0, self.strength, &with, (axis, false))
    }

    /// The number of missing combinations with the values of the axes from `from` on, whose first part has this place.
    fn count_from(
        &self,
        from: usize,
        place: usize,
        left: usize,
        with: &dyn Fn(usize) -> Option<usize>,
        (axis, has): (usize, bool),
    ) -> usize {
        if left == 0 {
            return usize::from(has && self.missing[place]);
        }
        // Without the new value, a combination brings nothing new.
        let end = if has || left > 1 { self.starts.len() } else { axis + 1 };
        (from..end)
            .filter_map(|at| with(at).map(|value| (at, value)))
            .map(|(at, value)| {
                let place = place * self.count + self.starts[at] + value;
                self.count_from(at + 1, place, left - 1, with, (axis, has || at == axis))
            })
            .sum()
    }

    fn cover(&mut self, row: &[usize]) {
        let mut places = vec![(0, 0)];
        for _ in 0..self.strength {
            let longer = |(next, place): &(usize, usize)| {
                let (next, place) = (*next, *place);
                let values =
                    (next..row.len()).map(|axis| (axis + 1, place * self.count + self.starts[axis] + row[axis]));
                values.collect::<Vec<_>>()
            };
            places = places.iter().flat_map(longer).collect();
        }
        for (_, place) in places {
            self.missing[place] = false;
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
                let rows = covering(&sizes, strength, usize::MAX, &excludes);
                assert_eq!(rows, covering(&sizes, strength, usize::MAX, &excludes));
                let all: Vec<Vec<(usize, usize)>> = Open::new(&sizes, strength.min(sizes.len()), &excludes).all;
                for one in &all {
                    assert!(
                        rows.iter().any(|row| one.iter().all(|(axis, value)| row[*axis] == *value)),
                        "{sizes:?} {one:?}"
                    );
                }
                for row in &rows {
                    let values: Vec<(usize, usize)> = row.iter().copied().enumerate().collect();
                    let clash = values.iter().any(|one| values.iter().any(|other| excludes(*one, *other)));
                    assert!(!clash, "{sizes:?} {row:?}");
                }
                assert!(rows.len() <= all.len());
            }
        }
    }

    /// The two largest axes need as many rows as they have pairs of values; a greedy array has few more.
    #[test]
    fn rows_are_few() {
        let rows = covering(&[2, 7, 8, 5, 6, 7, 6, 5, 2], 2, usize::MAX, &|_, _| false);
        assert!((56..72).contains(&rows.len()), "{} rows", rows.len());
    }
}
