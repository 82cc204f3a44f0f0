//! The page's tables and lists.

use std::fmt::Write;

use endcap_recommender::candidates::Signal;

use super::{SERVED, best_first, find};
use crate::evaluate::{Evaluation, Row};
use crate::plot::{count, escape, fixed};
use crate::tune::name_of;

/// What the metrics mean.
const WORDS: [(&str, &str); 11] = [
    ("ndcg@10", "Normalised discounted cumulative gain: hits further up count more; the best possible list has 1."),
    ("recall@10", "Share of the ordered products found among the ten."),
    ("hr@10", "Hit rate: share of the questions with at least one found."),
    ("diversity@10", "Distinct subcategories by product shown."),
    ("novelty@10", "Mean surprise, minus log2 of the product's share of orders: higher is less popular. In bits."),
    ("repeat_share@10", "Share of what is shown that the customer had bought before."),
    ("repeat_recall@10", "Recall of the ordered products that the customer had bought before."),
    ("explore_recall@10", "Recall of those that the customer had not."),
    ("cross_category@10", "Share of what is shown that is of subcategories not in the cart."),
    ("cold_recall@10", "Recall of products with at most 5 orders before the test."),
    ("coverage@10", "Share of the products sold before the test that stand in any list."),
];

pub(super) fn all(evaluation: &Evaluation) -> String {
    [numbers(evaluation), settings(evaluation), weights(evaluation), phases(evaluation)].concat()
}

/// A table in a box of its own that scrolls.
fn boxed(name: &str, table: &str) -> String {
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{name}\" tabindex=\"0\">\n<table>\n{table}</table>\n</div>\n"
    )
}

/// Metrics in the order of their first row.
fn metrics(rows: &[Row]) -> Vec<&str> {
    let mut metrics: Vec<&str> = Vec::new();
    for row in rows {
        if !metrics.contains(&row.metric.as_str()) {
            metrics.push(&row.metric);
        }
    }
    metrics
}

fn numbers(evaluation: &Evaluation) -> String {
    let metrics = metrics(&evaluation.rows);
    let mut table = String::from("<thead><tr><th scope=\"col\">model</th>");
    for metric in &metrics {
        let _ = write!(table, "<th scope=\"col\">{}</th>", escape(metric));
    }
    table.push_str("</tr></thead>\n<tbody>\n");
    for model in best_first(&evaluation.rows) {
        let class = if model == SERVED { " class=\"served\"" } else { "" };
        let _ = write!(table, "<tr{class}><th scope=\"row\">{}</th>", escape(model));
        for metric in &metrics {
            let cell = find(&evaluation.rows, model, metric).map(|row| {
                let [value, low, high] = [row.value, row.low, row.high].map(|number| fixed(number, 4));
                format!("{value}<small>{low} to {high}</small><small>n {}</small>", count(row.n))
            });
            let _ = write!(table, "<td>{}</td>", cell.unwrap_or_default());
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</tbody>\n");
    let mut words = String::new();
    for metric in metrics {
        let meaning = WORDS.iter().find(|(name, _)| *name == metric).map_or("", |(_, meaning)| *meaning);
        let _ = writeln!(words, "<dt>{}</dt><dd>{meaning}</dd>", escape(metric));
    }
    format!(
        "<section>\n<h2>All numbers</h2>\n<p>Value, 95% interval and the number of questions that it is a mean of.</p>\n{}\
         <details>\n<summary>What the measures mean</summary>\n<dl class=\"list\">\n{words}</dl>\n</details>\n</section>\n",
        boxed("All metrics of all models", &table)
    )
}

fn or_unknown(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "not known".to_owned())
}

fn settings(evaluation: &Evaluation) -> String {
    let settings = &evaluation.settings;
    let model = &settings.model;
    let validated = match settings.validate_from.as_str() {
        "" => "no window: nothing was chosen".to_owned(),
        from => format!("{from} to {} (exclusive)", settings.test_from),
    };
    let entries: [(&str, String); 18] = [
        ("Protocol", settings.protocol.to_owned()),
        ("Test period", format!("{} to {} (exclusive)", settings.test_from, settings.test_until)),
        ("Validation window", validated),
        ("Questions", count(settings.questions)),
        ("Orders in the test period", count(settings.test_orders)),
        ("Orders that made no question", count(settings.test_orders_left_out)),
        ("Targets never sold before, so not rankable", count(settings.unrankable_targets)),
        ("Orders learned from", count(settings.orders_learned_from)),
        ("Products", count(settings.products)),
        ("Architecture", settings.architecture.to_owned()),
        ("Seed", settings.seed.to_string()),
        ("Threads", settings.threads.to_string()),
        ("Dataset (SHA-256 of its manifest)", settings.dataset_sha256.clone()),
        ("Hyperparameters", settings.hyperparameters.clone()),
        ("Currency", or_unknown(model.currency.clone())),
        ("Learned until", or_unknown(model.trained_until.map(|at| at.to_string()))),
        (
            "Half-lives of trend and of history",
            format!("{} and {} days", model.trend_half_life_days, model.history_half_life_days),
        ),
        ("Orders added before a confidence is believed", model.confidence_shrinkage.to_string()),
    ];
    let mut list = String::new();
    for (name, value) in entries {
        let _ = writeln!(list, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    format!("<section>\n<h2>How it was measured</h2>\n<dl class=\"list\">\n{list}</dl>\n</section>\n")
}

fn weights(evaluation: &Evaluation) -> String {
    let weights = &evaluation.settings.model.weights;
    if weights.is_empty() {
        return String::new();
    }
    let mut table = String::from("<thead><tr><th scope=\"col\">signal</th>");
    for situation in weights.keys() {
        let _ = write!(table, "<th scope=\"col\">{}</th>", name_of(*situation));
    }
    table.push_str("</tr></thead>\n<tbody>\n");
    for signal in Signal::ALL {
        let _ = write!(table, "<tr><th scope=\"row\">{}</th>", signal.name());
        for of_situation in weights.values() {
            let weight = of_situation.get(&signal).map(|weight| fixed(f64::from(*weight), 4));
            let _ = write!(table, "<td>{}</td>", weight.unwrap_or_default());
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</tbody>\n");
    format!(
        "<section>\n<h2>Weights of the blend</h2>\n<p>By situation, as chosen on the validation window; empty is 0.</p>\n{}</section>\n",
        boxed("Weights by signal and situation", &table)
    )
}

fn phases(evaluation: &Evaluation) -> String {
    let mut table = String::from(
        "<thead><tr><th scope=\"col\">phase</th><th scope=\"col\">seconds</th><th scope=\"col\">peak memory</th></tr></thead>\n<tbody>\n",
    );
    for phase in &evaluation.phases {
        let resumed = if phase.resumed { " (from a checkpoint)" } else { "" };
        let memory = phase.peak_resident_bytes.map(|bytes| format!("{} MiB", count(bytes >> 20)));
        let _ = writeln!(
            table,
            "<tr><th scope=\"row\">{}{resumed}</th><td>{}</td><td>{}</td></tr>",
            escape(&phase.phase),
            fixed(phase.seconds, 1),
            memory.unwrap_or_default()
        );
    }
    let all: f64 = evaluation.phases.iter().map(|phase| phase.seconds).sum();
    let _ = writeln!(
        table,
        "</tbody>\n<tfoot><tr><th scope=\"row\">all</th><td>{}</td><td></td></tr></tfoot>",
        fixed(all, 1)
    );
    format!("<section>\n<h2>Phases</h2>\n{}</section>\n", boxed("Phases with their seconds", &table))
}
