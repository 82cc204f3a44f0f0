//! A whole world: the tables that everyone may see, and the truth behind them.

use std::path::Path;
use std::sync::Arc;

use endcap_tables::{Brand, Category, Customer, DatasetManifest, Identity, Offer, Place, Product};

use crate::SimulatorError;
use crate::catalogue::{Catalogue, catalogue};
use crate::dice::{Stream, dice, direction};
use crate::market::Market;
use crate::offers;
use crate::people::{People, SEGMENTS, people};
use crate::places::places;
use crate::planted::plant;
use crate::relations::relate;
use crate::spec::WorldSpec;
use crate::truth::{Truth, usual_pulls};
use crate::write;

/// How far a long step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The table that is written, or `truth`.
    pub stage: &'static str,
    pub done: u64,
    pub total: u64,
}

/// A generated or reloaded world. The sales history is not held: it is simulated, chunk by chunk, when it is written.
#[derive(Debug)]
pub struct World {
    pub truth: Arc<Truth>,
    pub customers: Vec<Customer>,
    pub identities: Vec<Identity>,
    pub places: Vec<Place>,
    pub products: Vec<Product>,
    /// Categories, then subcategories.
    pub categories: Vec<Category>,
    pub brands: Vec<Brand>,
    pub offers: Vec<Offer>,
    pub(crate) market: Market,
}

impl World {
    /// Draws a world. The same spec gives the same world, on any number of threads.
    pub fn generate(spec: &WorldSpec) -> Result<Self, SimulatorError> {
        spec.validate()?;
        let mut catalogue = catalogue(spec);
        relate(spec, &mut catalogue);
        let Catalogue { rows: products, categories, brands, subcategories, products: product_truths, .. } = catalogue;
        let mut roll = dice(spec.seed, Stream::Tastes, 0);
        let segments = (0..SEGMENTS).map(|_| direction(&mut roll)).collect();
        let (places, city_weights) = places(spec);
        let mut truth =
            Truth::new(spec.clone(), usual_pulls(), subcategories, segments, product_truths, Vec::new(), Vec::new());
        let People { rows: customers, identities, truths } = people(&truth, &places, &city_weights);
        truth.set_customers(truths);
        let offers = offers::offers(&truth);
        plant(&mut truth, &offers);
        let rows = offers.iter().map(offers::row).collect::<Result<_, _>>()?;
        let truth = Arc::new(truth);
        let market = Market::new(Arc::clone(&truth), offers);
        Ok(Self { truth, customers, identities, places, products, categories, brands, offers: rows, market })
    }

    /// Reads a world back from the dataset and the truth beside it.
    pub fn load(dir: &Path) -> Result<Self, SimulatorError> {
        let truth = Arc::new(Truth::load(dir)?);
        let offers: Vec<Offer> = endcap_tables::read(dir)?;
        let declared = offers.iter().map(offers::parse).collect::<Result<_, _>>()?;
        let world = Self {
            customers: endcap_tables::read(dir)?,
            identities: endcap_tables::read(dir)?,
            places: endcap_tables::read(dir)?,
            products: endcap_tables::read(dir)?,
            categories: endcap_tables::read(dir)?,
            brands: endcap_tables::read(dir)?,
            market: Market::new(Arc::clone(&truth), declared),
            offers,
            truth,
        };
        let agree = world.products.len() == world.truth.products.len()
            && world.products.iter().zip(&world.truth.products).all(|(row, truth)| row.product_id == truth.product_id)
            && world.customers.len() == world.truth.customers.len();
        if agree {
            Ok(world)
        } else {
            let what = "products or customers of the dataset are not those of its truth".to_owned();
            Err(SimulatorError::Mismatch { path: dir.to_owned(), line: 0, what })
        }
    }

    pub fn spec(&self) -> &WorldSpec {
        &self.truth.spec
    }

    /// Simulates the sales history and writes everything: the canonical tables with their manifest into `dir`, the truth into
    /// `dir/truth`. The manifest is written last.
    pub fn write(&self, dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<DatasetManifest, SimulatorError> {
        write::write(self, dir, progress)
    }
}
