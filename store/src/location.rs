//! From a URI to a store and a prefix.

use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use crate::StoreError;

/// A prefix in a store.
#[derive(Clone, Debug)]
pub struct Location {
    pub store: Arc<dyn ObjectStore>,
    pub prefix: Path,
    /// As it was given, without a slash at the end.
    pub uri: String,
}

impl Location {
    /// The path of something below the prefix.
    pub fn at(&self, relative: &str) -> Path {
        relative.split('/').fold(self.prefix.clone(), object_store::path::Path::join)
    }

    /// A prefix below this one.
    pub fn below(&self, relative: &str) -> Self {
        Self { store: self.store.clone(), prefix: self.at(relative), uri: format!("{}/{relative}", self.uri) }
    }
}

/// Opens `file:///folder`, a plain folder (relative ones too) or `s3://bucket/prefix`. Credentials, region and endpoint come from
/// object_store's environment names (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...).
pub fn open(uri: &str) -> Result<Location, StoreError> {
    let bad = |why: &str| StoreError::BadUri { uri: uri.to_owned(), why: why.to_owned() };
    let uri = uri.trim_end_matches('/');
    if uri.is_empty() {
        return Err(bad("it is empty"));
    }
    match uri.split_once("://") {
        None => local(uri, uri),
        Some(("file", path)) if path.starts_with('/') => local(uri, path),
        Some(("file", _)) => Err(bad("a file URI has three slashes: file:///folder")),
        Some(("s3", rest)) => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(bad("the bucket is missing"));
            }
            let plain_http = std::env::var("AWS_ENDPOINT_URL")
                .or_else(|_| std::env::var("AWS_ENDPOINT"))
                .is_ok_and(|url| url.starts_with("http://"));
            let store = AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_allow_http(plain_http)
                .with_client_options(
                    ClientOptions::new()
                        .with_allow_http(plain_http)
                        .with_connect_timeout(std::time::Duration::from_secs(5))
                        .with_timeout(std::time::Duration::from_secs(60)),
                )
                .with_retry(RetryConfig {
                    max_retries: 4,
                    retry_timeout: std::time::Duration::from_secs(60),
                    ..RetryConfig::default()
                })
                .build()
                .map_err(|source| StoreError::Configure { uri: uri.to_owned(), source })?;
            Ok(Location { store: Arc::new(store), prefix: Path::from(prefix), uri: uri.to_owned() })
        }
        Some((scheme, _)) => Err(bad(&format!("the scheme {scheme} is not built in"))),
    }
}

fn local(uri: &str, path: &str) -> Result<Location, StoreError> {
    let bad = |why: String| StoreError::BadUri { uri: uri.to_owned(), why };
    let absolute = std::path::absolute(path).map_err(|source| bad(source.to_string()))?;
    let prefix = Path::from_absolute_path(&absolute).map_err(|source| bad(source.to_string()))?;
    Ok(Location { store: Arc::new(LocalFileSystem::new().with_fsync(true)), prefix, uri: uri.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_understood_or_refused_with_the_remedy() {
        assert!(open("relative/folder").unwrap().prefix.as_ref().ends_with("relative/folder"));
        assert_eq!(open("file:///a/b/").unwrap().at("objects/x").as_ref(), "a/b/objects/x");
        assert_eq!(open("s3://bucket/pre/fix").unwrap().below("v1").uri, "s3://bucket/pre/fix/v1");
        for wrong in ["", "file://host", "s3:///x", "ftp://x/y"] {
            let message = open(wrong).unwrap_err().to_string();
            assert!(message.contains("s3://bucket/prefix"), "{wrong}: {message}");
        }
    }
}
