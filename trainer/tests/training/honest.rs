//! Nothing of the test period reaches what is learned, however it is hidden.

use endcap_trainer::evaluate::{EvaluateOptions, Task, evaluate, prepare};
use endcap_trainer::learn::LearnOptions;
use endcap_trainer::load::Cut;
use endcap_trainer::progress::Silent;
use endcap_trainer::{Architecture, Hyper};

use crate::shop::{DAY_S, LAST_S, Shop, folder, seed};

const CUT: Cut = Cut { from_s: LAST_S - 30 * DAY_S, until_s: LAST_S + 1 };

fn options(folder: &std::path::Path) -> EvaluateOptions {
    EvaluateOptions {
        data: folder.join("data"),
        task: Task::CartCompletion,
        learn: LearnOptions {
            architecture: Architecture::Hybrid,
            hyper: Hyper { deep_epochs: 1, deep_dimensions: 8, ranker_epochs: 1, ..Hyper::default() },
            seed: 42,
            validate_from_s: Some(CUT.from_s - 40 * DAY_S),
        },
        cut: CUT,
        threads: 2,
        work: folder.join("work"),
    }
}

#[test]
fn the_test_period_and_hidden_copies_of_it_change_nothing_that_is_learned() {
    let seed = seed();
    let shop = Shop::new(seed);
    let plain = folder(&shop);
    let other_future = folder(&Shop { changed_from_s: CUT.from_s, changed_seed: !seed, ..shop });
    let with_copy = folder(&Shop { copied_from_s: CUT.from_s, ..shop });
    let learned = |folder: &std::path::Path| {
        let prepared = prepare(&options(folder), &Silent).unwrap();
        assert!(prepared.data.sales.heads.iter().all(|head| head.at_s < CUT.from_s));
        (prepared.learned.model.to_objects().unwrap(), prepared.learned.tuned, prepared.data.held)
    };
    let (model, tuned, held) = learned(plain.path());
    assert!(!held.heads.is_empty() && held.heads.iter().all(|head| (CUT.from_s..CUT.until_s).contains(&head.at_s)));
    let (other_model, other_tuned, other_held) = learned(other_future.path());
    assert_ne!(held, other_held, "the two futures must differ, or this proves nothing");
    assert!(model == other_model && tuned == other_tuned, "what was learned depends on the test period");
    let (copy_model, copy_tuned, copy_held) = learned(with_copy.path());
    assert!(model == copy_model && tuned == copy_tuned, "what was learned depends on a hidden copy of the test period");
    assert_eq!(held, copy_held);
    let rows = |folder: &std::path::Path| evaluate(&options(folder), &Silent).unwrap().rows;
    assert_eq!(rows(plain.path()), rows(with_copy.path()));
}

#[test]
fn a_test_period_without_orders_is_refused_with_the_remedy() {
    let folder = folder(&Shop::new(seed()));
    let cut = Cut { from_s: LAST_S + DAY_S, until_s: LAST_S + 2 * DAY_S };
    let error = evaluate(&EvaluateOptions { cut, ..options(folder.path()) }, &Silent).unwrap_err().to_string();
    assert!(error.contains("--test-from") && error.contains("choose dates"), "{error}");
}
