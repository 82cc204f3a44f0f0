//! `endcap-openapi FOLDER`: writes the OpenAPI documents.

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = std::env::args().nth(1).context("which folder? usage: endcap-openapi docs")?.into();
    for (name, text) in endcap_serving::openapi::documents()? {
        let file = folder.join(name);
        std::fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(())
}
