//! Reasons made of evidence: a stable code, a sentence, and the numbers that it rests on.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

use super::blend::Scored;
use super::{Facts, Situated};
use crate::candidates::Signal;
use crate::fitted::{NONE, Rows, Weighted};
use crate::response::{Kind, Reason};

pub(crate) fn reason<const N: usize>(code: &str, text: String, evidence: [(&str, Value); N]) -> Reason {
    let evidence = evidence.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Reason { code: code.to_owned(), text, evidence }
}

/// A quantity as evidence: an integer where it is whole.
pub(crate) fn number(value: Decimal) -> Value {
    match value.is_integer().then(|| value.to_i64()).flatten() {
        Some(whole) => whole.into(),
        None => value.normalize().to_string().into(),
    }
}

/// A share with three digits.
pub(crate) fn share(value: f32) -> Value {
    json!((f64::from(value) * 1000.0).round() / 1000.0)
}

fn percent(value: f32) -> String {
    let percent = value * 100.0;
    if percent >= 1.0 { format!("{percent:.0}%") } else { format!("{percent:.1}%") }
}

/// Why an item that is not an upsell is in the list.
pub(crate) fn of(facts: &Facts<'_>, situated: &Situated<'_>, scored: &Scored) -> Reason {
    let together = || bought_together(facts, &situated.question.anchors, scored.product, "in the order");
    let by_kind = match scored.kind {
        Kind::CrossSell => together(),
        Kind::Reorder => usual(facts, situated, scored.product),
        _ => None,
    };
    by_kind
        .or_else(|| learned(facts, situated, scored))
        .or_else(|| (scored.part(Signal::Viewed) > 0.0).then(|| viewed(facts, situated, scored.product)).flatten())
        .or_else(|| popular_like_you(facts, situated, scored))
        .unwrap_or_else(|| popular(facts, situated, scored))
}

fn bought_together(facts: &Facts<'_>, anchors: &[u32], product: u32, with: &str) -> Option<Reason> {
    let associations = &facts.model.associations;
    let best = anchors
        .iter()
        .filter_map(|anchor| Some((*anchor, associations.between(*anchor, product)?.both)))
        .filter(|(_, both)| *both > 0)
        .max_by(|(a, a_both), (b, b_both)| {
            let share = |anchor: u32, both: u32| both as f32 / (associations.item_orders(anchor) as f32 + 10.0);
            share(*a, *a_both).total_cmp(&share(*b, *b_both)).then(b.cmp(a))
        });
    let (anchor, both) = best?;
    let name = facts.model.catalogue.name(anchor);
    let id = facts.model.catalogue.id(anchor);
    let share_of = both as f32 / (associations.item_orders(anchor).max(1) as f32);
    let lift = share_of / facts.model.popularity.share(product).max(1e-6);
    Some(reason(
        "bought_together",
        format!("In {} of orders with {}; {both} orders", percent(share_of), if name.is_empty() { id } else { name }),
        [
            ("with", id.into()),
            ("role", with.into()),
            ("share", share(share_of)),
            ("orders", both.into()),
            ("lift", json!((f64::from(lift) * 10.0).round() / 10.0)),
        ],
    ))
}

/// What the learned tables rest on: the product of the cart or of the history that leads to this one most.
fn learned(facts: &Facts<'_>, situated: &Situated<'_>, scored: &Scored) -> Option<Reason> {
    let similar = &facts.model.similar;
    let anchors = || situated.question.anchors.iter().copied();
    let bought = || situated.question.history.iter().flat_map(|order| order.lines.iter().map(|(product, _)| *product));
    let leads = |table: &Rows<Weighted>, from: &mut dyn Iterator<Item = u32>| {
        let weights = from.filter_map(|product| {
            let row = table.row(product);
            let at = row.binary_search_by_key(&scored.product, |entry| entry.product).ok()?;
            row.get(at).map(|entry| (product, entry.weight))
        });
        weights.filter(|(_, weight)| *weight > 0.0).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    };
    let catalogue = &facts.model.catalogue;
    let say = |code: &str, words: &str, (product, weight): (u32, f32)| {
        let (id, name) = (catalogue.id(product), catalogue.name(product));
        let text = format!("{words} {}", if name.is_empty() { id } else { name });
        reason(code, text, [("with", id.into()), ("weight", share(weight))])
    };
    let strongest = [Signal::Similar, Signal::Follows, Signal::Taste, Signal::Content]
        .into_iter()
        .filter(|signal| scored.part(*signal) > 0.0)
        .max_by(|a, b| scored.part(*a).total_cmp(&scored.part(*b)))?;
    if scored.part(strongest) <= scored.part(Signal::Recent) + scored.part(Signal::Segment) {
        return None;
    }
    match strongest {
        Signal::Similar => leads(&similar.baskets, &mut anchors()).map(|by| say("goes_with", "Goes with", by)),
        Signal::Follows => {
            leads(&similar.follows, &mut anchors()).map(|by| say("often_next", "Often entered next to", by))
        }
        Signal::Taste => leads(&similar.customers, &mut bought())
            .map(|by| say("customers_also_buy", "Bought by customers who also buy", by)),
        _ => leads(&similar.content, &mut anchors().chain(bought())).map(|by| say("looks_like", "Of a kind with", by)),
    }
}

fn usual(facts: &Facts<'_>, situated: &Situated<'_>, product: u32) -> Option<Reason> {
    let bought = situated.question.history.iter().filter(|order| order.lines.iter().any(|(line, _)| *line == product));
    let (times, last_days) =
        bought.fold((0u32, f32::MAX), |(times, last), order| (times + 1, last.min(order.age_days)));
    if times == 0 {
        return None;
    }
    let days = last_days.max(0.0).round();
    let interval = facts.model.repeat.interval_days(product);
    let orders = situated.question.history.len();
    match interval {
        Some(interval) if times > 1 && last_days >= 0.8 * interval => Some(reason(
            "due_again",
            format!("Usually ordered again after {interval:.0} days; last {days:.0} days ago"),
            [
                ("times", times.into()),
                ("of_orders", orders.into()),
                ("last_days", json!(days)),
                ("interval_days", json!(interval.round())),
            ],
        )),
        _ => Some(reason(
            "usual",
            format!("Ordered in {times} of the last {orders} orders; last {days:.0} days ago"),
            [("times", times.into()), ("of_orders", orders.into()), ("last_days", json!(days))],
        )),
    }
}

fn viewed(facts: &Facts<'_>, situated: &Situated<'_>, product: u32) -> Option<Reason> {
    let viewed = &situated.question.viewed;
    if viewed.contains(&product) {
        let times = viewed.iter().filter(|seen| **seen == product).count();
        return Some(reason("viewed", "Looked at in this visit".to_owned(), [("times", times.into())]));
    }
    bought_together(facts, viewed, product, "looked at")
}

fn popular_like_you(facts: &Facts<'_>, situated: &Situated<'_>, scored: &Scored) -> Option<Reason> {
    if scored.part(Signal::Segment) <= scored.part(Signal::Recent) {
        return None;
    }
    let popularity = &facts.model.popularity;
    let best = situated
        .question
        .segments
        .iter()
        .filter_map(|segment| {
            let entry = popularity.segments.row(*segment).iter().find(|entry| entry.product == scored.product)?;
            Some((*segment, entry.share))
        })
        .max_by(|(_, a), (_, b)| a.total_cmp(b));
    let (segment, of_segment) = best?;
    let key = popularity.segment_keys.get(segment as usize);
    let orders = popularity.segment_orders.get(segment as usize).copied().unwrap_or(0);
    Some(reason(
        "popular_like_you",
        format!("In {} of {orders} orders {}", percent(of_segment), segment_words(facts, key)),
        [("segment", key.into()), ("share", share(of_segment)), ("segment_orders", orders.into())],
    ))
}

/// A segment's key in words: `hour=08` is "placed around 08:00".
fn segment_words(facts: &Facts<'_>, key: &str) -> String {
    let Some((name, value)) = key.split_once('=') else { return key.to_owned() };
    let catalogue = &facts.model.catalogue;
    match name {
        "hour" => format!("placed around {value}:00"),
        "channel" => format!("by {}", value.replace('_', " ")),
        "city" | "area" => format!("from {name} {value}"),
        "country" => format!("from {value}"),
        "customer_type" => format!("by {value} customers"),
        "age_band" => format!("by customers aged {value}"),
        "category" | "subcategory" => {
            let name = catalogue.find_category(value).map_or(value, |at| catalogue.category_names.get(at as usize));
            format!("with something from {name}")
        }
        _ => format!("with {} {value}", name.replace('_', " ")),
    }
}

fn popular(facts: &Facts<'_>, situated: &Situated<'_>, scored: &Scored) -> Reason {
    let popularity = &facts.model.popularity;
    let orders = facts.model.associations.item_orders(scored.product);
    let (overall, recent) = (popularity.share(scored.product), popularity.recent(scored.product));
    let subcategory = facts.model.catalogue.subcategory(scored.product);
    let season = if subcategory == NONE { 1.0 } else { popularity.season(subcategory, situated.question.month) };
    let evidence = [
        ("share", share(overall)),
        ("recent_share", share(recent)),
        ("orders", orders.into()),
        ("season", share(season)),
    ];
    if orders == 0 {
        reason("new", "New in the range".to_owned(), evidence)
    } else if recent > 1.5 * overall {
        reason(
            "trending",
            format!("Rising: in {} of recent orders, {} before", percent(recent), percent(overall)),
            evidence,
        )
    } else if season > 1.3 {
        reason("seasonal", format!("In season: {season:.1} times its usual sales this month"), evidence)
    } else {
        reason("popular", format!("In {} of recent orders", percent(recent)), evidence)
    }
}
