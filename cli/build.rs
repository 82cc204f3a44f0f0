//! Puts the built console (console/dist) into the program, where it has been built.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let dist = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../console/dist");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    collect(&dist, &mut files);
    files.sort();
    let mut code = String::from("const FILES: &[(&str, &[u8])] = &[\n");
    for file in &files {
        if let (Ok(name), Ok(whole)) = (file.strip_prefix(&dist), file.canonicalize()) {
            let _ = writeln!(
                code,
                "    ({:?}, include_bytes!({:?})),",
                name.display().to_string(),
                whole.display().to_string()
            );
        }
    }
    code.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("console.rs");
    if let Err(error) = std::fs::write(&out, code) {
        println!("cargo:warning=failed to write {}: {error}", out.display());
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
