//! Customers that shop live against a router, by the truth of their world.
//!
//! Open loop: visits begin at random moments at a set rate, whether or not earlier ones have ended, as real visitors do. A slow
//! server therefore shows as latency and as dropped visits, never as a lower rate.

mod client;
mod report;
mod visit;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand_distr::{Distribution, Exp};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use report::{Latency, LiveReport, Tally};

use crate::dice::{Stream, dice, pick_cumulative};
use crate::spec::TasteChange;
use crate::truth::{CustomerNo, ProductNo, Tastes};
use crate::{SimulatorError, World};
use client::Client;
use report::Recorder;

/// Some time after the start, a share of the customers has other tastes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveTasteChange {
    pub after: Duration,
    /// 0 to 1.
    pub share: f32,
    /// All of them come to like the same; else each something of their own.
    pub fashion: bool,
}

/// How the customers shop.
#[derive(Clone, Debug)]
pub struct LiveSpec {
    /// The router's address, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// Mean visits that begin in a second. A visit asks for recommendations about five times.
    pub visits_per_s: f64,
    /// Stop beginning visits after so many; none: only `duration` ends it.
    pub visits: Option<u64>,
    /// Stop beginning visits after so long; none: only `visits` or the cancellation ends it.
    pub duration: Option<Duration>,
    pub seed: u64,
    pub taste_change: Option<LiveTasteChange>,
    /// Mean pause between two steps of a visit (exponential).
    pub think_time: Duration,
    /// Visits at once; one that would be beyond is dropped and counted.
    pub max_visits_in_flight: usize,
    /// Limit of every HTTP call.
    pub request_timeout: Duration,
    /// How often a batch of events is sent before it is given up.
    pub event_attempts: u32,
    /// Share of visits by people who are not logged in.
    pub stranger_share: f32,
    /// The shop's time at the start; requests and events then carry their moment. None: now, and they carry none.
    pub at: Option<Timestamp>,
    /// Whether the warehouse fills up again what was bought, as a shop's does overnight: in minutes customers buy what weeks would.
    pub restock: bool,
    /// Prefix of session, event and order ids: another run needs another one, or its events are duplicates.
    pub run_id: String,
}

impl LiveSpec {
    /// Two visits a second until cancelled.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            visits_per_s: 2.0,
            visits: None,
            duration: None,
            seed: 1,
            taste_change: None,
            think_time: Duration::from_millis(200),
            max_visits_in_flight: 1_024,
            request_timeout: Duration::from_secs(2),
            event_attempts: 4,
            stranger_share: 0.1,
            at: None,
            restock: false,
            run_id: uuid::Uuid::now_v7().simple().to_string(),
        }
    }

    fn validate(&self) -> Result<Url, SimulatorError> {
        let bad = |field, value: String, expected| Err(SimulatorError::BadLive { field, value, expected });
        let url = match Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => return bad("url", self.url.clone(), "an address such as http://127.0.0.1:8080"),
        };
        if !(self.visits_per_s > 0.0 && self.visits_per_s <= 100_000.0) {
            return bad("visits_per_s", self.visits_per_s.to_string(), "above 0, at most 100000");
        }
        if self.max_visits_in_flight == 0 || self.max_visits_in_flight > 1_000_000 {
            return bad("max_visits_in_flight", self.max_visits_in_flight.to_string(), "1 to 1000000");
        }
        if !(0.0..=1.0).contains(&self.stranger_share) {
            return bad("stranger_share", self.stranger_share.to_string(), "0 to 1");
        }
        match self.taste_change {
            Some(change) if !(0.0..=1.0).contains(&change.share) => {
                bad("taste_change.share", change.share.to_string(), "0 to 1")
            }
            _ => Ok(url),
        }
    }
}

/// What the visits of one run share.
struct Run {
    world: Arc<World>,
    spec: LiveSpec,
    client: Client,
    recorder: Recorder,
    began: Instant,
    /// The shop's seconds since 1970 at the start.
    began_s: i64,
    /// Customers still with the shop, by how often they come.
    regulars: Vec<CustomerNo>,
    cumulative: Vec<f32>,
    /// Day on which a habit was last served. Bounded by the number of habits.
    last_bought: Mutex<HashMap<(CustomerNo, ProductNo), f64>>,
    /// Bought since the warehouse filled up last.
    sold: Mutex<BTreeSet<ProductNo>>,
}

impl Run {
    /// Seconds since 1970 in the shop's time.
    fn now_s(&self) -> i64 {
        self.began_s + self.began.elapsed().as_secs() as i64
    }

    /// Other tastes, if this customer has them by now: since the history's own change, or since this run's.
    fn changed(&self, customer: CustomerNo) -> Option<Tastes<ProductNo>> {
        let truth = &self.world.truth;
        let day = truth.spec.day_at(self.now_s());
        let of_history = truth
            .spec
            .taste_change
            .is_some_and(|change| day >= f64::from(change.day) && truth.changes_taste(customer, &change));
        let of_run = self.spec.taste_change.filter(|change| {
            self.began.elapsed() >= change.after
                && truth.changes_taste(customer, &TasteChange { day: 0, share: change.share })
        });
        match of_run {
            Some(change) if change.fashion => Some(truth.fashionable_tastes()),
            Some(_) => truth.changed_tastes(customer),
            None => of_history.then(|| truth.changed_tastes(customer)).flatten(),
        }
    }

    fn last_bought(&self, customer: CustomerNo, product: ProductNo) -> Option<f64> {
        self.last_bought.lock().unwrap_or_else(PoisonError::into_inner).get(&(customer, product)).copied()
    }

    fn pick_customer(&self, dice: &mut crate::dice::Dice) -> CustomerNo {
        pick_cumulative(dice, &self.cumulative).and_then(|at| self.regulars.get(at)).copied().unwrap_or(0)
    }
}

/// Lets customers shop until the spec's end or the cancellation, and says what became of it. `watch` gets the report about once a
/// second. Errors of single calls are counted in the report; the run itself fails only on a spec that makes no sense.
pub async fn run(
    world: Arc<World>,
    spec: LiveSpec,
    cancel: CancellationToken,
    watch: Option<watch::Sender<LiveReport>>,
) -> Result<LiveReport, SimulatorError> {
    let url = spec.validate()?;
    let client = Client::new(&url, spec.request_timeout, spec.event_attempts)?;
    let days = world.truth.spec.days as f32;
    let staying = |(_, customer): &(usize, &crate::truth::CustomerTruth<ProductNo>)| {
        customer.left_day > days && customer.joined_day < days
    };
    let regulars: Vec<(CustomerNo, f32)> = world
        .truth
        .customers
        .iter()
        .enumerate()
        .filter(staying)
        .map(|(no, customer)| (no as CustomerNo, 1.0 / customer.visit_interval_days.max(0.5)))
        .collect();
    let mut sum = 0.0;
    let cumulative = regulars.iter().map(|(_, weight)| {
        sum += weight;
        sum
    });
    let run = Arc::new(Run {
        cumulative: cumulative.collect(),
        regulars: regulars.into_iter().map(|(no, _)| no).collect(),
        world,
        client,
        recorder: Recorder::default(),
        began: Instant::now(),
        began_s: spec.at.unwrap_or_else(Timestamp::now).as_second(),
        last_bought: Mutex::new(HashMap::new()),
        sold: Mutex::default(),
        spec,
    });
    tracing::info!(url = %run.spec.url, visits_per_s = run.spec.visits_per_s, "customers begin to shop");
    let warehouse = run.spec.restock.then(|| tokio::spawn(fill_up(Arc::clone(&run), cancel.clone())));
    let mut visits = JoinSet::new();
    arrivals(&run, &mut visits, &cancel, watch.as_ref()).await?;
    // Those who are still in the shop may finish, unless the shop is told to close.
    while !visits.is_empty() {
        tokio::select! {
            () = cancel.cancelled() => break,
            _ = visits.join_next() => {}
        }
    }
    visits.shutdown().await;
    if let Some(warehouse) = warehouse {
        warehouse.abort();
    }
    let report = run.recorder.report(run.began.elapsed());
    if let Some(watch) = watch {
        watch.send_replace(report.clone());
    }
    tracing::info!(visits = report.visits_finished, orders = report.orders, "customers have gone");
    Ok(report)
}

/// How often the warehouse looks, and how much of a product it has then.
const FILL_UP_EVERY: Duration = Duration::from_secs(2);
const FULL: u32 = 1_000;

/// Fills up what was bought, except what the world says is out of stock now.
async fn fill_up(run: Arc<Run>, cancel: CancellationToken) {
    let mut number = 0_u64;
    while cancel.run_until_cancelled(tokio::time::sleep(FILL_UP_EVERY)).await.is_some() {
        let sold = std::mem::take(&mut *run.sold.lock().unwrap_or_else(PoisonError::into_inner));
        let truth = &run.world.truth;
        let day = truth.spec.day_at(run.now_s());
        let there = sold.into_iter().filter(|no| truth.product(*no).is_some_and(|product| !product.out_of_stock(day)));
        let events: Vec<serde_json::Value> = there
            .filter_map(|no| {
                number += 1;
                let id = format!("{}-stock-{number}", run.spec.run_id);
                let product = truth.id(no)?;
                Some(serde_json::json!({"event_id": id, "type": "stock_changed", "product_id": product, "stock": {"on_hand": FULL}}))
            })
            .collect();
        for some in events.chunks(200) {
            let (took, outcome) = run.client.send(some).await;
            run.recorder.events(took, some.len() as u64, outcome);
        }
    }
}

async fn arrivals(
    run: &Arc<Run>,
    visits: &mut JoinSet<()>,
    cancel: &CancellationToken,
    watch: Option<&watch::Sender<LiveReport>>,
) -> Result<(), SimulatorError> {
    let spec = &run.spec;
    let between = Exp::new(spec.visits_per_s).map_err(|_| SimulatorError::BadLive {
        field: "visits_per_s",
        value: spec.visits_per_s.to_string(),
        expected: "above 0",
    })?;
    let mut roll = dice(spec.seed, Stream::Arrivals, 0);
    let seats = Arc::new(Semaphore::new(spec.max_visits_in_flight));
    let end = spec.duration.and_then(|duration| run.began.checked_add(duration));
    let mut next = run.began;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut no = 0;
    loop {
        if spec.visits.is_some_and(|most| no >= most) {
            return Ok(());
        }
        next += Duration::from_secs_f64(between.sample(&mut roll));
        if end.is_some_and(|end| next >= end) {
            return Ok(());
        }
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(next) => break,
                _ = visits.join_next(), if !visits.is_empty() => {}
                _ = tick.tick() => {
                    if let Some(watch) = watch {
                        watch.send_replace(run.recorder.report(run.began.elapsed()));
                    }
                }
            }
        }
        run.recorder.visit_started();
        if let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
            let (run, cancel) = (Arc::clone(run), cancel.clone());
            visits.spawn(async move {
                if cancel.run_until_cancelled(visit::visit(&run, no)).await.is_some() {
                    run.recorder.visit_finished();
                }
                drop(seat);
            });
        } else {
            run.recorder.visit_dropped();
        }
        no += 1;
    }
}
