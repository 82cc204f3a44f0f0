//! Cities and areas. Names are made up, so that nobody takes them for real ones.

use endcap_tables::Place;

use crate::dice::{Stream, dice, lognormal};
use crate::spec::{Preset, WorldSpec};

const AREAS: [(&str, &str); 5] =
    [("A1", "North Coast"), ("A2", "Lakeland"), ("A3", "Midvale"), ("A4", "South Downs"), ("A5", "Over the Sea")];
const STARTS: [&str; 8] = ["Ash", "Brook", "Clay", "Dun", "Elm", "Fern", "Hart", "Kings"];
const ENDS: [&str; 5] = ["ford", "bury", "mouth", "stead", "wick"];

/// The places table with the weight of each city.
pub(crate) fn places(spec: &WorldSpec) -> (Vec<Place>, Vec<f32>) {
    let mut roll = dice(spec.seed, Stream::Places, 0);
    let count = if spec.customers < 500 { 12 } else { STARTS.len() * ENDS.len() };
    let rows = (0..count).map(|no| {
        let (start, end) = (STARTS.get(no % STARTS.len()), ENDS.get(no / STARTS.len()));
        let (area_id, area_name) = AREAS.get(no % AREAS.len()).copied().unwrap_or_default();
        let country = match (spec.preset, area_id) {
            (Preset::GiftShop, "A5") => "Ireland",
            (Preset::GiftShop, _) => "United Kingdom",
            (Preset::Grocery, _) => "Netherlands",
        };
        Place {
            city_id: format!("{}", no + 1),
            city_name: Some(format!("{}{}", start.unwrap_or(&"New"), end.unwrap_or(&"town"))),
            area_id: Some(area_id.to_owned()),
            area_name: Some(area_name.to_owned()),
            country: Some(country.to_owned()),
        }
    });
    let rows: Vec<Place> = rows.collect();
    let weights = rows.iter().map(|_| lognormal(&mut roll, 1.0, 0.8)).collect();
    (rows, weights)
}
