//! `endcap-openapi FILE`: writes the OpenAPI document of the two routes that an OMS calls.

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).context("which file? usage: endcap-openapi docs/openapi.json")?;
    let text = endcap_serving::openapi::document()?;
    std::fs::write(&file, text).with_context(|| format!("failed to write {file}"))
}
