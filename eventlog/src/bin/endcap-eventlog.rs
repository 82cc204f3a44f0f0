//! The event log of one model.

use clap::Parser;
use endcap_eventlog::program;
use endcap_eventlog::service::{self, Options};

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    program::init_tracing();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let exit_with_stdin = options.exit_with_stdin;
        let running = service::start(options).await?;
        let stopped = program::until_stopped(exit_with_stdin);
        program::ready_line("endcap-eventlog", &[("listen", running.listen), ("metrics", running.metrics_listen)]);
        let broken = tokio::select! {
            () = stopped => false,
            () = running.broken() => true,
        };
        running.stop().await;
        anyhow::ensure!(!broken, "the log's thread ended; the reason is in the log above, start again to recover");
        Ok(())
    })
}
