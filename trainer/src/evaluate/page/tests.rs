#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use endcap_recommender::fitted;

use super::*;
use crate::evaluate::Settings;
use crate::report::PhaseRun;
use crate::tune::Component;

fn row(model: &str, metric: &str, [low, value, high]: [f64; 3]) -> Row {
    Row { model: model.to_owned(), metric: metric.to_owned(), value, low, high, n: 1001 }
}

fn difference(against: &str, [low, difference, high]: [f64; 3]) -> Comparison {
    Comparison { against: against.to_owned(), situation: None, metric: MAIN.to_owned(), difference, low, high, n: 1001 }
}

fn component(name: &str, kept: bool, [low, difference, high]: [f64; 3]) -> Component {
    Component { name: name.to_owned(), kept, difference, low, high, n: 2757, situations: Vec::new() }
}

fn evaluation() -> Evaluation {
    let mut rows = Vec::new();
    for (at, metric) in ["ndcg@10", "recall@10", "hr@10", "coverage@10"].into_iter().enumerate() {
        for (model, value) in [("recent", 0.1), ("personal", 0.25), ("blend", 0.26), ("hybrid", 0.3)] {
            let value = value + at as f64 / 10.0;
            rows.push(row(model, metric, [value - 0.05, value, value + 0.05]));
        }
    }
    Evaluation {
        task: "next-order",
        settings: Settings {
            dataset_sha256: "47321c8f".to_owned(),
            architecture: "Hybrid",
            seed: 42,
            threads: 2,
            validate_from: "2011-09-01T00:00:00Z".to_owned(),
            test_from: "2011-10-01T00:00:00Z".to_owned(),
            test_until: "2011-11-01T00:00:00Z".to_owned(),
            questions: 1001,
            test_orders: 2005,
            test_orders_left_out: 1004,
            unrankable_targets: 1051,
            orders_learned_from: 14_119,
            products: 3812,
            protocol: "full ranking",
            hyperparameters: "Hyper { neighbours: 100 }".to_owned(),
            model: fitted::Settings::default(),
            rank_p50_ms: 0.292,
            rank_p99_ms: 0.498,
        },
        rows,
        differences: vec![
            difference("recent", [0.18, 0.2, 0.22]),
            difference("personal", [0.04, 0.05, 0.06]),
            difference("blend", [-0.01, 0.04, 0.05]),
        ],
        components: vec![
            component("deep", false, [-0.002, -0.0002, 0.0018]),
            component("ranker", true, [0.0061, 0.0096, 0.0136]),
        ],
        phases: vec![PhaseRun { phase: "tune".to_owned(), seconds: 79.98, resumed: true, ..PhaseRun::default() }],
    }
}

fn order(text: &str, parts: &[&str]) {
    let mut from = 0;
    for part in parts {
        let at = text[from..].find(part);
        from += at.unwrap_or_else(|| panic!("{part} is not where it should be"));
    }
}

#[test]
fn the_headline_names_the_task_the_number_and_the_lead_over_the_best_generator() {
    let page = of(&evaluation(), "2026-11-21T12:00:00Z");
    order(
        &page,
        &[
            "<h1>What a known customer orders next</h1>",
            "<strong>0.3000</strong> <span>95% interval 0.2500 to 0.3500, 1,001 questions</span>",
            "Over the best single generator, personal",
            "<strong>+0.0500</strong> <span>+0.0400 to +0.0600, on the same questions; ahead",
            "</header>",
            "Made 2026-11-21T12:00:00Z by",
        ],
    );
}

#[test]
fn plots_are_sorted_and_the_hybrid_is_marked() {
    let page = of(&evaluation(), "");
    order(
        &page,
        &[
            "<h2>NDCG@10 by model</h2>",
            "<g class=\"strong\">",
            ">hybrid</text>",
            ">blend</text>",
            ">personal</text>",
            ">recent</text>",
            "<h2>What the hybrid adds</h2>",
            "<g class=\"open\">",
            ">minus blend</text>",
            "<g class=\"plain\">",
            ">minus personal</text>",
            ">minus recent</text>",
            "Coverage@10 by model",
            "<h2>What each component is worth</h2>",
            "<g class=\"plain\">",
            ">ranker, kept</text>",
            "<g class=\"open\">",
            ">deep, dropped</text>",
            "<h2>All numbers</h2>",
        ],
    );
    assert_eq!(page.matches("<svg class=\"plot").count(), 6);
    assert_eq!(page.matches("aria-label=\"").count(), 6 + 3);
}

#[test]
fn every_row_stands_in_the_table() {
    let page = of(&evaluation(), "");
    for row in evaluation().rows {
        let [value, low, high] = [row.value, row.low, row.high].map(|number| fixed(number, 4));
        assert!(page.contains(&format!("<td>{value}<small>{low} to {high}</small><small>n 1,001</small></td>")));
    }
    order(&page, &["<tr class=\"served\"><th scope=\"row\">hybrid</th>", "<td>80.0</td>"]);
    assert!(page.contains("tune (from a checkpoint)"));
}

#[test]
fn nothing_breaks_out_of_its_place() {
    let bad = "<script>alert(\"x\")</script>'&";
    let mut evaluation = evaluation();
    evaluation.rows[0].model = bad.to_owned();
    evaluation.rows[1].metric = bad.to_owned();
    evaluation.differences[0].against = bad.to_owned();
    evaluation.components[0].name = bad.to_owned();
    evaluation.phases[0].phase = bad.to_owned();
    evaluation.settings.dataset_sha256 = bad.to_owned();
    evaluation.settings.hyperparameters = bad.to_owned();
    evaluation.settings.model.currency = Some(bad.to_owned());
    evaluation.task = bad;
    let page = of(&evaluation, bad);
    assert!(!page.contains("<script") && !page.contains("alert(\"x\")"));
    assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&#39;&amp;"));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = of(&evaluation(), "");
    for outside in ["http://", "https://", "src=", "href=", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn an_evaluation_without_anything_is_still_a_page() {
    let mut evaluation = evaluation();
    evaluation.rows.clear();
    evaluation.differences.clear();
    evaluation.components.clear();
    evaluation.phases.clear();
    let page = of(&evaluation, "");
    assert!(!page.contains("<svg") && page.ends_with("</html>\n"));
}
