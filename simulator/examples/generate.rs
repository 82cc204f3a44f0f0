//! How long a world takes: `cargo run -p endcap-simulator --example generate -- giftshop 2000 1500 365 1 DIR`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::time::Instant;

use endcap_simulator::{World, WorldSpec};

fn main() {
    let mut args = std::env::args().skip(1);
    let mut next =
        |what: &str| args.next().unwrap_or_else(|| panic!("give {what}: PRESET CUSTOMERS PRODUCTS DAYS SEED DIR"));
    let preset = next("a preset").parse().expect("giftshop or grocery");
    let mut number = |what: &str| next(what).parse::<u32>().expect("a number");
    let (customers, products, days, seed) = (number("customers"), number("products"), number("days"), number("a seed"));
    let dir = PathBuf::from(next("a folder"));
    let began = Instant::now();
    let world = World::generate(&WorldSpec::new(preset, customers, products, days, u64::from(seed))).expect("a world");
    let drawn = began.elapsed();
    let manifest = world.write(&dir, &mut |_| {}).expect("written");
    let written = began.elapsed();
    let again = Instant::now();
    World::load(&dir).expect("read back");
    for (table, entry) in &manifest.tables {
        println!("{table:<14} {:>10} rows {:>12} bytes", entry.rows, entry.bytes);
    }
    println!("drawn in {drawn:.2?}, written by {written:.2?}, read back in {:.2?}", again.elapsed());
}
