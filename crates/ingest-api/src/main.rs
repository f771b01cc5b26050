//! `ingest-api`: accepts sync events over HTTP and queues them; makes and revokes keys.

use ingest_api::{admin, config::Config};
use pisync_core::{logging, settings};

fn main() -> anyhow::Result<()> {
    let config: Config = settings::parse();
    logging::init(config.log.log_format);
    if let Some(command) = &config.command {
        return admin::run(command, &config);
    }
    config.refuse_open_door();
    actix_web::rt::System::new().block_on(ingest_api::run(config))
}
