//! Rows of different lengths in one piece of memory.

/// Compressed sparse rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<T> {
    starts: Vec<usize>,
    entries: Vec<T>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { starts: vec![0], entries: Vec::new() }
    }
}

impl<T> FromIterator<Vec<T>> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = Vec<T>>>(rows: I) -> Self {
        let mut all = Self::default();
        for row in rows {
            all.entries.extend(row);
            all.starts.push(all.entries.len());
        }
        all
    }
}

impl<T> Rows<T> {
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empty where there is no such row.
    pub fn row(&self, at: usize) -> &[T] {
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(from), Some(to)) => self.entries.get(*from..*to).unwrap_or_default(),
            _ => &[],
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &[T]> {
        (0..self.len()).map(|at| self.row(at))
    }
}

impl Rows<(u32, f32)> {
    /// Rows by what stood in the entries; within a row ascending.
    pub fn transposed(&self, columns: usize) -> Self {
        let mut rows: Vec<Vec<(u32, f32)>> = vec![Vec::new(); columns];
        for (at, row) in self.iter().enumerate() {
            for (column, value) in row {
                if let Some(slot) = rows.get_mut(*column as usize) {
                    slot.push((at as u32, *value));
                }
            }
        }
        rows.into_iter().collect()
    }
}

/// A dense vector that is filled sparsely and taken out sparsely, so that an emptying costs what was filled.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    values: Vec<f32>,
    touched: Vec<u32>,
}

impl Counter {
    pub fn new(len: usize) -> Self {
        Self { values: vec![0.0; len], touched: Vec::new() }
    }

    /// Adds what is above 0.
    pub fn add(&mut self, at: u32, value: f32) {
        if value > 0.0
            && let Some(slot) = self.values.get_mut(at as usize)
        {
            if *slot == 0.0 {
                self.touched.push(at);
            }
            *slot += value;
        }
    }

    /// What was added, ascending; nothing is left.
    pub fn take(&mut self) -> Vec<(u32, f32)> {
        self.touched.sort_unstable();
        let values = &mut self.values;
        let taken = self.touched.drain(..).filter_map(|at| Some((at, std::mem::take(values.get_mut(at as usize)?))));
        taken.collect()
    }
}

/// The `keep` highest of a list, ties to the smaller number, in the order of the numbers.
pub(crate) fn strongest(mut list: Vec<(u32, f32)>, keep: usize) -> Vec<(u32, f32)> {
    if list.len() > keep {
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if keep > 0 {
            list.select_nth_unstable_by(keep - 1, order);
        }
        list.truncate(keep);
        list.sort_unstable_by_key(|entry| entry.0);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_turn_around() {
        let rows: Rows<(u32, f32)> = [vec![(1, 0.5), (2, 1.0)], vec![], vec![(1, 2.0)]].into_iter().collect();
        let turned = rows.transposed(3);
        assert_eq!((turned.len(), turned.row(0).len()), (3, 0));
        assert_eq!(turned.row(1), &[(0, 0.5), (2, 2.0)]);
        assert_eq!(turned.transposed(3), rows);
        assert!(rows.row(9).is_empty());
    }

    #[test]
    fn a_counter_gives_back_what_was_added_once() {
        let mut counter = Counter::new(4);
        for (at, value) in [(3, 1.0), (1, 0.5), (3, 1.0), (9, 1.0), (2, 0.0)] {
            counter.add(at, value);
        }
        assert_eq!(counter.take(), vec![(1, 0.5), (3, 2.0)]);
        assert!(counter.take().is_empty());
    }

    #[test]
    fn the_strongest_are_kept_and_ties_go_to_the_smaller() {
        assert_eq!(strongest(vec![(1, 1.0), (2, 3.0), (3, 1.0)], 2), vec![(1, 1.0), (2, 3.0)]);
        assert!(strongest(vec![(1, 1.0)], 0).is_empty());
    }
}
