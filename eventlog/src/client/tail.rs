//! Reading a log's events, whole and in order, from a place of one's own: for those who fold the events themselves and keep what
//! they folded. Who wants the live state uses [`super::Follower`].

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::follower::{Asked, FollowerOptions, Place, ask, backoff};
use super::http::{ClientError, Http};
use crate::live::LiveUpdate;

/// A place in a log: offsets of another log mean something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailPlace {
    pub log_id: String,
    /// The first offset that was not read yet.
    pub next: u64,
}

/// What a reader is told.
#[derive(Debug)]
pub enum Tail {
    /// The events that follow come from here: said once before the first ones, and whenever the log does not go on from where the
    /// reader stood. Compared with its own place the reader sees whether it is another log, one that was put back (a smaller offset),
    /// or one that forgot events in between (a larger one).
    Begin(TailPlace),
    /// What came next, in order without gaps (but for events that this version cannot read).
    Updates {
        /// May be empty, when all there is to say is that the end was reached.
        updates: Vec<LiveUpdate>,
        /// Where the log goes on.
        next: u64,
        /// The end of the log as it was then.
        caught_up: bool,
    },
    /// The log cannot be reached. Said once, until it answers again; the reader keeps trying.
    Away { why: String },
}

/// The part of the log's status that is needed to begin.
#[derive(Deserialize)]
struct Status {
    log_id: String,
    first_offset: u64,
    next_offset: u64,
}

/// Reads a log in a task of its own.
pub struct EventTail {
    http: Http,
    options: FollowerOptions,
    from: Option<TailPlace>,
}

impl EventTail {
    /// Starts on the current runtime, ends with `stop` or when the receiver is gone. `from`: where the reader stands; the oldest event
    /// that the log has when none.
    pub fn start(
        options: FollowerOptions,
        from: Option<TailPlace>,
        stop: CancellationToken,
    ) -> Result<mpsc::Receiver<Tail>, ClientError> {
        let http = Http::new(&options.url)?;
        let (tell, told) = mpsc::channel(options.queue.max(1));
        let tail = Self { http, options, from };
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tail.run(tell) => {}
            }
        });
        Ok(told)
    }

    /// Ends when nobody listens any more.
    async fn run(self, tell: mpsc::Sender<Tail>) {
        let mut wanted = self.from.clone();
        let mut place: Option<Place> = None;
        let mut attempt = 0_u32;
        loop {
            let step = match &place {
                None => self.begin(wanted.as_ref(), &tell).await.map(|begun| begun.map(Some)),
                Some(here) => self.more(here, &tell).await,
            };
            match step {
                Ok(Some(Some(here))) => {
                    attempt = 0;
                    wanted = Some(TailPlace { log_id: here.log_id.clone(), next: here.next });
                    place = Some(here);
                }
                Ok(Some(None)) => {
                    place = None;
                    // A log that sends in circles must not be asked without a pause.
                    attempt += 1;
                    tokio::time::sleep(backoff(attempt)).await;
                }
                Ok(None) => return,
                Err(error) => {
                    if attempt == 0 && tell.send(Tail::Away { why: error.to_string() }).await.is_err() {
                        return;
                    }
                    attempt += 1;
                    // Caught up or not is found out anew.
                    place = place.map(|here| Place { caught_up: false, ..here });
                    tokio::time::sleep(backoff(attempt)).await;
                }
            }
        }
    }

    /// Where the log can be read from: the wanted place where it still is one, else the oldest event.
    async fn begin(&self, wanted: Option<&TailPlace>, tell: &mpsc::Sender<Tail>) -> Result<Option<Place>, ClientError> {
        let timeout = self.options.timeout.max(Duration::from_secs(1));
        let answer = self.http.call(Method::GET, "/v1/log/status", &[], Bytes::new(), timeout, 1024 * 1024).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refusal());
        }
        let status: Status = serde_json::from_slice(&answer.body)
            .map_err(|error| ClientError::BadAnswer { why: format!("its status: {error}") })?;
        let next = wanted
            .filter(|wanted| wanted.log_id == status.log_id)
            .filter(|wanted| (status.first_offset..=status.next_offset).contains(&wanted.next))
            .map_or(status.first_offset, |wanted| wanted.next);
        let begun = Tail::Begin(TailPlace { log_id: status.log_id.clone(), next });
        let told = tell.send(begun).await;
        Ok(told.is_ok().then_some(Place { log_id: status.log_id, next, caught_up: false }))
    }

    /// Asks for more. `Some(None)`: the log does not go on from here.
    async fn more(&self, here: &Place, tell: &mpsc::Sender<Tail>) -> Result<Option<Option<Place>>, ClientError> {
        match ask(&self.http, &self.options, here).await? {
            Asked::Again(why) => {
                tracing::warn!(why, "the log does not go on from here; its oldest event is asked for");
                Ok(Some(None))
            }
            Asked::News { updates, next, caught_up } => {
                let is_news = !updates.is_empty() || here.caught_up != caught_up || next != here.next;
                let place = Place { log_id: here.log_id.clone(), next, caught_up };
                let told = !is_news || tell.send(Tail::Updates { updates, next, caught_up }).await.is_ok();
                Ok(told.then_some(Some(place)))
            }
        }
    }
}
