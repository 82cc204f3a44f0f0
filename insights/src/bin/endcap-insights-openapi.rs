//! `endcap-insights-openapi FOLDER`: writes the OpenAPI document.

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = std::env::args().nth(1).context("which folder? usage: endcap-insights-openapi docs")?.into();
    let file = folder.join(endcap_insights::openapi::FILE);
    std::fs::write(&file, endcap_insights::openapi::document()?)
        .with_context(|| format!("failed to write {}", file.display()))
}
