//! What became of the events: counts by name, and those without effect by reason with examples.

use std::collections::BTreeMap;

use endcap_tables::RejectedRows;

/// Under which table the manifest counts events without effect.
pub const TABLE: &str = "events";
const EXAMPLES: usize = 10;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub counts: BTreeMap<String, u64>,
    rejected: BTreeMap<&'static str, (u64, Vec<String>)>,
}

impl Tally {
    pub fn count(&mut self, name: &str, by: u64) {
        if by > 0 {
            *self.counts.entry(name.to_owned()).or_default() += by;
        }
    }

    /// An event, or a line of one, that changes nothing.
    pub fn reject(&mut self, reason: &'static str, example: impl FnOnce() -> String) {
        let (rows, examples) = self.rejected.entry(reason).or_default();
        *rows += 1;
        if examples.len() < EXAMPLES {
            examples.push(example());
        }
    }

    /// For the manifest, with what the dataset rejected itself.
    pub fn rejected(&self, base: &[RejectedRows]) -> Vec<RejectedRows> {
        let mut all = base.to_vec();
        for (reason, (rows, examples)) in &self.rejected {
            match all.iter_mut().find(|known| known.table == TABLE && known.reason == *reason) {
                Some(known) => known.rows += rows,
                None => all.push(RejectedRows {
                    table: TABLE.to_owned(),
                    reason: (*reason).to_owned(),
                    rows: *rows,
                    examples: examples.clone(),
                }),
            }
        }
        all
    }
}
