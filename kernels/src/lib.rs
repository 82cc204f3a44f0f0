//! Hot loops that know nothing of recommendation. Plain safe Rust so far: vectorised twins come with the learned models.
#![forbid(unsafe_code)]

mod topk;

pub use topk::TopK;
