//! Popularity: overall, recent, by season and by segment.

use endcap_recommender::artifact::Strings;
use endcap_recommender::fitted::{Catalogue, NONE, Popularity, Rows, Segment};
use rayon::prelude::*;

use crate::load::{Dataset, Line, OrderHead, View};

/// Orders of a segment before its own shares outweigh the overall ones.
const SEGMENT_SHRINKAGE: f64 = 50.0;
/// Orders of a subcategory in a month before its season is believed.
const SEASON_SHRINKAGE: f64 = 20.0;
const SEGMENT_PRODUCTS: usize = 200;
const TOP_PRODUCTS: usize = 2000;
/// Fewer orders make no segment.
const SEGMENT_LEAST_ORDERS: u32 = 5;

/// What segments there are; the keys are `<kind>=<value>`.
pub const SEGMENT_KINDS: [&str; 9] =
    ["category", "subcategory", "area", "city", "country", "channel", "hour", "customer_type", "age_band"];

/// Fits popularity from orders up to the view's end. `half_life_days` is that of `recent`.
pub fn popularity(data: &Dataset, sales: View<'_>, half_life_days: f32) -> Popularity {
    let products = data.catalogue.len();
    let mut counts = vec![0u32; products];
    let mut recent = vec![0.0f64; products];
    let mut weight_sum = 0.0f64;
    let end_s = sales.last_s();
    for (head, lines) in sales.orders() {
        let age_days = (end_s - head.at_s) as f64 / 86_400.0;
        let weight = (-age_days / f64::from(half_life_days)).exp2();
        weight_sum += weight;
        for line in lines {
            if let (Some(count), Some(sum)) =
                (counts.get_mut(line.product as usize), recent.get_mut(line.product as usize))
            {
                *count += 1;
                *sum += weight;
            }
        }
    }
    let orders = sales.len() as f64;
    let share: Vec<f32> = counts.iter().map(|count| (f64::from(*count) / orders.max(1.0)) as f32).collect();
    let recent: Vec<f32> = recent.iter().map(|sum| (sum / weight_sum.max(f64::MIN_POSITIVE)) as f32).collect();

    let kinds: Vec<Vec<SegmentRow>> =
        SEGMENT_KINDS.par_iter().map(|kind| segments_of(kind, data, sales, &share)).collect();
    let segments: Vec<SegmentRow> = kinds.into_iter().flatten().collect();
    let mut best = endcap_kernels::TopK::new(TOP_PRODUCTS);
    for (product, share) in (0u32..).zip(&recent) {
        if *share > 0.0 {
            best.push(product, *share);
        }
    }
    Popularity {
        season: season(&data.catalogue, sales),
        segment_keys: segments.iter().map(|segment| segment.key.as_str()).collect::<Strings>(),
        segment_orders: segments.iter().map(|segment| segment.orders).collect(),
        segments: Rows::from_rows(segments.into_iter().map(|segment| segment.best)),
        top: best.into_sorted().into_iter().map(|(product, _)| product).collect(),
        share,
        recent,
        ..Popularity::default()
    }
    .indexed()
}

struct SegmentRow {
    key: String,
    orders: u32,
    best: Vec<Segment>,
}

/// Which segments of a kind an order's line belongs to; the second number is the segment, the first the line's product.
fn segment_of(kind: &str, data: &Dataset, head: &OrderHead, line: &Line) -> u32 {
    let of_customer = |name: &str| {
        let place = crate::load::TRAITS.iter().position(|known| *known == name);
        let traits = head.customer().and_then(|customer| data.traits.get(customer as usize));
        traits.zip(place).and_then(|(traits, place)| traits.get(place).copied()).unwrap_or(NONE)
    };
    match kind {
        "category" => data.catalogue.category(line.product),
        "subcategory" => data.catalogue.subcategory(line.product),
        "area" => head.area,
        "city" => head.city,
        "country" => head.country,
        "channel" => head.channel,
        "hour" => u32::from(head.hour),
        other => of_customer(other),
    }
}

fn key_of(kind: &str, data: &Dataset, segment: u32) -> String {
    match kind {
        "category" | "subcategory" => format!("{kind}={}", data.catalogue.category_ids.get(segment as usize)),
        "hour" => format!("{kind}={segment:02}"),
        _ => format!("{kind}={}", data.labels.get(segment).unwrap_or_default()),
    }
}

/// Counts one kind of segment: sorted keys instead of a table of products by segments, so that memory goes with the lines.
fn segments_of(kind: &str, data: &Dataset, sales: View<'_>, share: &[f32]) -> Vec<SegmentRow> {
    let mut seen: Vec<(u32, u32)> = Vec::new();
    let mut orders: Vec<u32> = Vec::new();
    let mut of_order: Vec<u32> = Vec::new();
    for (head, lines) in sales.orders() {
        of_order.clear();
        for line in lines {
            let segment = segment_of(kind, data, head, line);
            if segment != NONE {
                seen.push((segment, line.product));
                of_order.push(segment);
            }
        }
        of_order.sort_unstable();
        of_order.dedup();
        orders.extend_from_slice(&of_order);
    }
    seen.sort_unstable();
    orders.sort_unstable();
    let mut rows = Vec::new();
    let mut rest = seen.as_slice();
    for run in orders.chunk_by(|a, b| a == b) {
        let (Some(segment), count) = (run.first().copied(), run.len() as u32) else { continue };
        let (own, later) = rest.split_at(rest.partition_point(|entry| entry.0 <= segment));
        rest = later;
        if count < SEGMENT_LEAST_ORDERS {
            continue;
        }
        let mut best = endcap_kernels::TopK::new(SEGMENT_PRODUCTS);
        for same in own.chunk_by(|a, b| a == b) {
            let Some((_, product)) = same.first().copied() else { continue };
            let overall = f64::from(share.get(product as usize).copied().unwrap_or(0.0));
            let shrunk = (same.len() as f64 + SEGMENT_SHRINKAGE * overall) / (f64::from(count) + SEGMENT_SHRINKAGE);
            best.push(product, shrunk as f32);
        }
        let best = best.into_sorted().into_iter().map(|(product, share)| Segment { product, share }).collect();
        rows.push(SegmentRow { key: key_of(kind, data, segment), orders: count, best });
    }
    rows
}

/// How a subcategory's share of the orders in a month of the year stands to its share of all orders, shrunk towards 1.
fn season(catalogue: &Catalogue, sales: View<'_>) -> Vec<f32> {
    let categories = catalogue.category_ids.len();
    let mut of_month = [0u32; 12];
    let mut counts = vec![[0u32; 12]; categories];
    let mut of_order: Vec<u32> = Vec::new();
    for (head, lines) in sales.orders() {
        let month = usize::from(head.month().unsigned_abs()).saturating_sub(1);
        if let Some(count) = of_month.get_mut(month) {
            *count += 1;
        }
        of_order.clear();
        of_order.extend(lines.iter().map(|line| catalogue.subcategory(line.product)).filter(|sub| *sub != NONE));
        of_order.sort_unstable();
        of_order.dedup();
        for subcategory in &of_order {
            if let Some(count) = counts.get_mut(*subcategory as usize).and_then(|row| row.get_mut(month)) {
                *count += 1;
            }
        }
    }
    let all = (sales.len() as f64).max(1.0);
    let factor = |row: &[u32; 12], seen: u32, month_orders: u32| {
        if month_orders == 0 {
            return 1.0;
        }
        let total: u32 = row.iter().sum();
        let expected = f64::from(month_orders) * f64::from(total) / all;
        (((f64::from(seen) + SEASON_SHRINKAGE) / (expected + SEASON_SHRINKAGE)) as f32).clamp(0.2, 5.0)
    };
    counts
        .iter()
        .flat_map(|row| row.iter().zip(&of_month).map(move |(seen, month_orders)| factor(row, *seen, *month_orders)))
        .collect()
}
