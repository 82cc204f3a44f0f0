//! How insights does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;

use super::App;
use super::types::{BoundsStatus, CountsStatus, KeptStatus, SizeStatus, Status};

pub async fn status(State(app): State<Arc<App>>) -> Json<Status> {
    Json(of(&app))
}

pub fn of(app: &App) -> Status {
    let progress = &app.folded.progress;
    let caught_up = progress.caught_up.load(Ordering::Acquire);
    let table = app.tables.current();
    let version = app.shop.version();
    let kept_ms = progress.kept_ms.load(Ordering::Acquire);
    let log_id = app.folded.log_id();
    app.folded.with(|state| {
        let counts = state.counts;
        let lag_s = (Timestamp::now().as_second() - state.clock_s()).max(0) as f64;
        let experiments = &state.experiments;
        Status {
            model: table.as_ref().map(|in_effect| format!("{}/{}", in_effect.table.namespace, in_effect.table.model)),
            log_id,
            offset: state.next_offset(),
            following: progress.following.load(Ordering::Acquire),
            caught_up,
            lag_s: if caught_up { 0.0 } else { lag_s },
            table_revision: table.as_ref().map(|in_effect| in_effect.table.revision),
            table_hash: table.as_ref().map(|in_effect| in_effect.hash.clone()),
            version: version.as_ref().map(|version| version.name.clone()),
            has_reference: version.is_some_and(|version| version.reference.is_some()),
            attribution_s: state.limits.attribution_ms as f64 / 1_000.0,
            kept: KeptStatus {
                at: (kept_ms > 0).then(|| super::time_ms(kept_ms)),
                offset: progress.kept_offset.load(Ordering::Acquire),
                bytes: progress.kept_bytes.load(Ordering::Acquire),
                failures: progress.keep_failures.load(Ordering::Acquire),
            },
            counts: CountsStatus {
                events: counts.events,
                lists: counts.lists,
                unkeyed_lists: counts.unkeyed_lists,
                repeated_lists: counts.repeated_lists,
                purchases: counts.purchases,
                repeated_purchases: counts.repeated_purchases,
                without_list: counts.without_list,
                lines_without_price: counts.lines_without_price,
            },
            bounds: BoundsStatus {
                lists: state.ledger.bounds.lists,
                actions: state.ledger.bounds.actions,
                experiment_units: experiments.iter().map(|experiment| experiment.no_room).sum(),
                experiments: experiments.dropped,
                slices: counts.slices_full,
                stretches: state.cells.evicted + state.orders.evicted,
                too_old: state.cells.too_old + state.orders.too_old,
                missed_events: counts.missed_events,
            },
            size: SizeStatus {
                lists: state.ledger.lists(),
                units: state.ledger.units(),
                cells: state.cells.len() + state.orders.len(),
                slices: state.slices(),
                experiment_units: experiments.iter().map(|experiment| experiment.units.len()).sum(),
            },
            experiments: experiments.iter().map(|experiment| experiment.name.clone()).collect(),
            started_at: app.started,
        }
    })
}
