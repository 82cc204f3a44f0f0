//! `endcap-store`: what a short Job does with a store: `endcap-store delete URI`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [command, uri] = args.as_slice() else {
        eprintln!(
            "usage: endcap-store delete URI\n\nDeletes everything below URI, a folder or s3://bucket/prefix; manifests first."
        );
        return ExitCode::from(2);
    };
    if command != "delete" {
        eprintln!("endcap-store: failed to find the command {command}: there is `delete`");
        return ExitCode::from(2);
    }
    let result = async { endcap_store::delete(&endcap_store::open(uri)?).await };
    match result.await {
        Ok(count) => {
            println!("deleted {count} objects below {uri}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            eprintln!("endcap-store: {text}");
            ExitCode::FAILURE
        }
    }
}
