//! A table as bytes, for checkpoints: training that goes on from them takes the same steps as training that never stopped.

use super::SparseTable;

/// Bytes begin with this; then rows and dim as `u64`, values, moments and counters, all little-endian.
const MARK: &[u8; 8] = b"SPARSE01";

impl SparseTable {
    pub fn state_bytes(&self) -> Vec<u8> {
        let numbers = self.values.len() + self.moments.len() + self.steps.len();
        let mut bytes = Vec::with_capacity(MARK.len() + 16 + numbers * 4);
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&(self.rows() as u64).to_le_bytes());
        bytes.extend_from_slice(&(self.dim as u64).to_le_bytes());
        bytes.extend(self.values.iter().chain(&self.moments).flat_map(|x| x.to_le_bytes()));
        bytes.extend(self.steps.iter().flat_map(|x| x.to_le_bytes()));
        bytes
    }

    /// Nothing unless the bytes are of [`SparseTable::state_bytes`], whole and without a rest.
    pub fn from_state_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(MARK)?;
        let (rows, bytes) = bytes.split_first_chunk::<8>()?;
        let (dim, bytes) = bytes.split_first_chunk::<8>()?;
        let rows = usize::try_from(u64::from_le_bytes(*rows)).ok()?;
        let dim = usize::try_from(u64::from_le_bytes(*dim)).ok()?;
        let count = rows.checked_mul(dim)?;
        let numbers = count.checked_mul(3)?.checked_add(rows)?;
        if numbers.checked_mul(4)? != bytes.len() {
            return None;
        }
        let (values, bytes) = bytes.split_at_checked(count * 4)?;
        let (moments, steps) = bytes.split_at_checked(count * 8)?;
        let floats = |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        let steps = steps.as_chunks::<4>().0.iter().map(|x| u32::from_le_bytes(*x)).collect();
        Some(Self { dim, values: floats(values), moments: floats(moments), steps })
    }
}
