//! The page's plots.

use std::fmt::Write;

use super::{MAIN, SERVED, best_first, find};
use crate::evaluate::Evaluation;
use crate::plot::{Mark, Plot, Point};
use crate::tune::{Comparison, Component};

/// Steps of an axis over the whole width, and over a third of it.
const WIDE: u32 = 6;
const NARROW: u32 = 3;

pub(super) fn all(evaluation: &Evaluation) -> String {
    [models(evaluation), differences(evaluation), multiples(evaluation), components(evaluation)].concat()
}

fn section(title: &str, words: &str, inside: &str) -> String {
    if inside.is_empty() {
        return String::new();
    }
    format!("<section>\n<h2>{title}</h2>\n<p>{words}</p>\n{inside}</section>\n")
}

/// A metric of every model, in the order of the first plot, so that the plots can be read beside one another.
fn metric(evaluation: &Evaluation, metric: &str, about: &str, steps: u32) -> String {
    let row = |name: &str| find(&evaluation.rows, name, metric);
    let points = best_first(&evaluation.rows).into_iter().filter_map(row).map(|row| Point {
        label: row.model.clone(),
        value: row.value,
        low: row.low,
        high: row.high,
        mark: if row.model == SERVED { Mark::Strong } else { Mark::Plain },
    });
    Plot { about: about.to_owned(), points: points.collect(), signed: false, steps }.svg()
}

fn models(evaluation: &Evaluation) -> String {
    section(
        "NDCG@10 by model",
        "How far up the products that were ordered stand in the ten that are shown; 1 is perfect. The whiskers are 95% intervals. \
         The diamond is the hybrid, everything together as it is served; <em>blend</em> is the hybrid without its ranker, and the others \
         are its generators, each alone.",
        &metric(evaluation, MAIN, "NDCG@10 by model with 95% intervals, best first", WIDE),
    )
}

fn differences(evaluation: &Evaluation) -> String {
    let mut found: Vec<&Comparison> =
        evaluation.differences.iter().filter(|difference| difference.metric == MAIN).collect();
    found.sort_by(|a, b| a.difference.total_cmp(&b.difference));
    let points = found.into_iter().map(|difference| Point {
        label: format!("minus {}", difference.against),
        value: difference.difference,
        low: difference.low,
        high: difference.high,
        mark: if difference.low > 0.0 || difference.high < 0.0 { Mark::Plain } else { Mark::Open },
    });
    let about =
        "Paired differences in NDCG@10, hybrid minus each other model, with 95% intervals, smallest first".to_owned();
    section(
        "What the hybrid adds",
        "NDCG@10 of the hybrid minus that of each other model on the same questions, smallest first. Right of the zero line the hybrid is \
         ahead. A filled dot's interval leaves zero out; an open dot with a dashed whisker holds it: those two are not told apart.",
        &Plot { about, points: points.collect(), signed: true, steps: WIDE }.svg(),
    )
}

fn multiples(evaluation: &Evaluation) -> String {
    let each = [
        ("recall@10", "Recall@10", "Share of the products that were ordered that stand among the ten."),
        ("hr@10", "Hit rate@10", "Share of the questions with at least one of them among the ten."),
        ("coverage@10", "Coverage@10", "Share of all products sold before that stand among any ten."),
    ];
    let mut figures = String::new();
    for (name, title, words) in each {
        let svg = metric(evaluation, name, &format!("{title} by model with 95% intervals"), NARROW);
        if !svg.is_empty() {
            let _ =
                writeln!(figures, "<figure>\n<figcaption><h3>{title}</h3><p>{words}</p></figcaption>\n{svg}</figure>");
        }
    }
    let inside = if figures.is_empty() { figures } else { format!("<div class=\"multiples\">\n{figures}</div>\n") };
    section("Other measures", "Models in the order of the first plot; each measure has an axis of its own.", &inside)
}

fn components(evaluation: &Evaluation) -> String {
    let mut found: Vec<&Component> = evaluation.components.iter().collect();
    found.sort_by(|a, b| b.difference.total_cmp(&a.difference));
    let points = found.into_iter().map(|component| Point {
        label: format!("{}, {}", component.name, if component.kept { "kept" } else { "dropped" }),
        value: component.difference,
        low: component.low,
        high: component.high,
        mark: if component.kept { Mark::Plain } else { Mark::Open },
    });
    let about =
        "Ablation: NDCG@10 on the validation window with each component less without it, largest first".to_owned();
    section(
        "What each component is worth",
        "NDCG@10 of everything less that of everything without the component, on the validation window before the test, largest first. \
         A filled dot was kept; an open dot with a dashed whisker was dropped before the test.",
        &Plot { about, points: points.collect(), signed: true, steps: WIDE }.svg(),
    )
}
