//! The truth's files: `truth/world.json`, `products.jsonl`, `customers.jsonl`, `offer_upsells.jsonl`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use endcap_recommender::request::Placement;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{CustomerTruth, DIMENSIONS, PlantedUpsell, ProductNo, ProductTruth, Pull, SubcategoryTruth, Truth};
use crate::SimulatorError;
use crate::spec::WorldSpec;

/// The folder of the truth inside a dataset's. The dataset's manifest does not name it.
pub(crate) const FOLDER: &str = "truth";
const FORMAT: &str = "endcap.truth/v1";
const WORLD: &str = "world.json";
const PRODUCTS: &str = "products.jsonl";
const CUSTOMERS: &str = "customers.jsonl";
const PLANTED: &str = "offer_upsells.jsonl";

#[derive(Serialize, Deserialize)]
struct WorldFile {
    format: String,
    spec: WorldSpec,
    placements: BTreeMap<Placement, Pull>,
    subcategories: Vec<SubcategoryTruth>,
    segments: Vec<[f32; DIMENSIONS]>,
}

pub(super) fn save(truth: &Truth, dir: &Path) -> Result<(), SimulatorError> {
    let folder = dir.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|source| SimulatorError::Write { path: folder.clone(), source })?;
    let world = WorldFile {
        format: FORMAT.to_owned(),
        spec: truth.spec.clone(),
        placements: truth.placements.clone(),
        subcategories: truth.subcategories.clone(),
        segments: truth.segments.clone(),
    };
    let id = |no: ProductNo| -> Result<&str, SimulatorError> {
        truth.id(no).ok_or_else(|| SimulatorError::Mismatch {
            path: folder.clone(),
            line: 0,
            what: format!("no product has number {no}"),
        })
    };
    write_lines(&folder.join(WORLD), std::iter::once(Ok(world)))?;
    write_lines(&folder.join(PRODUCTS), truth.products.iter().map(|product| product.clone().try_map(id)))?;
    write_lines(&folder.join(CUSTOMERS), truth.customers.iter().map(|customer| customer.clone().try_map(id)))?;
    write_lines(&folder.join(PLANTED), truth.planted.iter().map(Ok))
}

fn write_lines<T: Serialize>(
    path: &Path,
    rows: impl Iterator<Item = Result<T, SimulatorError>>,
) -> Result<(), SimulatorError> {
    let failed = |source| SimulatorError::Write { path: path.to_owned(), source };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    for row in rows {
        serde_json::to_writer(&mut file, &row?).map_err(|source| failed(source.into()))?;
        file.write_all(b"\n").map_err(failed)?;
    }
    file.flush().map_err(failed)
}

fn read_lines<T: DeserializeOwned>(
    path: &Path,
    mut each: impl FnMut(usize, T) -> Result<(), SimulatorError>,
) -> Result<(), SimulatorError> {
    let failed = |source| SimulatorError::Open { path: path.to_owned(), source };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    for (line, text) in file.lines().enumerate() {
        let line = line + 1;
        let row = serde_json::from_str(&text.map_err(failed)?).map_err(|source| SimulatorError::Json {
            path: path.to_owned(),
            line,
            source,
        })?;
        each(line, row)?;
    }
    Ok(())
}

pub(super) fn load(dir: &Path) -> Result<Truth, SimulatorError> {
    let folder = dir.join(FOLDER);
    let world_path = folder.join(WORLD);
    let mut world: Option<WorldFile> = None;
    read_lines(&world_path, |_, row: WorldFile| {
        world = Some(row);
        Ok(())
    })?;
    let mismatch = |path: &Path, line, what| SimulatorError::Mismatch { path: path.to_owned(), line, what };
    let world = world.ok_or_else(|| mismatch(&world_path, 0, "the file is empty".to_owned()))?;
    if world.format != FORMAT {
        return Err(mismatch(&world_path, 1, format!("the format is {}, expected {FORMAT}", world.format)));
    }

    let products_path = folder.join(PRODUCTS);
    let mut by_id: Vec<ProductTruth<String>> = Vec::new();
    read_lines(&products_path, |line, row: ProductTruth<String>| {
        if usize::from(row.subcategory) >= world.subcategories.len() {
            return Err(mismatch(&products_path, line, format!("subcategory {} is not in {WORLD}", row.subcategory)));
        }
        by_id.push(row);
        Ok(())
    })?;
    let numbers: HashMap<String, ProductNo> =
        by_id.iter().enumerate().map(|(no, product)| (product.product_id.clone(), no as u32)).collect();
    let number = |path: &Path, line: usize, id: String| {
        numbers.get(&id).copied().ok_or_else(|| mismatch(path, line, format!("product {id} is not in {PRODUCTS}")))
    };
    let products =
        by_id.into_iter().enumerate().map(|(no, product)| product.try_map(|id| number(&products_path, no + 1, id)));
    let products: Vec<ProductTruth<ProductNo>> = products.collect::<Result<_, _>>()?;

    let customers_path = folder.join(CUSTOMERS);
    let mut customers: Vec<CustomerTruth<ProductNo>> = Vec::new();
    read_lines(&customers_path, |line, row: CustomerTruth<String>| {
        if row.tastes.needs.iter().any(|&(no, _)| usize::from(no) >= world.subcategories.len()) {
            return Err(mismatch(&customers_path, line, format!("a need is not in {WORLD}")));
        }
        customers.push(row.try_map(|id| number(&customers_path, line, id))?);
        Ok(())
    })?;

    let mut planted: Vec<PlantedUpsell> = Vec::new();
    read_lines(&folder.join(PLANTED), |_, row| {
        planted.push(row);
        Ok(())
    })?;
    Ok(Truth::new(world.spec, world.placements, world.subcategories, world.segments, products, customers, planted))
}
