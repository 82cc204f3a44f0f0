//! Writes the custom resource definitions and their reference, or says that they have drifted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use endcap_crds::Kind;
use endcap_crds::schema::{file_name, reference, yaml};

/// Client-side `kubectl apply` keeps the whole object in an annotation of at most 256 KiB.
const MAX_BYTES: usize = 200 * 1024;

/// Writes crds/*.yaml and docs/crds.md from the types.
#[derive(Debug, Parser)]
#[command(name = "endcap-crdgen", version)]
struct Args {
    /// Folder of the definitions.
    #[arg(long, default_value = "crds")]
    out: PathBuf,
    /// File of the reference.
    #[arg(long, default_value = "docs/crds.md")]
    docs: PathBuf,
    /// Write nothing; end with 1 if a file is not what would be written.
    #[arg(long)]
    check: bool,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let mut files = Vec::new();
    for kind in Kind::ALL {
        let text = yaml(kind)?;
        anyhow::ensure!(
            text.len() < MAX_BYTES,
            "the definition of {kind} has {} bytes, more than {MAX_BYTES}: shorten descriptions or split fields",
            text.len()
        );
        files.push((args.out.join(file_name(kind)), text));
    }
    files.push((args.docs.clone(), reference()));

    if args.check {
        let drifted: Vec<&Path> = files
            .iter()
            .filter(|(path, text)| fs::read_to_string(path).ok().as_ref() != Some(text))
            .map(|(path, _)| path.as_path())
            .collect();
        for path in &drifted {
            eprintln!("{} has drifted: run endcap-crdgen without --check", path.display());
        }
        return Ok(if drifted.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for (path, text) in files {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
        }
        fs::write(&path, &text).with_context(|| format!("failed to write {}", path.display()))?;
        println!("{} {} bytes", path.display(), text.len());
    }
    Ok(ExitCode::SUCCESS)
}
