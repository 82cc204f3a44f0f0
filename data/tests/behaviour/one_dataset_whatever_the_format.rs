//! The same rows give the same dataset, byte for byte: from CSV, JSON lines or Parquet, in parts or whole, with one thread or two.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use crate::common::{Shop, View, of_spec, request, run, shop, write_csv};
use endcap_data::{DataSpec, Layout, Limits};
use endcap_tables::DatasetManifest;

fn dataset(write: impl Fn(&Path)) -> DatasetManifest {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("in");
    std::fs::create_dir(&data).unwrap();
    write(&data);
    run(&request(&data, &dir.path().join("out"))).unwrap().manifest
}

/// A shop with rejected rows, so that examples are part of what must be equal.
fn dirty() -> Shop {
    let mut shop = shop();
    shop.get_mut("MV_SalesDetail").unwrap().push("1001|4|p9|1|2.55");
    shop.get_mut("MV_SalesDetail").unwrap().push("1001|5|p1|1|0");
    shop
}

#[test]
fn csv_json_lines_and_parquet_give_one_digest() {
    let shop = dirty();
    let csv = dataset(|dir| write_csv(&shop, dir));
    let jsonl = dataset(|dir| shop.values().for_each(|view| view.jsonl(dir)));
    let parquet = dataset(|dir| shop.values().for_each(|view| view.parquet(dir)));
    assert_eq!(csv, jsonl);
    assert_eq!(csv, parquet);
    assert_eq!(csv.digest(), parquet.digest());
}

#[test]
fn other_spellings_of_the_same_file_give_the_same_tables() {
    let shop = dirty();
    let plain = dataset(|dir| write_csv(&shop, dir));
    let other = dataset(|dir| {
        write_csv(&shop, dir);
        // A byte order mark, semicolons, Windows line ends, other names.
        let mut sales: String = shop["MV_Sales"].rows.iter().map(|row| row.join(";") + "\r\n").collect();
        sales = sales.replacen("SalesID;SalesDate", "\u{feff}sales_id;SALESDATE", 1);
        std::fs::remove_file(dir.join("MV_Sales.csv")).unwrap();
        std::fs::write(dir.join("mv_sales.csv"), sales).unwrap();
    });
    assert_eq!(plain.tables, other.tables);
}

#[test]
fn a_view_in_parts_is_the_view() {
    let shop = dirty();
    let whole = dataset(|dir| write_csv(&shop, dir));
    let parts = dataset(|dir| {
        write_csv(&shop, dir);
        let view = &shop["MV_SalesDetail"];
        std::fs::remove_file(dir.join("MV_SalesDetail.csv")).unwrap();
        std::fs::create_dir(dir.join("MV_SalesDetail")).unwrap();
        for (name, range) in [("part-0", 1..4), ("part-1", 4..view.rows.len())] {
            let mut rows = vec![view.rows[0].clone()];
            rows.extend(view.rows[range].to_vec());
            View { name, rows }.csv(&dir.join("MV_SalesDetail"));
        }
    });
    assert_eq!(whole.tables, parts.tables);
}

/// Thousands of lines, so that they fall into several batches and partitions.
fn larger() -> Shop {
    let mut shop = shop();
    for order in 0..6_000_u32 {
        let (id, day) = (20_000 + order, 1 + order % 28);
        shop.get_mut("MV_Sales").unwrap().push(&format!("{id}|2024-02-{day:02} 10:00:00|c{}|Placed|web|1", order % 97));
        for line in 0..4 {
            let quantity = if order % 11 == 3 && line == 2 { -1 } else { 1 + i64::from((order + line) % 5) };
            shop.get_mut("MV_SalesDetail").unwrap().push(&format!(
                "{id}|{line}|p{}|{quantity}|0.{}5",
                1 + (order + line) % 3,
                1 + order % 9
            ));
        }
    }
    shop
}

#[test]
fn threads_and_memory_do_not_show_in_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("in");
    std::fs::create_dir(&data).unwrap();
    write_csv(&larger(), &data);
    let digest = |name: &str, limits: Limits| {
        let mut request = request(&data, &dir.path().join(name));
        request.limits = limits;
        let prepared = run(&request).unwrap();
        assert_eq!(prepared.manifest.rows("order_lines"), 24_008 - 545 - 1, "returns are no lines of their own");
        prepared.manifest.digest()
    };
    let one = digest("one", Limits { threads: 1, memory_mib: 256 });
    assert_eq!(one, digest("two", Limits { threads: 2, memory_mib: 256 }));
    assert_eq!(one, digest("seven", Limits { threads: 7, memory_mib: 64 }));
}

#[test]
fn preparing_a_canonical_dataset_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (data, first, second) = (dir.path().join("in"), dir.path().join("first"), dir.path().join("second"));
    std::fs::create_dir(&data).unwrap();
    write_csv(&shop(), &data);
    let before = run(&request(&data, &first)).unwrap().manifest;
    let spec = DataSpec::of_folder(Layout::Canonical, &first.to_string_lossy());
    let after = run(&of_spec(spec, &second)).unwrap().manifest;
    assert_eq!(before.tables, after.tables);
    assert!(after.rejected.is_empty(), "{:?}", after.rejected);
}
