//! `ingest-api`: accepts sync events over HTTP and queues them.

use ingest_api::config::Config;
use pisync_core::{logging, settings};

fn main() -> anyhow::Result<()> {
    let config: Config = settings::parse();
    config.refuse_open_door();
    logging::init(config.log.log_format);
    actix_web::rt::System::new().block_on(ingest_api::run(config))
}
