//! The card as one page with plots, made of nothing but its JSON, without scripts and without anything from elsewhere.

use std::fmt::Write;

use serde_json::Value;

use super::markdown::{any, any_or, list, string};
use super::sections::{self, point};
use crate::plot::{self, Mark, Plot, Point, count, escape, fixed, signed};

const STYLE: &str = include_str!("../evaluate/page/style.css");
/// What a card's page adds to the style of an evaluation's.
const MORE_STYLE: &str = "td.words { text-align: left; white-space: normal; min-width: 9rem; }\n\
    tbody th { white-space: normal; min-width: 9rem; }\n.limits li { margin-bottom: .4rem; max-width: 46rem; }\n\
    .multiples.wide { grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); }\n";

/// The whole page.
pub(crate) fn page(card: &Value) -> String {
    let version = escape(string(card, "/model/version"));
    let mut page = String::with_capacity(64 << 10);
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{version} | Endcap model card</title>\n\
         <style>\n{STYLE}{}{MORE_STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"kind\">Model card</p>\n<h1>{version}</h1>\n\
         <p class=\"asked\">{}</p>\n",
        plot::STYLE,
        escape(string(card, "/intended_use"))
    );
    page.push_str(&headline(card));
    page.push_str("</header>\n");
    page.push_str(&served(card));
    page.push_str(&differences(card, "/comparisons", "What it adds to each generator", "NDCG@10 of what is served less that of the other on the same questions. An open dot's interval holds 0: those two are not told apart."));
    page.push_str(&differences(
        card,
        "/active",
        "Against the active version",
        "NDCG@10 less that of the version that served, on the same questions.",
    ));
    page.push_str(&components(card));
    page.push_str(&cold(card));
    for section in sections::of(card) {
        page.push_str(&section.html());
    }
    page.push_str(&facts(card));
    let _ = write!(page, "</main>\n<footer>{}</footer>\n</body>\n</html>\n", escape(string(card, "/model/program")));
    page
}

fn number(entry: &Value, at: &str) -> Option<f64> {
    entry.pointer(at).and_then(Value::as_f64)
}

/// A number that a card begins with: title, value, words below.
fn figure(title: &str, value: &str, words: &str) -> String {
    format!(
        "<div><dt>{}</dt><dd><strong>{}</strong> <span>{}</span></dd></div>\n",
        escape(title),
        escape(value),
        escape(words)
    )
}

fn headline(card: &Value) -> String {
    let mut figures = String::new();
    if let Some(main) = list(card, "/metrics").iter().find(|metric| metric.pointer("/name") == Some(&"ndcg@10".into()))
    {
        let [value, low, high] = ["/value", "/low", "/high"].map(|at| fixed(number(main, at).unwrap_or(0.0), 4));
        let words =
            format!("95% interval {low} to {high}, {} questions of the validation window", any(main.pointer("/n")));
        figures.push_str(&figure("NDCG@10", &value, &words));
    }
    if let Some(coverage) = number(card, "/coverage") {
        let words = "of the products sold before stand in some list";
        figures.push_str(&figure("Coverage", &format!("{}%", fixed(100.0 * coverage, 1)), words));
    }
    if let Some(mase) =
        list(card, "/demand/measured/differences").iter().find(|row| row.pointer("/metric") == Some(&"mase.28d".into()))
    {
        let [value, low, high] = ["/value", "/low", "/high"].map(|at| signed(number(mase, at).unwrap_or(0.0), 3));
        figures.push_str(&figure(
            "Demand of 28 days, MASE less the naive one's",
            &value,
            &format!("{low} to {high}; below 0 is better"),
        ));
    }
    if let Some(tried) =
        list(card, "/segments/learned/tried").iter().find(|tried| tried.pointer("/chosen") == Some(&Value::Bool(true)))
    {
        let words = format!("segments, stability {}", fixed(number(tried, "/stability").unwrap_or(0.0), 2));
        figures.push_str(&figure("Customers in", &any(tried.pointer("/segments")), &words));
    }
    if figures.is_empty() { figures } else { format!("<dl class=\"figures\">\n{figures}</dl>\n") }
}

fn section(title: &str, words: &str, inside: &str) -> String {
    if inside.is_empty() {
        return String::new();
    }
    format!("<section>\n<h2>{}</h2>\n<p>{}</p>\n{inside}</section>\n", escape(title), escape(words))
}

/// Points of entries, each named by `label`.
fn plotted(about: &str, entries: &[&Value], at: &str, is_signed: bool, label: impl Fn(&Value) -> String) -> String {
    let points: Vec<Point> = entries.iter().map(|entry| point(entry, label(entry), at, is_signed)).collect();
    Plot { about: about.to_owned(), points, signed: is_signed, steps: 6 }.svg()
}

fn served(card: &Value) -> String {
    let mut inside = String::new();
    for (measure, title) in [("ndcg@10", "NDCG@10"), ("recall@10", "Recall@10"), ("hit_rate@10", "Hit rate@10")] {
        let own: Vec<&Value> =
            list(card, "/metrics").iter().filter(|metric| string(metric, "/measure") == measure).collect();
        let svg = plotted(&format!("{title} by situation"), &own, "/value", false, |metric| {
            any_or(metric.pointer("/situation"), "all")
        });
        if !svg.is_empty() {
            let _ = writeln!(inside, "<figure>\n<figcaption><h3>{title}</h3></figcaption>\n{svg}</figure>");
        }
    }
    let skipped = card.pointer("/validation/skipped").and_then(Value::as_str);
    if let Some(why) = skipped {
        return section("What is served", &format!("Nothing was measured and nothing chosen: {why}."), " ");
    }
    let window = match card.pointer("/validation/window").filter(|window| !window.is_null()) {
        Some(window) => {
            let [from, days, orders] = ["/from", "/days", "/orders"].map(|at| any(window.pointer(at)));
            format!(" The validation window has {orders} orders of the last {days} days, from {from} on.")
        }
        None => String::new(),
    };
    let words = format!(
        "By situation: with or without a cart, of a known customer or not. Whiskers are 95% intervals.{window}"
    );
    section("What is served", &words, &inside)
}

fn differences(card: &Value, at: &str, title: &str, words: &str) -> String {
    let mut own: Vec<&Value> =
        list(card, at).iter().filter(|entry| entry.pointer("/situation").is_none_or(Value::is_null)).collect();
    own.sort_by(|a, b| number(a, "/difference").unwrap_or(0.0).total_cmp(&number(b, "/difference").unwrap_or(0.0)));
    let svg = plotted(title, &own, "/difference", true, |entry| format!("less {}", any(entry.pointer("/against"))));
    section(title, words, &svg)
}

fn components(card: &Value) -> String {
    let kept = |entry: &Value| entry.pointer("/kept").and_then(Value::as_bool).unwrap_or_default();
    let points = list(card, "/components").iter().map(|entry| {
        let label = format!("{}, {}", any(entry.pointer("/name")), if kept(entry) { "kept" } else { "dropped" });
        Point { mark: if kept(entry) { Mark::Plain } else { Mark::Open }, ..point(entry, label, "/difference", true) }
    });
    let about = "NDCG@10 with each component less without it".to_owned();
    let svg = Plot { about, points: points.collect(), signed: true, steps: 6 }.svg();
    let words =
        "Ablation: NDCG@10 of everything less that of everything without the component. An open dot was dropped.";
    section("What each component is worth", words, &(svg + &by_situation(card)))
}

/// The same in each situation: cold start is where segments and demographics have their say.
fn by_situation(card: &Value) -> String {
    let components = list(card, "/components");
    let situations = components.first().map_or(&[][..], |first| list(first, "/situations"));
    let mut figures = String::new();
    for name in situations.iter().map(|gain| string(gain, "/situation")) {
        let points = components.iter().filter_map(|entry| {
            let gain = list(entry, "/situations").iter().find(|gain| string(gain, "/situation") == name)?;
            Some(point(gain, any(entry.pointer("/name")), "/difference", true))
        });
        let about = format!("NDCG@10 with each component less without it, {name}");
        let svg = Plot { about, points: points.collect(), signed: true, steps: 4 }.svg();
        let _ = writeln!(
            figures,
            "<figure>\n<figcaption><h3>{}</h3></figcaption>\n{svg}</figure>",
            escape(&name.replace('_', ", "))
        );
    }
    if figures.is_empty() {
        figures
    } else {
        format!(
            "<p>By situation; here an open dot's interval holds 0.</p>\n<div class=\"multiples wide\">\n{figures}</div>\n"
        )
    }
}

fn cold(card: &Value) -> String {
    let own: Vec<&Value> = list(card, "/cold").iter().collect();
    let svg =
        plotted("Recall of cold and of other products", &own, "/value", false, |entry| any(entry.pointer("/name")));
    section(
        "Cold start",
        "Recall@10 of products with at most five orders before the window, beside that of the others.",
        &svg,
    )
}

fn facts(card: &Value) -> String {
    let mut text = String::from("<section>\n<h2>Limits</h2>\n<ul class=\"limits\">\n");
    for limit in list(card, "/limits") {
        let _ = writeln!(text, "<li>{}</li>", escape(string(limit, "/text")));
    }
    text.push_str("</ul>\n</section>\n<section>\n<h2>The version and its data</h2>\n<dl class=\"list\">\n");
    let mut put = |name: &str, value: String| {
        let _ = writeln!(text, "<dt>{}</dt><dd>{}</dd>", escape(&name.replace('_', " ")), escape(&value));
    };
    for name in ["name", "architecture", "seed", "dataset_sha256", "data_from", "data_until"] {
        put(name, any(card.pointer(&format!("/model/{name}"))));
    }
    for (name, value) in card.pointer("/data/counts").and_then(Value::as_object).into_iter().flatten() {
        put(name, value.as_u64().map_or_else(|| any(Some(value)), count));
    }
    text.push_str("</dl>\n</section>\n");
    text
}
