//! The compute pool: a few threads, each with its own work space, fed by one bounded queue. Scoring never runs on async threads.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use endcap_recommender::candidates::Scratch;
use tokio::sync::oneshot;

/// The queue is full: the asker should come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct QueueFull;

/// Why a job brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("the deadline passed while the question waited")]
    Expired,
    #[error("scoring failed")]
    Failed,
}

type Run = Box<dyn FnOnce(Option<&mut Scratch>) + Send>;

struct Job {
    deadline: Instant,
    /// Given no work space, it only tells that it expired.
    run: Run,
}

struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    limit: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// Starts `threads` threads; `limit` is how many jobs may wait. The threads end when the pool is dropped.
    pub fn start(threads: usize, limit: usize) -> std::io::Result<Self> {
        let queue = Mutex::new(Queue { jobs: VecDeque::with_capacity(limit), closed: false });
        let shared = Arc::new(Shared { queue, wake: Condvar::new(), limit });
        for number in 0..threads.max(1) {
            let shared = shared.clone();
            std::thread::Builder::new().name(format!("score-{number}")).spawn(move || work(&shared))?;
        }
        Ok(Self { shared })
    }

    /// Queues `f`. Its result comes through the receiver; a job whose deadline has passed when its turn comes is not run.
    pub fn submit<T: Send + 'static>(
        &self,
        deadline: Instant,
        f: impl FnOnce(&mut Scratch) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, NoAnswer>>, QueueFull> {
        let (answer, receiver) = oneshot::channel();
        let run = Box::new(move |scratch: Option<&mut Scratch>| {
            // Nobody waits any more: the work would be for nothing.
            if answer.is_closed() {
                return;
            }
            let result = match scratch {
                None => Err(NoAnswer::Expired),
                Some(scratch) => catch_unwind(AssertUnwindSafe(|| f(scratch))).map_err(|_| NoAnswer::Failed),
            };
            let _ = answer.send(result);
        });
        let mut queue = self.shared.lock();
        if queue.jobs.len() >= self.shared.limit {
            return Err(QueueFull);
        }
        queue.jobs.push_back(Job { deadline, run });
        drop(queue);
        self.shared.wake.notify_one();
        Ok(receiver)
    }

    /// Jobs that wait.
    pub fn waiting(&self) -> usize {
        self.shared.lock().jobs.len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

fn work(shared: &Shared) {
    let mut scratch = Scratch::default();
    loop {
        let mut queue = shared.lock();
        let job = loop {
            if let Some(job) = queue.jobs.pop_front() {
                break job;
            }
            if queue.closed {
                return;
            }
            queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        };
        drop(queue);
        let in_time = Instant::now() < job.deadline;
        (job.run)(in_time.then_some(&mut scratch));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_late_jobs_are_not_run() {
        let pool = Pool::start(1, 2).unwrap();
        let (open, gate) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel::<()>();
        let later = Instant::now() + Duration::from_mins(1);
        let first = pool
            .submit(later, move |_| {
                started.send(()).unwrap();
                gate.recv().unwrap();
                1
            })
            .unwrap();
        has_started.recv().unwrap();
        let late = pool.submit(Instant::now(), |_| 2).unwrap();
        let second = pool.submit(later, |_| 3).unwrap();
        assert_eq!(pool.submit(later, |_| 4).map(|_| ()), Err(QueueFull));
        assert_eq!(pool.waiting(), 2);
        open.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(1));
        assert_eq!(late.await.unwrap(), Err(NoAnswer::Expired));
        assert_eq!(second.await.unwrap(), Ok(3));
        let broken = pool.submit(later, |_| panic!("a bug")).unwrap();
        assert_eq!(broken.await.unwrap(), Err::<(), _>(NoAnswer::Failed));
        assert_eq!(pool.submit(later, |_| 5).unwrap().await.unwrap(), Ok(5));
    }
}
