//! What a version cannot do, with numbers where the data give them.

use std::collections::HashSet;

use endcap_recommender::fitted::Situation;
use serde_json::{Value, json};

use super::CardFacts;
use crate::load::{Dataset, OrderHead};
use crate::plot::{count, fixed};
use crate::tune::{Window, name_of};

/// A limit that the data put a number to: `number` of `all`.
fn counted(name: &str, number: u64, all: u64, text: &str) -> Value {
    json!({"name": name, "number": number, "of": all, "text": text})
}

fn said(name: &str, text: &str) -> Value {
    json!({"name": name, "text": text})
}

/// The limits, those with numbers first. What is 0 is left out.
pub(super) fn of(facts: &CardFacts<'_>) -> Vec<Value> {
    let mut limits: Vec<Value> = products(facts).into_iter().collect();
    limits.extend(customers(facts.data));
    limits.extend(questions(facts.data, facts.learned.tuned.window));
    limits.extend(measuring(facts));
    limits
}

fn products(facts: &CardFacts<'_>) -> Option<Value> {
    let model = &facts.learned.model;
    let products = model.catalogue.len() as u32;
    let unsold = (0..products).filter(|product| model.associations.item_orders(*product) == 0).count() as u64;
    if unsold == 0 {
        return None;
    }
    let rest = if model.similar.content.entries.is_empty() {
        "nothing that was learned speaks for them."
    } else {
        "only their likeness to others by name and attributes speaks for them."
    };
    let text =
        format!("{} of {} products were never sold in the data: {rest}", count(unsold), count(u64::from(products)));
    Some(counted("products_never_sold", unsold, u64::from(products), &text))
}

fn customers(data: &Dataset) -> Vec<Value> {
    let orders: Vec<usize> = data.sales.view().by_customer(data.customers.len()).iter().map(Vec::len).collect();
    let with = |number: usize| orders.iter().filter(|orders| **orders == number).count() as u64;
    let (all, none, one) = (orders.len() as u64, with(0), with(1));
    let mut limits = Vec::new();
    if one > 0 {
        let text = format!(
            "{} of {} customers have one order: what they buy again and when cannot be known of them yet.",
            count(one),
            count(all)
        );
        limits.push(counted("customers_with_one_order", one, all, &text));
    }
    if none > 0 {
        let text = format!(
            "{} of {} customers have no order: they get what goes with the cart and what sells to people like them.",
            count(none),
            count(all)
        );
        limits.push(counted("customers_without_orders", none, all, &text));
    }
    limits
}

/// Share of the window's orders whose customer had none before it, or of all orders that are their customer's first where there is no
/// window. The questions that were asked are drawn by situation and would not tell.
fn questions(data: &Dataset, window: Option<Window>) -> Option<Value> {
    let sales = data.sales.view();
    let mut known: HashSet<u32> = HashSet::new();
    let asked = match window {
        Some(window) => {
            let (before, inside) = sales.split_at(window.from_s);
            known.extend(before.heads.iter().filter_map(OrderHead::customer));
            inside
        }
        None => sales,
    };
    let is_first = |customer: u32, known: &mut HashSet<u32>| match window {
        Some(_) => !known.contains(&customer),
        None => known.insert(customer),
    };
    let without =
        asked.heads.iter().filter(|head| head.customer().is_none_or(|customer| is_first(customer, &mut known))).count()
            as u64;
    let all = asked.len() as u64;
    if without == 0 {
        return None;
    }
    let text = format!(
        "{} of {} orders {} ({}%) came without a history of their customer: there only the cart and what sells can speak.",
        count(without),
        count(all),
        if window.is_some() { "in the validation window" } else { "in the data" },
        fixed(100.0 * without as f64 / all as f64, 1)
    );
    Some(counted("questions_without_history", without, all, &text))
}

/// How far the numbers and the version itself reach.
fn measuring(facts: &CardFacts<'_>) -> Vec<Value> {
    let tuned = &facts.learned.tuned;
    let mut limits = Vec::new();
    if tuned.skipped.is_none() {
        let missing: Vec<&str> =
            Situation::ALL.into_iter().map(name_of).filter(|name| !tuned.cases.contains_key(*name)).collect();
        if !missing.is_empty() {
            let text = format!(
                "Too few questions in the validation window to measure {}: there the weights are the defaults.",
                missing.join(", ")
            );
            limits.push(said("situations_not_measured", &text));
        }
        let ranker = if facts.learned.model.ranker.is_some() {
            " The ranker's own part is judged on customers that it had not learned from."
        } else {
            ""
        };
        let text = format!(
            "Weights and what stays were chosen on the validation window that the numbers are of, so that they lean to the good side.\
             {ranker} `endcap evaluate` measures on a period that nothing was chosen on."
        );
        limits.push(said("chosen_on_the_window", &text));
    }
    limits.push(said(
        "orders_only",
        "It learned from orders that were placed, not from what was seen and left. The numbers say how well it foresees orders, not how \
         many more orders showing its suggestions brings: that takes an experiment.",
    ));
    if let Some(until) = facts.trained_on.max_time {
        limits.push(said("ends_with_its_data", &format!("It knows nothing that happened after {until}.")));
    }
    limits
}
