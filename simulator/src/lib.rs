//! A believable shop with a hidden truth: sales data to train on, and customers that shop live by the same truth.
//!
//! ```no_run
//! use endcap_simulator::{Preset, Truth, World, WorldSpec};
//! # fn main() -> Result<(), endcap_simulator::SimulatorError> {
//! let dir = std::path::Path::new("out");
//! let world = World::generate(&WorldSpec::new(Preset::GiftShop, 2_000, 1_500, 365, 7))?;
//! world.write(dir, &mut |_| {})?;
//! let judge = Truth::load(dir)?; // for tests and demos, never for training
//! println!("{:?}", judge.true_complements("10000A"));
//! # Ok(())
//! # }
//! ```
//!
//! # The model of the world
//!
//! **Products** stand in categories and subcategories; each is a *need* (a noun such as "Tea Cup") of a *range* (the brand) in a
//! variant. Prices are log-normal around the noun's, popularity is log-normal within the subcategory, a season multiplies it over the
//! year, a trend over the years. Some are launched or retired on the way; some cannot be delivered for a while.
//!
//! **Relations.** Complements are directed pairs with a strength: the probability that a buyer of the one takes the other too.
//! They follow the words only in part and popularity not at all. Substitutes are products of one need at a near price.
//!
//! **Customers** have a taste (a direction among the subcategories' and ranges' own), from it shares of need by subcategory and
//! favourite products, and habits: (product, interval, quantity). Tastes gather around segments that the profile (type, age)
//! tells of in three cases of four. Sensitivities to price, offers, seasons, complements and suggestions are each customer's own.
//!
//! **A visit** comes after a gamma-distributed gap. Its basket is drawn in this order: habits that are due; things out of need
//! (favourites, or the shelf by popularity, season, trend and taste); things of the month's flyer; things of the season; then,
//! for each of these, its complements; then what is near to an offer. Flyer and season are the confounders: they put popular
//! products together that have nothing to do with each other, so that plain counts of pairs mislead, and counts within a month do less.
//! What is out of stock is ordered nevertheless (backorder), replaced by a substitute, or left.
//!
//! **Reactions** to a suggestion: probability = (1 - the product over causes of (1 - cause)) x willingness of the placement x the
//! customer's openness x season x price, where the causes are need, habit (by how much of its interval has passed), complements
//! of the cart, and substitutes of what is looked at, each as far as the placement lets it count ([`truth::Pull`]). A quantity is
//! raised with the customer's offer sensitivity, the more readily the nearer it is. See [`Truth::acceptance`].
//!
//! # Randomness
//!
//! Every thing that is drawn has a `ChaCha8` stream of its own, named by (seed, purpose, number). Nothing reads a clock or a global
//! generator but [`live`], so the same spec gives the same bytes on any number of threads (for one platform's `exp` and `ln`).
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
