//! What a trained recommender *is*: domain types, artifact format, candidates, blend, offers, business rules.
//!
//! Pure: no I/O, no clock, no global random generator, no tokio, HTTP, Kubernetes, SQL or candle. Time and randomness are
//! arguments. `serving` asks it, `trainer` fills it, `eventlog` shares its domain types.
#![forbid(unsafe_code)]

pub mod amount;
pub mod artifact;
pub mod candidates;
pub mod fitted;
pub mod ids;
pub mod live;
pub mod offers;
pub mod pipeline;
pub mod policy;
pub mod profile;
pub mod ranking;
pub mod reach;
pub mod request;
pub mod response;
pub mod shelf;

pub use ids::{CustomerId, OfferId, ProductId, SessionId};
pub use policy::Policy;
pub use request::{Placement, RecommendationRequest};
pub use response::RecommendationResponse;
