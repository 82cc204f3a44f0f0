//! The bytes of a frame: one group commit.
//!
//! ```text
//! magic "EVG1" | body bytes u32 | CRC-32C u32 | first offset u64 | events u32 | accepted ms i64 | body
//! body: per event  bytes u32 | key 16 bytes | JSON
//! ```
//!
//! Little endian. The checksum covers all but itself. One frame per group is what makes recovery exact: a frame is begun only after
//! the one before it was synced.

use bytes::Bytes;

use super::dedup::EventKey;

pub(super) const MAGIC: [u8; 4] = *b"EVG1";
pub(super) const HEADER_BYTES: usize = 32;
const EVENT_HEADER_BYTES: usize = 20;
/// A body beyond this is damage.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// What stands before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub body_bytes: usize,
    crc: u32,
    pub first: u64,
    pub count: u32,
    pub accepted_ms: i64,
}

impl Header {
    pub(super) fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    pub(super) fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.body_bytes
    }
}

/// Bytes that one event adds to a frame.
pub(super) fn event_bytes(json: &[u8]) -> usize {
    EVENT_HEADER_BYTES + json.len()
}

/// Builds a frame.
pub(super) struct FrameBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl FrameBuilder {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; HEADER_BYTES], count: 0 }
    }

    pub(super) fn push(&mut self, key: EventKey, json: &[u8]) {
        self.bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&key.0.to_le_bytes());
        self.bytes.extend_from_slice(json);
        self.count += 1;
    }

    pub(super) fn finish(self, first: u64, accepted_ms: i64) -> Vec<u8> {
        let mut bytes = self.bytes;
        let body_bytes = (bytes.len() - HEADER_BYTES) as u32;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&body_bytes.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&first.to_le_bytes());
        header.extend_from_slice(&self.count.to_le_bytes());
        header.extend_from_slice(&accepted_ms.to_le_bytes());
        let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
        let crc = checksum(&header, body);
        if let Some(place) = header.get_mut(8..12) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        if let Some(place) = bytes.get_mut(..HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        bytes
    }
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let crc = crc32c::crc32c(header.get(..8).unwrap_or_default());
    let crc = crc32c::crc32c_append(crc, header.get(12..HEADER_BYTES).unwrap_or_default());
    crc32c::crc32c_append(crc, body)
}

/// Reads a header; `None` when these bytes cannot be one.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    let bytes = bytes.get(..HEADER_BYTES)?;
    if !bytes.starts_with(&MAGIC) {
        return None;
    }
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let header = Header {
        body_bytes: u32_at(4)? as usize,
        crc: u32_at(8)?,
        first: u64_at(12)?,
        count: u32_at(20)?,
        accepted_ms: u64_at(24)? as i64,
    };
    (header.body_bytes <= MAX_BODY_BYTES).then_some(header)
}

/// A whole, sound frame at the start of `bytes`, or why there is none.
pub(super) fn frame(bytes: &[u8]) -> Result<(Header, &[u8]), &'static str> {
    if bytes.len() < HEADER_BYTES {
        return Err("the header is cut off");
    }
    let header = header(bytes).ok_or("this is no frame header")?;
    let body = bytes.get(HEADER_BYTES..header.frame_bytes()).ok_or("the frame is cut off")?;
    if checksum(bytes, body) != header.crc {
        return Err("the checksum does not match");
    }
    Ok((header, body))
}

/// The events of a body: key and JSON, sharing the body's memory.
pub(super) fn events(body: &Bytes) -> Vec<(EventKey, Bytes)> {
    let mut events = Vec::new();
    let mut at = 0;
    while let Some(head) = body.get(at..at + EVENT_HEADER_BYTES) {
        let (length, key) = head.split_at(4);
        let (Ok(length), Ok(key)) = (<[u8; 4]>::try_from(length), <[u8; 16]>::try_from(key)) else { break };
        let start = at + EVENT_HEADER_BYTES;
        let end = start + u32::from_le_bytes(length) as usize;
        if end > body.len() {
            break;
        }
        events.push((EventKey(u128::from_le_bytes(key)), body.slice(start..end)));
        at = end;
    }
    events
}

/// Whether a sound frame that follows event `after` stands anywhere in `bytes`: then what is before it was acknowledged once.
pub(super) fn holds_later_frame(bytes: &[u8], after: u64) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.windows(MAGIC.len()).position(|window| window == MAGIC) {
        rest = rest.get(at..).unwrap_or_default();
        if frame(rest).is_ok_and(|(header, _)| header.first > after) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}
