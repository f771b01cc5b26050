//! The reason that the driver finds no server, though one is there: another replica set, or TLS on one side only. The
//! driver reports both as an unavailable server.

use std::time::Duration;

use bson::doc;
use mongodb::{
    Client,
    options::{ClientOptions, Tls, TlsOptions},
};
use serde::Deserialize;

use super::{Store, StoreError, detached, documents};

/// The timeout of one server.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The most servers of the URI that are asked.
const ASKED: usize = 3;

/// The server's description of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    set_name: Option<String>,
}

impl Store {
    /// Asks the servers of the URI one by one. Returns whether one of them answered.
    ///
    /// Fails with [`StoreError::Misconfigured`] if one answers only to other settings.
    pub(super) async fn wrong_uri(&self) -> Result<bool, StoreError> {
        for address in self.options.hosts.iter().take(ASKED) {
            let mut alone = ClientOptions::clone(&self.options);
            alone.hosts = vec![address.clone()];
            alone.direct_connection = Some(true);
            alone.repl_set_name = None;
            alone.server_selection_timeout = Some(TIMEOUT);
            alone.connect_timeout = Some(TIMEOUT);
            // The user and its password are another question.
            alone.credential = None;
            if let Some(hello) = hello(alone.clone()).await {
                let wrong = self.options.repl_set_name.as_deref().and_then(|ours| other_set(ours, &hello));
                return wrong.map_or(Ok(true), |why| Err(StoreError::Misconfigured(format!("{address}: {why}"))));
            }
            let is_tls = matches!(alone.tls, Some(Tls::Enabled(_)));
            let any_certificate = TlsOptions::builder().allow_invalid_certificates(true).build();
            alone.tls = Some(if is_tls { Tls::Disabled } else { Tls::Enabled(any_certificate) });
            if hello(alone).await.is_some() {
                let why = if is_tls {
                    "the server does not speak TLS: leave tls=true and the CA file out"
                } else {
                    "the server asks for TLS: add tls=true to the URI, or name its CA by --mongo-ca-file \
                     (PISYNC_MONGO_CA_FILE)"
                };
                return Err(StoreError::Misconfigured(format!("{address}: {why}")));
            }
        }
        Ok(false)
    }
}

async fn hello(options: ClientOptions) -> Option<Hello> {
    let asked = async {
        let client = Client::with_options(options).ok()?;
        let answer = client.database("admin").run_command(doc! { "hello": 1 }).await.ok();
        client.shutdown().immediate(true).await;
        documents::reply("a reply to hello", answer?).ok()
    };
    detached(TIMEOUT * 2, asked).await.ok().flatten()
}

fn other_set(ours: &str, hello: &Hello) -> Option<String> {
    match &hello.set_name {
        Some(theirs) if theirs == ours => None,
        Some(theirs) => Some(format!("it belongs to the replica set {theirs}, and the URI says replicaSet={ours}")),
        None => Some(format!("it belongs to no replica set, and the URI says replicaSet={ours}: leave that out")),
    }
}
