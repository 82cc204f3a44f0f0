//! The methods on published data sets, where they lie beside the project: each alone stays near what it was measured at. Without the data
//! each test says so and passes.

use std::path::PathBuf;

use endcap_methods::Unseen;
use endcap_methods::blend::Question;
use endcap_methods::format::{Text, light_gcn, sequences};
use endcap_methods::graph::links::{Links, LinksSettings};
use endcap_methods::measure::Row;
use endcap_methods::pairs::{Pairs, PairsSettings};
use endcap_methods::protocol::{lists, next_item, top_n};

/// The text of a file of the shared data; none, with a line that says so, where it is absent.
fn read(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: {} is not there", path.display());
    }
    text
}

fn value(rows: &[Row], metric: &str) -> f64 {
    rows.iter().find(|row| row.metric == metric).map_or(0.0, |row| row.value)
}

fn every<T: Clone>(all: &[T], step: usize) -> Vec<T> {
    all.iter().step_by(step).cloned().collect()
}

#[test]
fn rules_alone_find_the_next_item() {
    let Some(text) = read("amazon_s3rec/raw/Beauty.txt") else { return };
    let data = sequences(Text { name: "sequences", text: &text }, None).unwrap();
    assert_eq!((data.histories.users.len(), data.histories.items), (22_363, 12_101));
    let (train, asked) = next_item::hold_out(&data.histories);
    let fitted = Pairs::fit(&train, &PairsSettings::default());
    let lists = lists(&Unseen(&fitted), &asked, data.histories.items, next_item::AT);
    let rows = next_item::rows("pairs", &asked, &lists, data.histories.items, 1);
    let ndcg = value(&rows, "ndcg@10");
    assert!(ndcg > 0.045, "NDCG@10 {ndcg}");
}

#[test]
fn links_alone_find_what_else_was_had() {
    let (Some(train), Some(test)) = (read("gowalla_lightgcn/derived/train.txt"), read("gowalla_lightgcn/raw/test.txt"))
    else {
        return;
    };
    let data = light_gcn(Text { name: "train", text: &train }, Some(Text { name: "test", text: &test })).unwrap();
    assert_eq!((data.histories.users.len(), data.histories.items), (29_858, 40_981));
    let asked: Vec<Question> = every(&top_n::questions(&data.histories, &data.wanted), 20);
    let fitted = Links::fit(&data.histories, LinksSettings::default());
    let lists = lists(&Unseen(&fitted), &asked, data.histories.items, top_n::AT);
    let rows = top_n::rows("links", &asked, &lists, data.histories.items, 1);
    let (recall, ndcg) = (value(&rows, "recall@20"), value(&rows, "ndcg@20"));
    assert!(recall > 0.17 && ndcg > 0.14, "recall@20 {recall}, NDCG@20 {ndcg}");
    // Nothing that is known is named.
    for (list, question) in lists.iter().zip(&asked) {
        assert!(list.iter().all(|item| question.history.items().all(|known| known != *item)));
    }
}
