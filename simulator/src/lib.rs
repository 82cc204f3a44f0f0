//! A believable shop with a hidden truth.
#![forbid(unsafe_code)]

mod basket;
mod browsing;
mod catalogue;
mod dice;
mod error;
mod history;
pub mod live;
mod market;
mod offers;
mod people;
mod places;
mod planted;
mod relations;
mod shelf;
pub mod shopper;
mod spec;
mod stock;
pub mod truth;
mod words;
mod world;
mod write;

pub use error::SimulatorError;
pub use shopper::{Reaction, Shopper, Suggestion};
pub use spec::{Preset, TasteChange, WorldSpec};
pub use truth::Truth;
pub use words::Season;
pub use world::{Progress, World};
