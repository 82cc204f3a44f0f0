//! A whole trained version in memory, its objects, and the small pack that a router holds.

use std::collections::BTreeMap;

use super::{
    Associations, Catalogue, Deep, Habits, Neighbour, Popularity, Ranker, Repeat, Rows, Segment, Settings, Similar,
};
use crate::artifact::{ArtifactError, Strings};

/// The objects that make a model, in the order in which they are read. The last three are there only where they were learned.
pub const OBJECTS: [&str; 9] =
    ["catalogue", "associations", "popularity", "repeat", "habits", "settings", "similar", "deep", "ranker"];

/// The pack's objects are the model's, with this before their names.
pub const PACK_PREFIX: &str = "pack-";

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub catalogue: Catalogue,
    pub associations: Associations,
    pub popularity: Popularity,
    pub repeat: Repeat,
    pub habits: Habits,
    pub settings: Settings,
    /// Empty for `architecture: Rules`.
    pub similar: Similar,
    /// For `architecture: Hybrid`, where it was worth its place.
    pub deep: Option<Deep>,
    pub ranker: Option<Ranker>,
}

impl Model {
    /// The model as named objects. Equal models give equal bytes.
    pub fn to_objects(&self) -> Result<Vec<(&'static str, Vec<u8>)>, ArtifactError> {
        let json = |source| ArtifactError::Json { object: "settings", source };
        let mut objects = vec![
            ("catalogue", self.catalogue.encode("catalogue")?),
            ("associations", self.associations.encode("associations")?),
            ("popularity", self.popularity.encode("popularity")?),
            ("repeat", self.repeat.encode("repeat")?),
            ("habits", self.habits.encode("habits")?),
            ("settings", serde_json::to_vec_pretty(&self.settings).map_err(json)?),
        ];
        if !self.similar.is_empty() {
            objects.push(("similar", self.similar.encode("similar")?));
        }
        if let Some(deep) = &self.deep {
            objects.push(("deep", deep.encode("deep")?));
        }
        if let Some(ranker) = &self.ranker {
            objects.push(("ranker", ranker.encode("ranker")?));
        }
        Ok(objects)
    }

    /// Reads a model from its objects' bytes, which have been checked against their digests. `prefix` is empty for the model itself
    /// and [`PACK_PREFIX`] for the pack.
    pub fn from_objects(objects: &BTreeMap<String, Vec<u8>>, prefix: &str) -> Result<Self, ArtifactError> {
        let object = |name: &'static str| {
            let bytes = objects.get(&format!("{prefix}{name}")).map(Vec::as_slice);
            bytes.ok_or(ArtifactError::MissingObject(name))
        };
        let learned = |name: &str| objects.get(&format!("{prefix}{name}")).map(Vec::as_slice);
        let catalogue = Catalogue::decode("catalogue", object("catalogue")?)?;
        let products = catalogue.len();
        let similar = learned("similar").map(|bytes| Similar::decode("similar", bytes, products)).transpose()?;
        Ok(Self {
            associations: Associations::decode("associations", object("associations")?, products)?,
            popularity: Popularity::decode("popularity", object("popularity")?, products)?,
            repeat: Repeat::decode("repeat", object("repeat")?, products)?,
            habits: Habits::decode("habits", object("habits")?, products)?,
            settings: serde_json::from_slice(object("settings")?)
                .map_err(|source| ArtifactError::Json { object: "settings", source })?,
            similar: similar.unwrap_or_default(),
            deep: learned("deep").map(|bytes| Deep::decode("deep", bytes, products)).transpose()?,
            ranker: learned("ranker").map(|bytes| Ranker::decode("ranker", bytes, products)).transpose()?,
            catalogue,
        })
    }

    /// The small pack of rules and popular products that a router holds: the `products` most popular ones with their best
    /// `neighbours` partners each. It is a model like any other, so the same pipeline and the same rules run on it.
    #[must_use]
    pub fn pack(&self, products: usize, neighbours: usize) -> Self {
        let mut kept: Vec<u32> = (0..self.catalogue.len() as u32).collect();
        kept.sort_by(|a, b| {
            let (a_share, b_share) = (self.popularity.recent(*a), self.popularity.recent(*b));
            b_share.total_cmp(&a_share).then(a.cmp(b))
        });
        kept.truncate(products);
        kept.sort_unstable();
        let renumber = |old: u32| kept.binary_search(&old).ok().map(|new| new as u32);
        let pick =
            |from: &[f32]| -> Vec<f32> { kept.iter().map(|p| from.get(*p as usize).copied().unwrap_or(0.0)).collect() };
        let counts =
            |from: &[u32]| -> Vec<u32> { kept.iter().map(|p| from.get(*p as usize).copied().unwrap_or(0)).collect() };

        let partners = kept.iter().map(|product| {
            let mut row: Vec<Neighbour> = self
                .associations
                .neighbours
                .row(*product)
                .iter()
                .filter_map(|entry| Some(Neighbour { product: renumber(entry.product)?, ..*entry }))
                .collect();
            row.sort_by(|a, b| b.both.cmp(&a.both).then(a.product.cmp(&b.product)));
            row.truncate(neighbours);
            row.sort_by_key(|entry| entry.product);
            row
        });
        let associations = Associations {
            orders: self.associations.orders,
            item_orders: counts(&self.associations.item_orders),
            neighbours: Rows::from_rows(partners),
        };
        let old = &self.popularity;
        let segments = (0..old.segments.len() as u32).map(|segment| {
            let row = old.segments.row(segment).iter();
            row.filter_map(|entry| Some(Segment { product: renumber(entry.product)?, ..*entry })).take(50).collect()
        });
        let popularity = Popularity {
            share: pick(&old.share),
            recent: pick(&old.recent),
            season: old.season.clone(),
            segment_keys: old.segment_keys.iter().collect::<Strings>(),
            segment_orders: old.segment_orders.clone(),
            segments: Rows::from_rows(segments),
            top: old.top.iter().filter_map(|product| renumber(*product)).collect(),
            ..Popularity::default()
        }
        .indexed();
        let repeat = Repeat {
            interval_days: pick(&self.repeat.interval_days),
            repeat_rate: pick(&self.repeat.repeat_rate),
            repeats: counts(&self.repeat.repeats),
        };
        let habits = Habits {
            quantity_p50: pick(&self.habits.quantity_p50),
            quantity_p75: pick(&self.habits.quantity_p75),
            quantity_p90: pick(&self.habits.quantity_p90),
            breaks: Rows::from_rows(kept.iter().map(|product| self.habits.breaks.row(*product).to_vec())),
            better: Rows::from_rows(kept.iter().map(|_| Vec::new())),
            reach: self.habits.reach,
        };
        Self {
            catalogue: self.catalogue.subset(&kept),
            associations,
            popularity,
            repeat,
            habits,
            settings: {
                let mut settings = self.settings.clone();
                if !settings.pack_weights.is_empty() {
                    settings.weights = std::mem::take(&mut settings.pack_weights);
                }
                settings
            },
            similar: Similar::default(),
            deep: None,
            ranker: None,
        }
    }
}
