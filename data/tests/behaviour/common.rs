//! A small shop as files of layout Mv, in any of the three formats, and the runs that tests need.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use endcap_data::{DataError, DataSpec, Layout, Limits, Prepared, Request, prepare};
use endcap_tables::DatasetManifest;
use tokio_util::sync::CancellationToken;

/// A view as text: the first row names the columns.
#[derive(Clone)]
pub struct View {
    pub name: &'static str,
    pub rows: Vec<Vec<String>>,
}

impl View {
    pub fn of(name: &'static str, text: &str) -> Self {
        let rows =
            text.trim().lines().map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect();
        Self { name, rows }
    }

    pub fn push(&mut self, text: &str) {
        self.rows.push(text.split('|').map(|cell| cell.trim().to_owned()).collect());
    }

    fn header(&self) -> &[String] {
        &self.rows[0]
    }

    pub fn without(&self, column: &str) -> Self {
        let at = self.header().iter().position(|name| name == column).unwrap();
        let mut view = self.clone();
        for row in &mut view.rows {
            row.remove(at);
        }
        view
    }

    pub fn csv(&self, dir: &Path) {
        let quote = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
        let lines: Vec<String> =
            self.rows.iter().map(|row| row.iter().map(quote).collect::<Vec<_>>().join(",")).collect();
        std::fs::write(dir.join(format!("{}.csv", self.name)), lines.join("\n") + "\n").unwrap();
    }

    pub fn jsonl(&self, dir: &Path) {
        let lines: String = self.rows[1..]
            .iter()
            .map(|row| {
                let object: serde_json::Map<String, serde_json::Value> = self
                    .header()
                    .iter()
                    .zip(row)
                    .filter(|(_, cell)| !cell.is_empty())
                    .map(|(name, cell)| {
                        // Numbers as numbers, as a JSON exporter would write them; ids with leading zeros stay text.
                        let number: Option<serde_json::Number> = serde_json::from_str(cell).ok();
                        let keeps = number.as_ref().is_some_and(|number| number.to_string() == *cell);
                        let value = if keeps { number.unwrap().into() } else { serde_json::Value::from(cell.as_str()) };
                        (name.clone(), value)
                    })
                    .collect();
                serde_json::to_string(&object).unwrap() + "\n"
            })
            .collect();
        std::fs::write(dir.join(format!("{}.jsonl", self.name)), lines).unwrap();
    }

    /// Text columns, but numbers as doubles, as pandas writes them.
    pub fn parquet(&self, dir: &Path) {
        let columns: Vec<(String, ArrayRef)> = self
            .header()
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let cells: Vec<Option<&str>> =
                    self.rows[1..].iter().map(|row| Some(row[at].as_str()).filter(|cell| !cell.is_empty())).collect();
                let numeric = ["Quantity", "UnitPrice", "Amount", "ListPrice", "OnHand", "PackSize"];
                let parsed: Option<Vec<Option<f64>>> =
                    cells.iter().map(|cell| cell.map_or(Some(None), |cell| cell.parse().ok().map(Some))).collect();
                let array: ArrayRef = match parsed.filter(|_| numeric.contains(&name.as_str())) {
                    Some(numbers) => Arc::new(arrow_array::Float64Array::from(numbers)),
                    None => Arc::new(StringArray::from(cells)),
                };
                (name.clone(), array)
            })
            .collect();
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
                .unwrap();
        let file = std::fs::File::create(dir.join(format!("{}.parquet", self.name))).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// The views of a shop; all rows are clean.
pub type Shop = BTreeMap<&'static str, View>;

pub fn shop() -> Shop {
    [
        View::of(
            "MV_Sales",
            "SalesID|SalesDate|CustomerID|Status|Channel|CityID
             1001|2024-03-01 10:00:00|c1|Placed|web|1
             1002|2024-03-02 11:30:00|c2|Placed|branch|1
             1003|2024-03-03 09:15:00|c1|Placed|web|2
             C1004|2024-03-04 08:00:00|c1|Cancelled|web|1
             1005|2024-03-05 16:45:00||Placed|email|2",
        ),
        View::of(
            "MV_SalesDetail",
            "SalesID|LineNo|ProductID|Quantity|UnitPrice
             1001|1|p1|6|2.55
             1001|2|p2|12|0.85
             1001|3|p2|12|0.85
             1002|1|p2|4|0.95
             1003|1|p1|10|2.55
             1003|2|p3|1|9.99
             C1004|1|p1|-12|2.55
             1005|1|p3|2|9.99",
        ),
        View::of(
            "MV_SetupProduct",
            "ProductID|ProductName|CategoryID|SubCategoryID|ListPrice|ProductType
             p1|Blue mug|k1|u1|2.55|Goods
             p2|Red napkin|k2|u2|0.85|Goods
             p3|Clock|k1|u3|9.99|Goods
             POST|Postage|||3.00|Service",
        ),
        View::of("MV_SetupCategory", "CategoryID|CategoryName\nk1|Kitchen\nk2|Paper"),
        View::of("MV_SetupSubCategory", "SubCategoryID|SubCategoryName|CategoryID\nu1|Mugs|k1\nu2|Napkins|k2\nu3|Clocks|k1"),
        View::of("MV_SetupCustomer", "CustomerID|CustomerType|Email|Consent|CreatedDate\nc1|Retail|a@example.org|email,sms|2023-01-01\nc2|Trade||no|2023-06-01"),
        View::of("MV_SetupCity", "CityID|CityName|AreaID|Country\n1|Leeds|n|GB\n2|Ghent|s|BE"),
        View::of("MV_SetupArea", "AreaID|AreaName\nn|North\ns|South"),
        View::of(
            "MV_Promotion",
            "OfferID|Type|Terms|ValidFrom|ValidTo|Scope
             o1|TierPrice|{\"tiers\": [{\"min_quantity\": 20, \"unit_price\": \"0.75\"}]}|2024-01-01|2024-12-31|{\"products\": [\"p2\"]}",
        ),
        View::of("MV_Stock", "ProductID|OnHand|AsOf|Backordered\np1|120|2024-03-05 00:00:00|\np2|0|2024-03-05 00:00:00|40"),
        View::of(
            "MV_OnlineCustomerView",
            "EventTime|SessionID|ProductID|EventType|CustomerID|Device
             2024-03-01 09:50:00|s1|p1|view|c1|desk\"top
             2024-03-01 09:52:00|s1|p1|Add_To_Cart|c1|desktop
             2024-03-02 20:00:00|s2|p3|click||mobile",
        ),
    ]
    .into_iter()
    .map(|view| (view.name, view))
    .collect()
}

pub fn write_csv(shop: &Shop, dir: &Path) {
    for view in shop.values() {
        view.csv(dir);
    }
}

pub fn request(data: &Path, out: &Path) -> Request {
    let mut spec = DataSpec::of_folder(Layout::Mv, &data.to_string_lossy());
    // Small tables: one bad row is a large part.
    spec.quality.max_rejected_percent = 100;
    spec.quality.max_null_percent = 100;
    of_spec(spec, out)
}

pub fn of_spec(spec: DataSpec, out: &Path) -> Request {
    Request {
        spec,
        out: out.to_owned(),
        currency: None,
        now: "2024-06-01T00:00:00Z".parse().unwrap(),
        limits: Limits { memory_mib: 256, threads: 2 },
        mounts: Vec::new(),
    }
}

pub fn run(request: &Request) -> Result<Prepared, DataError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(prepare(request, &CancellationToken::new(), &|_| {}))
}

/// Prepares a shop from CSV into a folder of its own.
pub fn prepared(shop: &Shop) -> (tempfile::TempDir, Prepared) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("in");
    std::fs::create_dir(&data).unwrap();
    write_csv(shop, &data);
    let prepared = run(&request(&data, &dir.path().join("out"))).unwrap();
    (dir, prepared)
}

pub fn failed(shop: &Shop) -> DataError {
    let dir = tempfile::tempdir().unwrap();
    write_csv(shop, dir.path());
    run(&request(dir.path(), &dir.path().join("out"))).unwrap_err()
}

/// `table/reason -> rows`
pub fn rejected(manifest: &DatasetManifest) -> BTreeMap<String, u64> {
    manifest.rejected.iter().map(|rows| (format!("{}/{}", rows.table, rows.reason), rows.rows)).collect()
}

/// A folder of real data beside the project, or nothing with a line that says so.
pub fn real(name: &str) -> Option<std::path::PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}
