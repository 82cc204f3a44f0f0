//! The console's files, as they were built when this program was: without Node there are none, and a page says how to get them.

include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// A file by its path, with its content type.
pub fn file(path: &str) -> Option<(&'static str, &'static [u8])> {
    let wanted = if path.is_empty() || path == "/" { "index.html" } else { path.trim_start_matches('/') };
    let (name, bytes) = FILES.iter().find(|(name, _)| *name == wanted)?;
    let kind = match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        _ => "application/octet-stream",
    };
    Some((kind, bytes))
}

pub const MISSING: &str = "<!doctype html><meta charset=\"utf-8\"><title>Endcap</title><p>The console was not built into this program. \
Run <code>make console</code> (Node 20), then build again; or use <code>endcap get</code>.";
