//! The report as one page with plots, without scripts and without anything from elsewhere.

mod plots;
mod tables;

use std::fmt::Write;

use super::table::models;
use super::{Evaluation, Row};
use crate::plot::{self, count, escape, fixed, signed};
use crate::tune::Comparison;

const STYLE: &str = include_str!("page/style.css");
/// The rows of everything together, as the predictor serves it, and of the sum of weighted signals that the ranker starts from.
const SERVED: &str = "hybrid";
const BLEND: &str = "blend";
/// What models are compared by.
const MAIN: &str = "ndcg@10";

/// The whole page. `made_at` is shown as it is.
pub(super) fn of(evaluation: &Evaluation, made_at: &str) -> String {
    let (title, asked) = task(evaluation.task);
    let mut page = String::with_capacity(64 << 10);
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} | Endcap evaluation</title>\n\
         <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<header>\n\
         <p class=\"kind\">Evaluation, {}</p>\n<h1>{title}</h1>\n<p class=\"asked\">{asked}</p>\n",
        plot::STYLE,
        escape(evaluation.task),
        title = escape(title),
        asked = escape(asked),
    );
    page.push_str(&headline(evaluation));
    page.push_str("</header>\n");
    page.push_str(&plots::all(evaluation));
    page.push_str(&tables::all(evaluation));
    let _ = write!(
        page,
        "</main>\n<footer>Made {} by {}.</footer>\n</body>\n</html>\n",
        escape(made_at),
        escape(crate::PROGRAM)
    );
    page
}

/// The task as a title, and what is asked.
fn task(name: &str) -> (&str, &str) {
    match name {
        "cart-completion" => (
            "What else goes into the cart",
            "The first half of an order of a known customer lies in the cart. Which products make up the rest?",
        ),
        "cross-sell" => (
            "What else goes into the cart, from other parts of the shop",
            "The first half of an order of a known customer lies in the cart. Which products make up the rest, counting only those of \
             subcategories that are not in the cart?",
        ),
        "next-order" => (
            "What a known customer orders next",
            "A known customer comes back with an empty cart. Which products will the order hold, those bought before among them?",
        ),
        other => (other, "Which products were ordered?"),
    }
}

fn find<'a>(rows: &'a [Row], model: &str, metric: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.model == model && row.metric == metric)
}

/// Models by falling NDCG; those without it last, in the order of the rows.
fn best_first(rows: &[Row]) -> Vec<&str> {
    let mut names = models(rows);
    let value = |name: &str| find(rows, name, MAIN).map_or(f64::NEG_INFINITY, |row| row.value);
    names.sort_by(|a, b| value(b).total_cmp(&value(a)));
    names
}

fn is_generator(name: &str) -> bool {
    name != SERVED && name != BLEND
}

fn figure(name: &str, value: &str, note: &str) -> String {
    format!("<div><dt>{name}</dt><dd><strong>{value}</strong> <span>{note}</span></dd></div>\n")
}

fn headline(evaluation: &Evaluation) -> String {
    let settings = &evaluation.settings;
    let mut text = String::from("<dl class=\"figures\">\n");
    if let Some(row) = find(&evaluation.rows, SERVED, MAIN) {
        let note = format!("95% interval {} to {}, {} questions", fixed(row.low, 4), fixed(row.high, 4), count(row.n));
        text.push_str(&figure("NDCG@10 of the hybrid", &fixed(row.value, 4), &note));
    }
    if let Some(lead) = lead(evaluation) {
        let note =
            format!("{} to {}, on the same questions; {}", signed(lead.low, 4), signed(lead.high, 4), standing(lead));
        let name = format!("Over the best single generator, {}", escape(&lead.against));
        text.push_str(&figure(&name, &signed(lead.difference, 4), &note));
    }
    let note = format!("median on one thread, 99th percentile {} ms", fixed(settings.rank_p99_ms, 2));
    text.push_str(&figure("One ranking", &format!("{} ms", fixed(settings.rank_p50_ms, 2)), &note));
    text.push_str("</dl>\n");
    text
}

/// The difference to the generator with the highest NDCG.
fn lead(evaluation: &Evaluation) -> Option<&Comparison> {
    let best = best_first(&evaluation.rows).into_iter().find(|name| is_generator(name))?;
    evaluation.differences.iter().find(|difference| difference.against == best && difference.metric == MAIN)
}

/// What an interval says.
fn standing(difference: &Comparison) -> &'static str {
    if difference.low > 0.0 {
        "ahead, the interval is above zero"
    } else if difference.high < 0.0 {
        "behind, the interval is below zero"
    } else {
        "not told apart, the interval holds zero"
    }
}

#[cfg(test)]
mod tests;
