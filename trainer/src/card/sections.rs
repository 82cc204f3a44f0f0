//! What a card says of calibration, popularity, segments, value, demand and examples, as sections that the Markdown and the page share.

use std::fmt::Write;

use serde_json::Value;

use super::markdown::{any, any_or, interval, line, list, table};
use crate::plot::{Mark, Plot, Point, count, escape, fixed, signed};

/// A part of the card: words, a table, and for the page a plot.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub title: &'static str,
    pub words: String,
    pub plots: Vec<Plot>,
    pub headers: Vec<String>,
    /// Columns from this one on hold numbers.
    pub numbers: usize,
    pub rows: Vec<Vec<String>>,
}

impl Section {
    fn new(title: &'static str, words: impl Into<String>) -> Self {
        Self { title, words: words.into(), ..Self::default() }
    }

    fn with(mut self, headers: &[&str], numbers: usize, rows: Vec<Vec<String>>) -> Self {
        self.headers = headers.iter().map(|header| (*header).to_owned()).collect();
        self.numbers = numbers;
        self.rows = rows;
        self
    }

    fn plot(mut self, about: &str, points: Vec<Point>, signed: bool) -> Self {
        self.plots.push(Plot { about: about.to_owned(), points, signed, steps: 6 });
        self
    }

    pub fn markdown(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(|cell| line(cell)).collect()).collect();
        let headers: Vec<&str> = self.headers.iter().map(String::as_str).collect();
        format!("\n### {}\n\n{}\n{}", self.title, line(&self.words), table(&headers, self.numbers, &rows))
    }

    pub fn html(&self) -> String {
        let mut text = format!("<section>\n<h2>{}</h2>\n<p>{}</p>\n", escape(self.title), escape(&self.words));
        text.extend(self.plots.iter().map(Plot::svg));
        if !self.rows.is_empty() {
            let _ = write!(
                text,
                "<div class=\"scroll\" role=\"region\" aria-label=\"{}\" tabindex=\"0\">\n<table>\n<thead><tr>",
                escape(self.title)
            );
            for header in &self.headers {
                let _ = write!(text, "<th scope=\"col\">{}</th>", escape(header));
            }
            text.push_str("</tr></thead>\n<tbody>\n");
            for row in &self.rows {
                text.push_str("<tr>");
                for (at, cell) in row.iter().enumerate() {
                    let class = if at < self.numbers { " class=\"words\"" } else { "" };
                    let _ = match at {
                        0 => write!(text, "<th scope=\"row\">{}</th>", escape(cell)),
                        _ => write!(text, "<td{class}>{}</td>", escape(cell)),
                    };
                }
                text.push_str("</tr>\n");
            }
            text.push_str("</tbody>\n</table>\n</div>\n");
        }
        text.push_str("</section>\n");
        text
    }
}

/// The sections that there is something to say in.
pub(super) fn of(card: &Value) -> Vec<Section> {
    let mut sections = Vec::new();
    sections.extend(calibration(card));
    sections.extend(popularity(card));
    sections.extend(segments(card));
    sections.extend(value(card));
    sections.extend(demand(card));
    sections.extend(examples(card));
    sections
}

fn number(entry: &Value, at: &str) -> f64 {
    entry.pointer(at).and_then(Value::as_f64).unwrap_or(0.0)
}

/// As it is: the Markdown and the page escape, each in its way.
fn text(entry: &Value, at: &str) -> String {
    match entry.pointer(at) {
        Some(Value::String(text)) => text.clone(),
        other => any_or(other, ""),
    }
}

fn percent(share: f64) -> String {
    format!("{}%", fixed(100.0 * share, 1))
}

/// A point of a plot from an entry with `low` and `high`; open where an interval of differences holds 0.
pub(super) fn point(entry: &Value, label: String, at: &str, difference: bool) -> Point {
    let (value, low, high) = (number(entry, at), number(entry, "/low"), number(entry, "/high"));
    let is_open = difference && low <= 0.0 && high >= 0.0;
    Point { label, value, low, high, mark: if is_open { Mark::Open } else { Mark::Plain } }
}

fn calibration(card: &Value) -> Option<Section> {
    let bins = list(card, "/calibration");
    if bins.is_empty() {
        return None;
    }
    let rows = bins.iter().map(|bin| {
        vec![
            text(bin, "/situation"),
            fixed(number(bin, "/said"), 4),
            interval(bin, "/right", fixed),
            any(bin.pointer("/n")),
        ]
    });
    let points = bins
        .iter()
        .filter(|bin| number(bin, "/said") > 0.0)
        .map(|bin| {
            let label = format!("{}, said {}", text(bin, "/situation"), fixed(number(bin, "/said"), 4));
            point(bin, label, "/right", false)
        })
        .collect();
    let words = "The thirty best candidates of each question in ten bins by the chance that was given; beside it the share that was ordered. \
                 Well calibrated is a share like the chance.";
    let section =
        Section::new("Calibration", words).plot("Share that was right by the chance that was given", points, false);
    Some(section.with(&["situation", "chance given", "share ordered", "candidates"], 1, rows.collect()))
}

fn popularity(card: &Value) -> Option<Section> {
    let metrics = list(card, "/popularity");
    let shown = metrics.iter().find(|metric| text(metric, "/name") == "top_tenth_shown@10")?;
    let rows = metrics
        .iter()
        .map(|metric| vec![text(metric, "/name"), interval(metric, "/value", fixed), any(metric.pointer("/n"))]);
    let ordered = metrics.iter().find(|metric| text(metric, "/name") == "top_tenth_ordered");
    let words = format!(
        "{} of what is shown is among the tenth of the products with the most orders; of what was ordered then it was {}. The difference is how \
         far lists lean to what sells anyway.",
        percent(number(shown, "/value")),
        percent(ordered.map_or(0.0, |metric| number(metric, "/value")))
    );
    let points = metrics.iter().map(|metric| point(metric, text(metric, "/name"), "/value", false)).collect();
    let section = Section::new("Popularity bias", words).plot("Share of the top tenth of products", points, false);
    Some(section.with(&["share", "value", "questions"], 1, rows.collect()))
}

fn segments(card: &Value) -> Vec<Section> {
    let mut sections = Vec::new();
    let Some(own) = card.pointer("/segments").filter(|own| own.is_object()) else { return sections };
    if let Some(why) = own.pointer("/skipped").and_then(Value::as_str) {
        return vec![Section::new("Segments of customers", format!("None were learned: {why}."))];
    }
    let bounds = |name: &'static str, at: &str| {
        let bounds = list(own, at).iter().map(|bound| fixed(bound.as_f64().unwrap_or(0.0), 1));
        std::iter::once(name.to_owned()).chain(bounds).collect::<Vec<String>>()
    };
    sections.push(
        Section::new(
            "Recency, frequency and money: where the fifths begin",
            "A customer with scores of 5 ordered lately, often and for much. Bounds are those of these customers.",
        )
        .with(
            &["", "score 2", "score 3", "score 4", "score 5"],
            1,
            vec![
                bounds("days since the last order, at most", "/rfm/recency_days_at_most"),
                bounds("orders, at least", "/rfm/orders_at_least"),
                bounds("money, at least", "/rfm/money_at_least"),
            ],
        ),
    );
    let rows = list(own, "/learned/segments").iter().map(|segment| {
        let evidence = list(segment, "/evidence").iter().map(|evidence| {
            format!(
                "{} {} (all {}, {} sd)",
                text(evidence, "/feature"),
                fixed(number(evidence, "/segment"), 2),
                fixed(number(evidence, "/all"), 2),
                signed(number(evidence, "/difference"), 1)
            )
        });
        let evidence: Vec<String> = evidence.collect();
        vec![
            text(segment, "/name"),
            evidence.join("; "),
            any(segment.pointer("/customers")),
            percent(number(segment, "/share")),
            percent(number(segment, "/money_share")),
        ]
    });
    sections.push(
        Section::new(
            "Learned segments",
            "k-means over recency, frequency, money, basket size and shares of categories. Names are made of the largest differences from all \
             customers.",
        )
        .with(&["segment", "evidence", "customers", "share", "of the money"], 2, rows.collect()),
    );
    let tried = list(own, "/learned/tried");
    let points = tried
        .iter()
        .map(|tried| Point {
            mark: if tried.pointer("/chosen") == Some(&Value::Bool(true)) { Mark::Strong } else { Mark::Plain },
            ..point(tried, format!("{} segments", text(tried, "/segments")), "/stability", false)
        })
        .collect();
    let rows = tried.iter().map(|tried| {
        let chosen = tried.pointer("/chosen") == Some(&Value::Bool(true));
        vec![
            text(tried, "/segments"),
            if chosen { "chosen" } else { "" }.to_owned(),
            interval(tried, "/stability", fixed),
            fixed(number(tried, "/silhouette"), 3),
        ]
    });
    let words = format!(
        "Mean adjusted Rand index with what is learned from resamples; 1 is the same every time. Chosen: {}.",
        text(own, "/learned/criterion")
    );
    sections.push(
        Section::new("How stable the segments are", words).plot("Stability by number of segments", points, false).with(
            &["segments", "", "stability", "silhouette"],
            2,
            rows.collect(),
        ),
    );
    sections
}

/// Rows of `model`, `metric`, `value` as a table of models by metric.
fn by_metric(rows: &[Value]) -> (Vec<String>, Vec<Vec<String>>) {
    let mut metrics: Vec<String> = Vec::new();
    let mut models: Vec<String> = Vec::new();
    for row in rows {
        for (names, at) in [(&mut metrics, "/metric"), (&mut models, "/model")] {
            if !names.contains(&text(row, at)) {
                names.push(text(row, at));
            }
        }
    }
    let cell = |model: &str, metric: &str| {
        let found = rows.iter().find(|row| text(row, "/model") == model && text(row, "/metric") == metric);
        found.map_or_else(|| "-".to_owned(), |row| interval(row, "/value", fixed))
    };
    let cells = metrics
        .iter()
        .map(|metric| std::iter::once(metric.clone()).chain(models.iter().map(|model| cell(model, metric))).collect());
    let cells = cells.collect();
    (models, cells)
}

fn differences(rows: &[Value], name: &str) -> (Vec<Point>, Vec<Vec<String>>) {
    let label = |row: &Value| format!("{}, {name} less {}", text(row, "/metric"), text(row, "/model"));
    let points = rows.iter().map(|row| point(row, label(row), "/value", true)).collect();
    let table =
        rows.iter().map(|row| vec![label(row), interval(row, "/value", signed), any(row.pointer("/n"))]).collect();
    (points, table)
}

fn value(card: &Value) -> Vec<Section> {
    let mut sections = Vec::new();
    let Some(own) = card.pointer("/value").filter(|own| own.is_object()) else { return sections };
    if let Some(why) = own.pointer("/skipped").and_then(Value::as_str) {
        return vec![Section::new("What customers will be worth", format!("Not foreseen: {why}."))];
    }
    if let Some(ahead) = own.pointer("/ahead").filter(|ahead| ahead.is_object()) {
        let words = format!(
            "In the {} days after the data {} customers are expected to order on {} days in all, for {}. The best tenth of them brings {} of it.",
            text(ahead, "/days"),
            any(ahead.pointer("/customers")),
            count(number(ahead, "/visits").round().max(0.0) as u64),
            count(number(ahead, "/money").round().max(0.0) as u64),
            percent(number(ahead, "/tenths/0"))
        );
        let rows = list(ahead, "/by_segment").iter().map(|segment| {
            let of = |at: &str, decimals: usize| fixed(number(segment, at), decimals);
            vec![text(segment, "/segment"), of("/visits", 2), of("/money", 2), of("/alive", 3)]
        });
        sections.push(Section::new("What customers will be worth", words).with(
            &["segment", "days with an order", "money", "chance to come back at all"],
            1,
            rows.collect(),
        ));
    }
    let Some(measured) = own.pointer("/measured").filter(|measured| measured.is_object()) else { return sections };
    let (points, rows) = differences(list(measured, "/differences"), "bg_nbd");
    let of_money = |point: &Point| point.label.contains("money");
    let (money, visits): (Vec<Point>, Vec<Point>) = points
        .into_iter()
        // Squared money would leave nothing else to be seen.
        .filter(|point| point.label.starts_with("mae"))
        .partition(of_money);
    let words = format!(
        "Fitted without the last {} days and asked what {} customers would do in them: mean absolute error (mae) less that of going on as before, \
         and the same of squares (mse). Left of 0 the model is better. Customers came on {} days each, for {}.",
        text(measured, "/held_days"),
        any(measured.pointer("/customers")),
        fixed(number(measured, "/actual_visits"), 3),
        fixed(number(measured, "/actual_money"), 2)
    );
    sections.push(
        Section::new("How well value is foreseen", words)
            .plot("Absolute error in days with an order", visits, true)
            .plot("Absolute error in money", money, true)
            .with(&["error", "difference", "customers"], 1, rows),
    );
    let (models, cells) = by_metric(list(measured, "/rows"));
    let headers: Vec<&str> = std::iter::once("measure").chain(models.iter().map(String::as_str)).collect();
    let words = "Mean absolute error, root mean squared error and bias by customer.";
    sections.push(Section::new("Errors of value", words).with(&headers, 1, cells));
    sections
}

fn demand(card: &Value) -> Vec<Section> {
    let mut sections = Vec::new();
    let Some(own) = card.pointer("/demand").filter(|own| own.is_object()) else { return sections };
    if let Some(why) = own.pointer("/skipped").and_then(Value::as_str) {
        return vec![Section::new("Demand by product", format!("Not foreseen: {why}."))];
    }
    let rows = list(own, "/measured/rows");
    let wanted: Vec<Value> = rows
        .iter()
        .filter(|row| ["chosen", "seasonal_naive"].contains(&text(row, "/model").as_str()))
        .cloned()
        .collect();
    let (models, cells) = by_metric(&wanted);
    let headers: Vec<&str> = std::iter::once("measure").chain(models.iter().map(String::as_str)).collect();
    let (points, _) = differences(list(own, "/measured/differences"), "chosen");
    let words = "Units of each product in the week and the four weeks before the end of the data, foreseen without them. MASE: error over that of \
                 going on as before, so far; pinball: loss of the intervals over all units; coverage: share inside the interval. In the plot, \
                 left of 0 the chosen methods are better than the seasonal naive one.";
    sections.push(
        Section::new("Demand by product", words)
            .plot("Chosen methods less the seasonal naive one", points, true)
            .with(&headers, 1, cells),
    );
    let kinds = list(own, "/measured/by_kind").iter().map(|kind| {
        let of = |metric: &str| {
            let found = list(kind, "/differences").iter().find(|row| text(row, "/metric") == metric);
            found.map_or_else(|| "-".to_owned(), |row| interval(row, "/value", signed))
        };
        vec![
            text(kind, "/kind"),
            text(kind, "/method_7d"),
            text(kind, "/method_28d"),
            any(kind.pointer("/products")),
            of("mase.7d"),
            of("mase.28d"),
        ]
    });
    let words =
        "The method by kind of product, chosen on earlier weeks, and its MASE less that of the seasonal naive one.";
    sections.push(Section::new("Methods by kind of demand", words).with(
        &["kind", "7 days", "28 days", "products", "MASE, 7 days", "MASE, 28 days"],
        3,
        kinds.collect(),
    ));
    let all: Vec<Vec<String>> = rows
        .iter()
        .filter(|row| text(row, "/metric").starts_with("mase") || text(row, "/metric").starts_with("pinball"))
        .map(|row| vec![text(row, "/model"), text(row, "/metric"), interval(row, "/value", fixed)])
        .collect();
    sections.push(Section::new("Every method of demand", "Each method for all products.").with(
        &["method", "measure", "value"],
        2,
        all,
    ));
    sections
}

fn examples(card: &Value) -> Option<Section> {
    let mut rows = Vec::new();
    for example in list(card, "/examples") {
        let cart: Vec<String> = list(example, "/cart").iter().map(|product| text(product, "/name")).collect();
        let cart = if cart.is_empty() { "nothing".to_owned() } else { cart.join(", ") };
        for item in list(example, "/items") {
            rows.push(vec![
                cart.clone(),
                text(item, "/name"),
                text(item, "/kind"),
                text(item, "/reason"),
                fixed(number(item, "/score"), 4),
            ]);
        }
    }
    let words = "What would be shown to somebody unknown at the end of the data, before any rules of the business.";
    (!rows.is_empty()).then(|| {
        Section::new("Examples with their reasons", words).with(
            &["in the cart", "shown", "kind", "reason", "score"],
            4,
            rows,
        )
    })
}
