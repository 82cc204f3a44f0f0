//! A small shop with known truths, and how the program is run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use endcap_tables::{Customer, DatasetWriter, Interaction, Offer, Order, OrderLine, Product, Stock, TimeRange};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rust_decimal::Decimal;

pub const PRODUCTS: u32 = 60;
pub const CUSTOMERS: u32 = 150;
const DAYS: i64 = 240;
const FIRST_S: i64 = 1_700_000_000;
pub const DAY_S: i64 = 86_400;
pub const LAST_S: i64 = FIRST_S + DAYS * DAY_S;

/// The seed of this run: `TRAINER_SEED`, else drawn. Printed, so that a failure can be had again.
pub fn seed() -> u64 {
    let drawn = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = std::env::var("TRAINER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(u64::from(drawn));
    println!("TRAINER_SEED={seed}");
    seed
}

pub fn product_id(product: u32) -> String {
    format!("P{product:03}")
}

pub fn money(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

/// What a shop is asked to be.
#[derive(Clone, Copy)]
pub struct Shop {
    pub seed: u64,
    pub orders: u32,
    /// From this second on, orders are drawn by another seed.
    pub changed_from_s: i64,
    pub changed_seed: u64,
    pub status: &'static str,
    /// Orders from this second on come a second time, under other ids, a year later.
    pub copied_from_s: i64,
}

impl Shop {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            orders: 1500,
            changed_from_s: i64::MAX,
            changed_seed: 0,
            status: "placed",
            copied_from_s: i64::MAX,
        }
    }

    /// Writes the dataset. Truths: products 2k and 2k+1 go together; product 0 costs 2.00, from 12 units on 1.70; product 5 is the
    /// better variant of product 4; customers have favourites.
    pub fn write(&self, dir: &Path) {
        let mut out = DatasetWriter::create(dir).unwrap();
        out.write((0..PRODUCTS).map(product)).unwrap();
        out.write((0..CUSTOMERS).map(customer)).unwrap();
        let (mut orders, mut lines) = (Vec::new(), Vec::new());
        for at in 0..self.orders {
            self.order(at, &mut orders, &mut lines);
        }
        let late: Vec<Order> =
            orders.iter().filter(|order| order.ordered_at.as_second() >= self.copied_from_s).cloned().collect();
        let other = |id: &str| format!("copy-{id}");
        for order in &late {
            let own = lines.iter().filter(|line| line.order_id == order.order_id).cloned();
            let copies: Vec<OrderLine> =
                own.map(|line| OrderLine { order_id: other(&line.order_id), ..line }).collect();
            lines.extend(copies);
            let ordered_at = time(order.ordered_at.as_second() + 365 * DAY_S);
            orders.push(Order { order_id: other(&order.order_id), ordered_at, ..order.clone() });
        }
        out.write(orders).unwrap();
        out.write(lines).unwrap();
        out.write(offers()).unwrap();
        out.write(stock()).unwrap();
        out.write(interactions()).unwrap();
        let range = TimeRange { from: time(FIRST_S), to: time(LAST_S) };
        out.finish(Some(range), Some("EUR".to_owned()), Vec::new()).unwrap();
    }

    fn order(&self, at: u32, orders: &mut Vec<Order>, lines: &mut Vec<OrderLine>) {
        let share = f64::from(at) / f64::from(self.orders - 1);
        let at_s = FIRST_S + ((LAST_S - FIRST_S) as f64 * share) as i64;
        let seed = if at_s >= self.changed_from_s { self.changed_seed } else { self.seed };
        let mut random = StdRng::seed_from_u64(seed ^ (u64::from(at) << 20));
        let customer = random.random_range(0..CUSTOMERS + 30);
        let id = format!("O{at:05}");
        orders.push(Order {
            order_id: id.clone(),
            customer_id: (customer < CUSTOMERS).then(|| format!("C{customer:03}")),
            ordered_at: time(at_s),
            channel: Some(["web", "branch"][random.random_range(0..2)].to_owned()),
            city_id: None,
            area_id: None,
            country: None,
            status: self.status.to_owned(),
            total: None,
            currency: None,
        });
        let mut products = vec![customer % PRODUCTS];
        for _ in 0..random.random_range(1..4) {
            let product = random.random_range(0..PRODUCTS);
            products.push(product);
            if random.random_bool(0.7) {
                products.push(product ^ 1);
            }
        }
        for (line_no, product) in (1i64..).zip(products) {
            let quantity = [1, 2, 6, 12, 24][random.random_range(0..5)];
            let price = if product == 0 && quantity >= 12 { money(170) } else { money(price_cents(product)) };
            lines.push(OrderLine {
                order_id: id.clone(),
                line_no,
                product_id: product_id(product),
                quantity: Decimal::from(quantity),
                unit_price: price,
                discount: None,
                offer_id: None,
            });
        }
    }
}

fn price_cents(product: u32) -> i64 {
    match product {
        0 => 200,
        4 => 100,
        5 => 150,
        other => 100 + i64::from(other % 7) * 40,
    }
}

pub fn time(at_s: i64) -> Timestamp {
    Timestamp::from_second(at_s).unwrap()
}

fn product(product: u32) -> Product {
    Product {
        product_id: product_id(product),
        name: Some(format!("Product {product}")),
        text: None,
        category_id: Some(format!("cat{}", product / 20)),
        subcategory_id: Some(format!("sub{}", product / 10)),
        brand_id: None,
        variant_of: (product == 5).then(|| product_id(4)),
        unit: None,
        pack_size: None,
        list_price: Some(money(price_cents(product))),
        cost: None,
        active: true,
    }
}

fn customer(customer: u32) -> Customer {
    Customer {
        customer_id: format!("C{customer:03}"),
        customer_type: Some(["business", "person"][customer as usize % 2].to_owned()),
        gender: None,
        age_band: None,
        income_band: None,
        household: None,
        city_id: Some(format!("city{}", customer % 3)),
        area_id: None,
        country: Some("Atlantis".to_owned()),
        first_seen: None,
        email: Some(format!("secret{customer}@example.org")),
        phone: Some("+99 555 0100".to_owned()),
        push_token: Some("token-secret".to_owned()),
        consent_email: Some(true),
        consent_phone: None,
        consent_push: None,
    }
}

fn offers() -> Vec<Offer> {
    let offer = |id: &str, kind: &str, terms: &str| Offer {
        offer_id: id.to_owned(),
        offer_type: kind.to_owned(),
        scope: Some(r#"{"products": ["P002"]}"#.to_owned()),
        terms: terms.to_owned(),
        valid_from: Some(time(FIRST_S)),
        valid_to: None,
        priority: None,
        stackable: None,
        max_per_order: None,
    };
    vec![offer("B7G2", "BuyXGetY", r#"{"buy": 7, "get": 2}"#), offer("BROKEN", "TierPrice", r#"{"tiers": "none"}"#)]
}

fn stock() -> Vec<Stock> {
    let row = |city: &str, on_hand: i64, at_s: i64| Stock {
        product_id: product_id(3),
        city_id: Some(city.to_owned()),
        on_hand: Decimal::from(on_hand),
        on_order: None,
        backordered: None,
        lead_time_days: None,
        as_of: time(at_s),
    };
    vec![row("a", 4, LAST_S), row("a", 100, FIRST_S), row("b", 3, FIRST_S)]
}

fn interactions() -> Vec<Interaction> {
    let event = |id: &str, kind: &str, value: Option<i64>, context: Option<&str>| Interaction {
        event_id: id.to_owned(),
        ts: time(LAST_S - 100),
        customer_id: Some("C001".to_owned()),
        session_id: None,
        event_type: kind.to_owned(),
        product_id: Some(product_id(7)),
        quantity: None,
        value: value.map(Decimal::from),
        placement: None,
        request_id: None,
        context: context.map(str::to_owned),
    };
    vec![
        event("e1", "rate", Some(4), None),
        event("e2", "rate", Some(9), None),
        event("e3", "recommendation_declined", None, Some(r#"{"offer_id": "B7G2"}"#)),
    ]
}

/// A folder with a shop's dataset in `data`.
pub fn folder(shop: &Shop) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    shop.write(&folder.path().join("data"));
    folder
}

pub fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endcap-trainer"));
    command.current_dir(folder).args(["--data", "data", "--model", "shop", "--json"]).args(arguments);
    // Most tests are about everything around what is learned: counts are enough, and quick.
    if !arguments.contains(&"--architecture") {
        command.args(["--architecture", "Rules"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder, arguments).output().unwrap()
}

/// Runs and wants success; gives the artifact's digest.
pub fn digest(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    outcome(&output)["manifest_sha256"].as_str().unwrap().to_owned()
}

/// The last line that the program printed.
pub fn outcome(output: &Output) -> serde_json::Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

pub fn manifest_digest(artifact: &Path) -> Option<String> {
    std::fs::read(artifact.join("manifest.json")).ok().map(|bytes| endcap_store::sha256_hex(&bytes))
}

/// Every file below a folder.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
