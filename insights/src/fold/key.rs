//! Names as numbers. Customers, sessions, requests and orders enter the state only as keyless hashes: no id of a person is kept.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// SipHash-2-4 (Aumasson and Bernstein, 2012) with a zero key, over a kind and a name.
pub fn key(kind: &str, name: &str) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(kind.as_bytes());
    hasher.write_u8(0);
    hasher.write(name.as_bytes());
    hasher.finish()
}

/// Products have short keys: of 100,000 products about one pair shares one.
pub fn product_key(product: &str) -> u32 {
    key("product", product) as u32
}
