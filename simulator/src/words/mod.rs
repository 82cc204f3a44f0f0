//! The words that products are named with, and what is plain about them: where a thing belongs, what it costs, what it is used with.

mod giftshop;
mod grocery;

use serde::{Deserialize, Serialize};

use crate::spec::Preset;

/// When a thing sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Season {
    AllYear,
    Christmas,
    Valentine,
    Easter,
    Summer,
    School,
    Halloween,
    Winter,
}

impl Season {
    pub const SEASONAL: [Self; 7] =
        [Self::Christmas, Self::Valentine, Self::Easter, Self::Summer, Self::School, Self::Halloween, Self::Winter];

    /// (peak as day of the year, width in days, factor at the peak, factor far from it).
    const fn shape(self) -> (f32, f32, f32, f32) {
        match self {
            Self::AllYear => (330.0, 25.0, 1.25, 1.0),
            Self::Christmas => (328.0, 22.0, 5.5, 0.05),
            Self::Valentine => (38.0, 11.0, 5.0, 0.15),
            Self::Easter => (92.0, 13.0, 5.0, 0.10),
            Self::Summer => (172.0, 42.0, 2.8, 0.25),
            Self::School => (240.0, 15.0, 3.5, 0.35),
            Self::Halloween => (293.0, 11.0, 6.0, 0.05),
            Self::Winter => (15.0, 50.0, 2.2, 0.35),
        }
    }

    /// How many times its yearly base a thing of this season sells on a day of the year (a bell over the year's circle).
    pub fn factor(self, day_of_year: f32) -> f32 {
        let (peak, width, high, low) = self.shape();
        let apart = (day_of_year - peak).rem_euclid(365.25);
        let apart = apart.min(365.25 - apart) / width;
        low + (high - low) * (-0.5 * apart * apart).exp()
    }

    /// Whether the season is on: people then buy its things because of the season.
    pub fn is_on(self, day_of_year: f32) -> bool {
        let (_, _, high, low) = self.shape();
        self != Self::AllYear && self.factor(day_of_year) > low + 0.4 * (high - low)
    }
}

/// A kind of thing, which is also a need: products of one noun can stand in for each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noun {
    pub category: &'static str,
    pub subcategory: &'static str,
    pub name: &'static str,
    /// Median unit price in hundredths.
    pub price: f32,
    /// 0 to 1: how readily it becomes a habit.
    pub habit: f32,
    /// Median days between two purchases out of habit.
    pub interval: f32,
    pub season: Season,
    /// Nouns that are used with it.
    pub goes_with: &'static [&'static str],
    /// Variants (colours, flavours); empty: the shop's common ones.
    pub variants: &'static [&'static str],
    /// Pack sizes that occur.
    pub packs: &'static [u32],
}

/// All words of a shop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub nouns: &'static [Noun],
    /// Design ranges or makers: the brands.
    pub ranges: &'static [&'static str],
    pub variants: &'static [&'static str],
    pub unit: &'static str,
}

pub(crate) fn words(preset: Preset) -> Words {
    match preset {
        Preset::GiftShop => giftshop::WORDS,
        Preset::Grocery => grocery::WORDS,
    }
}

/// "LUNCH BAG RED SPOTTY" in the gift shop, "Mill Lane Yoghurt Strawberry" in the supermarket.
pub(crate) fn product_name(preset: Preset, noun: &str, variant: &str, range: &str, edition: usize) -> String {
    let name = match preset {
        Preset::GiftShop => format!("{noun} {variant} {range}").to_uppercase(),
        Preset::Grocery => format!("{range} {noun} {variant}"),
    };
    let name = if edition > 0 { format!("{name} NO {}", edition + 1) } else { name };
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}
