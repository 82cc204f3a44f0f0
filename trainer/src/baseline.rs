//! The baseline state: what live state begins with, written beside the artifact, never inside it, so that a customer can be erased.
//!
//! `<out>/state/baseline.json.zst` is JSON of [`endcap_recommender::live::BaselineState`] in zstd; keys are sorted, so that equal data
//! gives equal bytes. `<out>/state/baseline.sha256` holds the hexadecimal SHA-256 of that file.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Write;

use endcap_recommender::ids::{OfferId, ProductId};
use endcap_recommender::live::{CustomerState, Declines, PastOrder};
use serde::Serialize;
use serde_json::Value;

use crate::TrainError;
use crate::features::Rfm;
use crate::load::{Dataset, TRAITS};
use crate::people::People;

pub const BASELINE_FILE: &str = "state/baseline.json.zst";
pub const DIGEST_FILE: &str = "state/baseline.sha256";
/// Last orders kept by customer.
const ORDERS: usize = 30;
const DECLINES: usize = 16;
const ZSTD_LEVEL: i32 = 3;

/// Keys sorted all the way down: hash maps have no order of their own.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(map.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, TrainError> {
    let json = |source| TrainError::Json { what: "the baseline state", source };
    serde_json::to_vec(&sorted(serde_json::to_value(value).map_err(json)?)).map_err(json)
}

/// The baseline state's file. Customers are written one by one, so that memory goes with the compressed size.
pub fn baseline(data: &Dataset, rfm: &[Option<Rfm>], people: &People) -> Result<Vec<u8>, TrainError> {
    let write = |source| TrainError::Write { path: BASELINE_FILE.into(), flag: "--out", source };
    let mut out = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(write)?;
    let orders = data.sales.view().by_customer(data.customers.len());
    let mut ratings = group(&data.ratings, |rated| rated.customer);
    let mut declines = group(&data.declines, |declined| declined.customer);
    out.write_all(b"{\"customers\":{").map_err(write)?;
    for (at, (id, own)) in (0u32..).zip(data.customers.iter().zip(&orders)) {
        let mut state = CustomerState { orders: last_orders(data, own), ..CustomerState::default() };
        state.profile = profile(data, at, rfm.get(at as usize).copied().flatten(), people.segment(at));
        for rated in ratings.remove(&at).into_iter().flatten() {
            state.ratings.insert(product_id(data, rated.product), rated.value);
        }
        for declined in declines.remove(&at).into_iter().flatten() {
            if let Some(product) = declined.product {
                note(state.declined_products.entry(product_id(data, product)).or_default(), declined.at_s);
            }
            if let Some(offer) = &declined.offer_id {
                note(state.declined_offers.entry(OfferId::from(offer.as_str())).or_default(), declined.at_s);
            }
        }
        if at > 0 {
            out.write_all(b",").map_err(write)?;
        }
        out.write_all(&to_json(&id)?).map_err(write)?;
        out.write_all(b":").map_err(write)?;
        out.write_all(&to_json(&state)?).map_err(write)?;
    }
    out.write_all(b"},\"shelf\":").map_err(write)?;
    out.write_all(&to_json(&data.shelf)?).map_err(write)?;
    out.write_all(b"}").map_err(write)?;
    out.finish().map_err(write)
}

fn group<T>(list: &[T], customer: impl Fn(&T) -> u32) -> HashMap<u32, Vec<&T>> {
    let mut groups: HashMap<u32, Vec<&T>> = HashMap::new();
    for entry in list {
        groups.entry(customer(entry)).or_default().push(entry);
    }
    groups
}

fn note(declines: &mut Declines, at_s: i64) {
    declines.at_s.push_back(at_s);
    if declines.at_s.len() > DECLINES {
        declines.at_s.pop_front();
    }
}

fn product_id(data: &Dataset, product: u32) -> ProductId {
    ProductId::from(data.catalogue.id(product))
}

fn last_orders(data: &Dataset, own: &[u32]) -> VecDeque<PastOrder> {
    let view = data.sales.view();
    let skipped = own.len().saturating_sub(ORDERS);
    own.iter()
        .skip(skipped)
        .filter_map(|order| {
            let head = view.heads.get(*order as usize)?;
            let lines = view.lines(*order as usize).iter();
            Some(PastOrder {
                at_s: head.at_s,
                lines: lines.map(|line| (product_id(data, line.product), line.quantity)).collect(),
            })
        })
        .collect()
}

/// The customer's traits, `rfm_segment` (see [`Rfm::segment`]) and `learned_segment`, the name of one of the object `segments`.
fn profile(data: &Dataset, customer: u32, rfm: Option<Rfm>, segment: Option<&str>) -> HashMap<String, String> {
    let values = data.traits.get(customer as usize).copied().unwrap_or([u32::MAX; TRAITS.len()]);
    let traits = TRAITS.into_iter().zip(values);
    let mut profile: HashMap<String, String> =
        traits.filter_map(|(name, label)| Some((name.to_owned(), data.labels.get(label)?.to_owned()))).collect();
    if let Some(rfm) = rfm {
        profile.insert("rfm_segment".to_owned(), rfm.segment().to_owned());
    }
    if let Some(segment) = segment {
        profile.insert("learned_segment".to_owned(), segment.to_owned());
    }
    profile
}
