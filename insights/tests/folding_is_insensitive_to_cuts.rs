//! Folding: the same state however events are cut into batches, wherever it was kept and read again; and exact counts of examples.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use endcap_eventlog::live::LiveUpdate;
use endcap_insights::fold::{Cell, Grain, Limits, State};
use endcap_insights::keep::Keeper;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A fixed Monday, 2026-03-02T00:00:00Z, in seconds.
const START: i64 = 1_772_409_600;

fn at(seconds: i64) -> String {
    jiff::Timestamp::from_second(START + seconds).unwrap().to_string()
}

fn update(offset: u64, accepted_s: i64, event: Value) -> LiveUpdate {
    LiveUpdate { offset, accepted_ms: (START + accepted_s) * 1_000, event: serde_json::from_value(event).unwrap() }
}

fn items(products: &[&str]) -> Value {
    let item =
        |product: &&str| json!({"product_id": product, "rank": 1, "kind": "popular", "score": 0.25, "propensity": 1.0});
    products.iter().map(item).collect()
}

fn shown(id: &str, who: &str, seconds: i64, arm: &str, products: &[&str]) -> Value {
    json!({"event_id": id, "type": "recommendation_shown", "customer_id": who, "request_id": id, "at": at(seconds),
        "exposure": {"model": "m", "version": "m-v1", "arm": arm, "experiment": "exp", "items": items(products)}})
}

fn click(id: &str, who: &str, seconds: i64, product: &str) -> Value {
    json!({"event_id": id, "type": "select_item", "customer_id": who, "at": at(seconds), "product_id": product})
}

/// Folds events one second after another.
fn fold(events: &[Value]) -> State {
    let mut state = State::new(Limits::default());
    for (offset, event) in events.iter().enumerate() {
        state.apply(&update(offset as u64, 100_000 + offset as i64, event.clone()));
    }
    state
}

fn all(state: &State) -> Cell {
    let mut all = Cell::default();
    for (_, _, cell) in state.cells.between(Grain::Day, START - 86_400, START + 30 * 86_400) {
        all.merge(cell);
    }
    all
}

/// Clicks of each minute that had a list, in order.
fn clicks_by_minute(state: &State) -> Vec<(i64, i64)> {
    let minutes = state.cells.between(Grain::Minute, START - 86_400, START + 30 * 86_400);
    minutes.map(|(start, _, cell)| ((start - START) / 60, cell.totals.clicks)).collect()
}

#[test]
fn a_click_counts_to_the_last_list_that_showed_the_product() {
    let state = fold(&[
        shown("r1", "c", 80_000, "a", &["A", "B"]),
        shown("r2", "c", 80_060, "a", &["A"]),
        shown("r3", "c", 80_120, "a", &["B"]),
        shown("r4", "d", 80_180, "a", &["A"]),
        click("k1", "c", 80_200, "A"),
        // Nobody showed C; nothing was shown to e; before any list.
        click("k2", "c", 80_200, "C"),
        click("k3", "e", 80_200, "A"),
        click("k4", "c", 79_000, "A"),
    ]);
    let minute = 80_000 / 60;
    assert_eq!(clicks_by_minute(&state), [(minute, 0), (minute + 1, 1), (minute + 2, 0), (minute + 3, 0)]);
    let totals = all(&state).totals;
    assert_eq!((totals.clicks, totals.clicked_lists, state.counts.without_list), (1, 1, 3));
}

#[test]
fn the_same_click_or_order_line_counts_once_and_two_products_twice() {
    let order = |id: &str, order: &str| {
        json!({"event_id": id, "type": "purchase", "customer_id": "c", "order_id": order, "at": at(90_000), "lines": [
            {"product_id": "A", "quantity": 2, "unit_price": "1.10"}, {"product_id": "A", "quantity": 1, "unit_price": "1.00"},
            {"product_id": "Z", "quantity": 9, "unit_price": "9.99"}]})
    };
    let state = fold(&[
        shown("r1", "c", 80_000, "a", &["A", "B"]),
        click("k1", "c", 80_100, "A"),
        click("k2", "c", 80_101, "A"),
        click("k3", "c", 80_102, "B"),
        order("o1", "order-1"),
        // Sent again under another event id; and another order.
        order("o2", "order-1"),
        order("o3", "order-2"),
    ]);
    let totals = all(&state).totals;
    assert_eq!((totals.clicks, totals.clicked_lists), (2, 1));
    assert_eq!((totals.conversions, totals.converted_lists, totals.revenue), (2, 1, 64_000));
    assert_eq!((state.counts.purchases, state.counts.repeated_purchases), (3, 1));
    let experiment = state.experiments.get("exp").unwrap();
    let sums = experiment.units.values().next().unwrap();
    assert_eq!((sums.lists, sums.clicked, sums.conversions, sums.revenue), (1, 1, 2, 64_000));
}

#[test]
fn the_window_ends_where_it_is_said() {
    let day = 86_400;
    let state = fold(&[
        shown("r1", "c", 0, "a", &["A"]),
        shown("r2", "d", 0, "a", &["A"]),
        click("k1", "c", day, "A"),
        click("k2", "d", day + 1, "A"),
    ]);
    assert_eq!(all(&state).totals.clicked_lists, 1);
    assert_eq!(state.counts.without_list, 1);
}

#[test]
fn an_outcome_that_comes_before_its_list_finds_it_and_a_list_in_between_takes_it_over() {
    let named = json!({"event_id": "k0", "type": "select_item", "session_id": "other", "request_id": "r1", "at": at(80_300),
        "product_id": "A"});
    let state = fold(&[
        click("k1", "c", 80_500, "A"),
        named,
        shown("r1", "c", 80_000, "a", &["A"]),
        shown("r2", "c", 80_400, "a", &["A"]),
    ]);
    // The named one stays with r1; the other one went from r1 to r2.
    let minute = |seconds: i64| seconds / 60;
    assert_eq!(clicks_by_minute(&state), [(minute(80_000), 1), (minute(80_400), 1)]);
    assert_eq!(all(&state).totals.clicked_lists, 2);
    let in_order = fold(&[
        shown("r1", "c", 80_000, "a", &["A"]),
        shown("r2", "c", 80_400, "a", &["A"]),
        click("k1", "c", 80_500, "A"),
    ]);
    assert_eq!(clicks_by_minute(&in_order), [(minute(80_000), 0), (minute(80_400), 1)]);
}

#[test]
fn late_events_go_to_their_own_minute_and_units_stay_in_their_first_arm() {
    let state = fold(&[
        shown("r1", "c", 99_000, "a", &["A"]),
        shown("r2", "c", 81_000, "a", &["A"]),
        shown("r3", "c", 99_001, "b", &["A"]),
        shown("r1", "c", 99_000, "a", &["A"]),
    ]);
    assert_eq!(clicks_by_minute(&state).iter().map(|(minute, _)| *minute).collect::<Vec<_>>(), [1_350, 1_650, 1_650]);
    let experiment = state.experiments.get("exp").unwrap();
    assert_eq!((experiment.units.len(), experiment.crossed), (1, 1));
    assert_eq!(experiment.units.values().next().unwrap().lists, 2);
    assert_eq!(state.counts.repeated_lists, 1);
}

#[test]
fn bounds_are_kept_and_counted() {
    let limits = Limits { lists: 64, unit_lists: 4, unit_actions: 4, experiment_units: 10, ..Limits::default() };
    let mut state = State::new(limits);
    for number in 0..200_u64 {
        let event = shown(&format!("r{number}"), &format!("c{}", number % 50), 80_000 + number as i64, "a", &["A"]);
        state.apply(&update(2 * number, 100_000, event));
        state.apply(&update(2 * number + 1, 100_000, click(&format!("k{number}"), "nobody", 80_000, "A")));
    }
    assert!(state.ledger.lists() <= 64);
    assert!(state.ledger.bounds.lists >= 136);
    assert_eq!(state.ledger.bounds.actions, 196);
    let experiment = state.experiments.get("exp").unwrap();
    assert_eq!((experiment.units.len(), experiment.no_room), (10, 160));
    assert_eq!(all(&state).lists, 200);
}

fn any_event() -> impl Strategy<Value = (i64, Value)> {
    let who = prop::sample::select(vec!["c1", "c2", "c3", "c4"]);
    let product = prop::sample::select(vec!["A", "B", "C", "D"]);
    let request = 0..30_u32;
    // From before the window to a little in the future.
    let moment = -100_000..100_000_i64;
    (0..8_u8, who, product, request, moment, 0..4_000_i64).prop_map(|(kind, who, product, request, moment, step)| {
        let request = format!("r{request}");
        let id = format!("{request}-{who}-{product}-{moment}-{kind}");
        let event = match kind {
            0..=2 => shown(&request, who, moment, if kind == 0 { "a" } else { "b" }, &[product, "A"]),
            3 | 4 => click(&id, who, moment, product),
            5 => json!({"event_id": id, "type": "recommendation_accepted", "customer_id": who, "request_id": request,
                "at": at(moment), "product_id": product}),
            6 => json!({"event_id": id, "type": "purchase", "customer_id": who, "at": at(moment), "order_id": request,
                "lines": [{"product_id": product, "quantity": 2, "unit_price": "1.25"}]}),
            _ => json!({"event_id": id, "type": "customer_changed", "customer_id": who, "customer": {"erase": true}}),
        };
        (step, event)
    })
}

/// `make soak` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// A snapshot anywhere, read back, and what comes again after it: the state of an undisturbed fold.
    #[test]
    fn a_restart_anywhere_changes_nothing(events in prop::collection::vec(any_event(), 1..300), cuts in prop::collection::vec(0..300_usize, 0..4), overlap in 0..20_usize) {
        // Offsets near a sweep, so that it runs in the middle.
        let first = 4_096 - 100;
        let limits = Limits { lists: 40, unit_lists: 8, unit_actions: 6, experiment_units: 3, ..Limits::default() };
        let mut clock = 0;
        let updates: Vec<LiveUpdate> = events.into_iter().enumerate().map(|(at, (step, event))| {
            clock += step;
            update(first + at as u64, clock, event)
        }).collect();
        let mut whole = State::new(limits);
        for update in &updates {
            whole.apply(update);
        }
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::open(folder.path()).unwrap();
        let mut cut = State::new(limits);
        let mut from = 0;
        let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(updates.len())).collect();
        cuts.sort_unstable();
        cuts.push(updates.len());
        for to in cuts {
            // What was folded before comes again and is passed over.
            for update in updates.get(from..to).unwrap() {
                cut.apply(update);
            }
            keeper.write(&cut, "log").unwrap();
            let (read, place) = keeper.read(&limits).unwrap();
            prop_assert_eq!(&read, &cut);
            prop_assert_eq!((place.log_id.as_str(), place.next), ("log", cut.next_offset()));
            cut = read;
            from = to.saturating_sub(overlap);
        }
        prop_assert_eq!(&cut, &whole);
        // Rates are rates, whatever came.
        let all = all(&whole);
        let lists = all.lists as i64;
        for part in [all.totals.clicked_lists, all.totals.accepted_lists, all.totals.converted_lists] {
            prop_assert!((0..=lists).contains(&part));
        }
    }
}

#[test]
fn a_kept_state_that_is_damaged_or_of_other_limits_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path()).unwrap();
    let state = fold(&[shown("r1", "c", 80_000, "a", &["A"])]);
    assert!(keeper.read(&Limits::default()).is_none());
    keeper.write(&state, "log").unwrap();
    assert!(keeper.read(&Limits { lists: 7, ..Limits::default() }).is_none());
    assert_eq!(keeper.read(&Limits::default()).unwrap().0, state);
    let file = folder.path().join("insights.json.zst");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert!(keeper.read(&Limits::default()).is_none());
}
