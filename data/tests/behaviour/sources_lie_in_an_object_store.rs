//! A source in an S3-compatible store gives the dataset that the same files on disk give. It needs a real store:
//! `ENDCAP_TEST_S3_ENDPOINT` (with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`) and a bucket in `ENDCAP_TEST_S3_BUCKET` (`endcap-test`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common::{request, run, shop, write_csv};
use object_store::{ObjectStoreExt, PutPayload};

#[test]
fn files_in_a_store_are_files() {
    let Ok(endpoint) = std::env::var("ENDCAP_TEST_S3_ENDPOINT") else {
        println!("skipped: ENDCAP_TEST_S3_ENDPOINT names no S3-compatible store");
        return;
    };
    if std::env::var("AWS_ENDPOINT_URL").ok().as_deref() != Some(endpoint.as_str()) {
        // The store is opened from its usual environment, which a test cannot change for its own process; so it runs itself again.
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sources_lie_in_an_object_store::files_in_a_store_are_files", "--nocapture"])
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("AWS_REGION", std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned()))
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let bucket = std::env::var("ENDCAP_TEST_S3_BUCKET").unwrap_or_else(|_| "endcap-test".to_owned());
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("in");
    std::fs::create_dir(&data).unwrap();
    write_csv(&shop(), &data);
    let uri = format!("s3://{bucket}/data-test-{}", std::process::id());
    let location = endcap_store::open(&uri).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let names: Vec<String> =
        std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for name in &names {
        let bytes = std::fs::read(data.join(name)).unwrap();
        runtime.block_on(location.store.put(&location.at(name), PutPayload::from(bytes))).unwrap();
    }
    let local = run(&request(&data, &dir.path().join("local"))).unwrap();
    let mut remote = request(&data, &dir.path().join("remote"));
    remote.spec.sources[0].object.as_mut().unwrap().uri.clone_from(&uri);
    let fetched = run(&remote).unwrap();
    assert_eq!(local.manifest, fetched.manifest);
    assert_eq!(local.report.preparation.unwrap().sources, fetched.report.preparation.unwrap().sources);
    for name in &names {
        runtime.block_on(location.store.delete(&location.at(name))).unwrap();
    }
}
