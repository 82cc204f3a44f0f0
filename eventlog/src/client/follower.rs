//! Following a log: its snapshot, then every event after it, for ever.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::http::{Answer, ClientError, Http};
use crate::live::{LiveState, LiveUpdate, SnapshotHead, read_snapshot};
use crate::service::{END_OFFSET_HEADER, LOG_ID_HEADER, NEXT_OFFSET_HEADER};

/// How to follow.
#[derive(Clone, Debug)]
pub struct FollowerOptions {
    /// Where the event log is: `http://HOST:PORT`.
    pub url: String,
    /// How long one question may wait for news.
    pub wait: Duration,
    /// Beyond `wait`, an answer must be there within this.
    pub timeout: Duration,
    /// Events of one answer.
    pub limit: usize,
    /// Answers that may wait for whoever follows; then the log is not asked until there is room.
    pub queue: usize,
    /// The snapshot may be so large (compressed).
    pub max_snapshot_bytes: usize,
}

impl FollowerOptions {
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            wait: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            limit: 2_000,
            queue: 16,
            max_snapshot_bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}

/// What a follower is told.
#[derive(Debug)]
pub enum Follow {
    /// Start (again) from this state: at the beginning, and whenever the log no longer has what would come next.
    Snapshot { head: SnapshotHead, state: Box<LiveState> },
    /// What came next, in order without gaps (but for events that this version cannot read).
    Updates {
        /// May be empty, when all there is to say is that the end was reached.
        updates: Vec<LiveUpdate>,
        /// Where the log goes on.
        next: u64,
        /// The end of the log as it was then: the state is as fresh as the log.
        caught_up: bool,
    },
    /// The log cannot be reached. Said once, until it answers again; the follower keeps trying.
    Away { why: String },
}

/// Follows a log in a task of its own.
pub struct Follower {
    http: Http,
    options: FollowerOptions,
}

/// Where the follower stands.
pub(super) struct Place {
    pub log_id: String,
    pub next: u64,
    pub caught_up: bool,
}

enum Step {
    Go(Place),
    /// What would come next is gone.
    Again(String),
}

#[derive(Deserialize)]
struct OffsetOnly {
    offset: u64,
}

impl Follower {
    /// Starts on the current runtime, ends with `stop` or when the receiver is gone.
    pub fn start(options: FollowerOptions, stop: CancellationToken) -> Result<mpsc::Receiver<Follow>, ClientError> {
        let http = Http::new(&options.url)?;
        let (tell, told) = mpsc::channel(options.queue.max(1));
        let follower = Self { http, options };
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = follower.run(tell) => {}
            }
        });
        Ok(told)
    }

    /// Ends when nobody listens any more.
    async fn run(self, tell: mpsc::Sender<Follow>) {
        let mut place: Option<Place> = None;
        let mut attempt = 0;
        loop {
            let step = match place.take() {
                None => self.snapshot(&tell).await.map(|place| place.map(Step::Go)),
                Some(here) => self.poll(here, &tell, &mut place).await,
            };
            match step {
                Ok(Some(Step::Go(here))) => {
                    attempt = 0;
                    place = Some(here);
                }
                Ok(Some(Step::Again(why))) => {
                    tracing::warn!(why, "the log does not go on from here; a snapshot is taken again");
                    // A log that sends in circles must not be asked without a pause.
                    attempt += 1;
                    tokio::time::sleep(backoff(attempt)).await;
                }
                Ok(None) => return,
                Err(error) => {
                    if attempt == 0 && tell.send(Follow::Away { why: error.to_string() }).await.is_err() {
                        return;
                    }
                    attempt += 1;
                    tokio::time::sleep(backoff(attempt)).await;
                }
            }
        }
    }

    async fn snapshot(&self, tell: &mpsc::Sender<Follow>) -> Result<Option<Place>, ClientError> {
        // Large states take their time; a log that is away is noticed by the connection.
        let timeout = self.options.timeout.max(Duration::from_secs(120));
        let answer = self
            .http
            .call(Method::GET, "/v1/log/snapshot", &[], Bytes::new(), timeout, self.options.max_snapshot_bytes)
            .await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refusal());
        }
        let body = answer.body;
        let read = tokio::task::spawn_blocking(move || read_snapshot(&body[..], None)).await;
        let (head, state) = read
            .map_err(|error| ClientError::BadAnswer { why: error.to_string() })?
            .map_err(|error| ClientError::BadAnswer { why: error.to_string() })?;
        let place = Place { log_id: head.log_id.clone(), next: head.next_offset, caught_up: false };
        let told = tell.send(Follow::Snapshot { head, state: Box::new(state) }).await;
        Ok(told.is_ok().then_some(place))
    }

    /// One question. On an error, `kept` has the place to go on from.
    async fn poll(
        &self,
        here: Place,
        tell: &mpsc::Sender<Follow>,
        kept: &mut Option<Place>,
    ) -> Result<Option<Step>, ClientError> {
        match ask(&self.http, &self.options, &here).await {
            Ok(Asked::Again(why)) => Ok(Some(Step::Again(why))),
            Ok(Asked::News { updates, next, caught_up }) => {
                let is_news = !updates.is_empty() || here.caught_up != caught_up || next != here.next;
                let place = Place { log_id: here.log_id, next, caught_up };
                let told = !is_news || tell.send(Follow::Updates { updates, next, caught_up }).await.is_ok();
                Ok(told.then_some(Step::Go(place)))
            }
            Err(error) => {
                // Caught up or not is found out anew.
                *kept = Some(Place { caught_up: false, ..here });
                Err(error)
            }
        }
    }
}

/// What the log said when it was asked for more.
pub(super) enum Asked {
    News {
        updates: Vec<LiveUpdate>,
        next: u64,
        caught_up: bool,
    },
    /// What would come next is not there: forgotten, or another log.
    Again(String),
}

/// Asks for what comes next.
pub(super) async fn ask(http: &Http, options: &FollowerOptions, here: &Place) -> Result<Asked, ClientError> {
    // Until the end was reached, waiting would only delay saying so.
    let wait = if here.caught_up { options.wait } else { Duration::ZERO };
    let path = format!(
        "/v1/log/events?from={}&wait_ms={}&limit={}&log_id={}",
        here.next,
        wait.as_millis(),
        options.limit,
        here.log_id
    );
    let answer = http.call(Method::GET, &path, &[], Bytes::new(), wait + options.timeout, usize::MAX).await?;
    match answer.status {
        StatusCode::OK => {}
        StatusCode::GONE | StatusCode::RANGE_NOT_SATISFIABLE => return Ok(Asked::Again(answer.refusal().to_string())),
        _ => return Err(answer.refusal()),
    }
    if answer.header(LOG_ID_HEADER) != Some(here.log_id.as_str()) {
        return Ok(Asked::Again("it is another log".to_owned()));
    }
    let (next, end) = match (number(&answer, NEXT_OFFSET_HEADER), number(&answer, END_OFFSET_HEADER)) {
        (Some(next), Some(end)) if next >= here.next => (next, end),
        _ => return Err(ClientError::BadAnswer { why: "its offsets are missing or wrong".to_owned() }),
    };
    Ok(Asked::News { updates: parse(answer.body).await?, next, caught_up: next >= end })
}

fn number(answer: &Answer, header: &str) -> Option<u64> {
    answer.header(header)?.parse().ok()
}

/// Answers larger than this are parsed off the async threads.
const PARSE_INLINE_BYTES: usize = 64 * 1024;

async fn parse(body: Bytes) -> Result<Vec<LiveUpdate>, ClientError> {
    if body.len() <= PARSE_INLINE_BYTES {
        return lines(&body);
    }
    tokio::task::spawn_blocking(move || lines(&body))
        .await
        .map_err(|error| ClientError::BadAnswer { why: error.to_string() })?
}

fn lines(body: &[u8]) -> Result<Vec<LiveUpdate>, ClientError> {
    let mut updates = Vec::new();
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<LiveUpdate>(line) {
            Ok(update) => updates.push(update),
            // An event of a newer version is passed over; a broken answer is not.
            Err(error) => match serde_json::from_slice::<OffsetOnly>(line) {
                Ok(OffsetOnly { offset }) => {
                    tracing::warn!(offset, %error, "failed to read an event; it is passed over");
                }
                Err(error) => return Err(ClientError::BadAnswer { why: error.to_string() }),
            },
        }
    }
    Ok(updates)
}

/// 50 ms, doubling to 2 s, each cut by up to a half at random, so that many followers do not come back at the same moment.
pub(super) fn backoff(attempt: u32) -> Duration {
    let full =
        Duration::from_millis(50).saturating_mul(1 << attempt.saturating_sub(1).min(6)).min(Duration::from_secs(2));
    full.mul_f64(rand::random_range(0.5..=1.0))
}
