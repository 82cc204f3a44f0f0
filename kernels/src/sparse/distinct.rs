//! Ids with repeats, told apart.

/// Above this many ids of span for each id given, sorting is cheaper than a bit for each.
const SPAN_PER_ID: usize = 4096;

/// Of a list of ids: each once, and where each position of the list finds its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    /// Ascending, each once.
    pub ids: Vec<u32>,
    /// For each position of the list: `ids[places[position]]` is its id.
    pub places: Vec<u32>,
}

impl Distinct {
    pub fn of(list: &[u32]) -> Self {
        let span = list.iter().max().map_or(0, |highest| *highest as usize + 1);
        if span / SPAN_PER_ID > list.len() { Self::by_sorting(list) } else { Self::by_bits(list, span) }
    }

    pub(super) fn by_sorting(list: &[u32]) -> Self {
        let mut pairs: Vec<u64> =
            list.iter().zip(0u64..).map(|(id, position)| (u64::from(*id) << 32) | position).collect();
        pairs.sort_unstable();
        let mut distinct = Self { ids: Vec::new(), places: vec![0; list.len()] };
        for pair in pairs {
            let (id, position) = ((pair >> 32) as u32, pair as u32);
            if distinct.ids.last() != Some(&id) {
                distinct.ids.push(id);
            }
            if let Some(place) = distinct.places.get_mut(position as usize) {
                *place = distinct.ids.len() as u32 - 1;
            }
        }
        distinct
    }

    /// One bit for each id up to the highest; the place of an id is how many bits are set before its own.
    fn by_bits(list: &[u32], span: usize) -> Self {
        // a word of bits, and how many are set in the words before it
        let mut words = vec![(0u64, 0u32); span.div_ceil(64)];
        for id in list {
            if let Some((bits, _)) = words.get_mut(*id as usize / 64) {
                *bits |= 1 << (id % 64);
            }
        }
        let mut ids = Vec::with_capacity(list.len());
        for (word, (bits, before)) in words.iter_mut().enumerate() {
            *before = ids.len() as u32;
            let mut left = *bits;
            while left != 0 {
                ids.push(word as u32 * 64 + left.trailing_zeros());
                left &= left - 1;
            }
        }
        let places = list
            .iter()
            .map(|id| {
                words
                    .get(*id as usize / 64)
                    .map_or(0, |(bits, before)| before + (bits & ((1 << (id % 64)) - 1)).count_ones())
            })
            .collect();
        Self { ids, places }
    }

    /// Rows of `gradients` (a row of `dim` for each position of the list) added up for each distinct id, in the list's order:
    /// ids.len() x dim. Positions without a whole row add nothing.
    pub fn sum(&self, gradients: &[f32], dim: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.ids.len() * dim];
        for (row, place) in gradients.chunks_exact(dim.max(1)).zip(&self.places) {
            let start = *place as usize * dim;
            crate::dot::axpy(1.0, row, out.get_mut(start..start + dim).unwrap_or_default());
        }
        out
    }
}
