//! The static files of the pages, from the binary: compressed once, and cached by browsers.

use std::{collections::HashMap, io::Write};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, VARY},
    web::{Bytes, Data, Path},
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use crate::http::error::ApiError;

/// The files. htmx 2.0.11 and uPlot 1.6.32 are unchanged from their packages, with their licences.
const FILES: [(&str, &str, &[u8]); 6] = [
    ("icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
    ("dashboard.css", "text/css; charset=utf-8", include_bytes!("assets/dashboard.css")),
    ("dashboard.js", "text/javascript; charset=utf-8", include_bytes!("assets/dashboard.js")),
    ("htmx.js", "text/javascript; charset=utf-8", include_bytes!("assets/htmx-2.0.11.min.js")),
    ("uPlot.js", "text/javascript; charset=utf-8", include_bytes!("assets/uPlot-1.6.32.iife.min.js")),
    ("uPlot.css", "text/css; charset=utf-8", include_bytes!("assets/uPlot-1.6.32.min.css")),
];

/// The compressed files.
#[derive(Debug)]
pub struct Assets(HashMap<&'static str, Asset>);

#[derive(Debug)]
struct Asset {
    media_type: &'static str,
    plain: Bytes,
    packed: Bytes,
    etag: String,
}

impl Assets {
    /// Compresses them.
    ///
    /// Fails only if memory is exhausted.
    pub fn new() -> std::io::Result<Self> {
        let pack = |plain: &[u8]| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::best());
            packed.write_all(plain)?;
            packed.finish()
        };
        let asset = |(name, media_type, plain): (&'static str, &'static str, &'static [u8])| {
            let digest = Sha256::digest(plain);
            let etag = format!("\"{}\"", hex::encode(&digest[..4]));
            Ok((name, Asset { media_type, plain: Bytes::from_static(plain), packed: pack(plain)?.into(), etag }))
        };
        FILES.into_iter().map(asset).collect::<std::io::Result<_>>().map(Self)
    }
}

/// Returns a file.
pub(super) async fn get(
    request: HttpRequest,
    name: Path<String>,
    assets: Data<Assets>,
) -> Result<HttpResponse, ApiError> {
    let asset = assets.0.get(name.as_str()).ok_or(ApiError::NoRoute { hint: None })?;
    let has = |header, text: &str| {
        request.headers().get(header).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(text))
    };
    let is_known = has(IF_NONE_MATCH, &asset.etag);
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((ETAG, asset.etag.clone())).insert_header((VARY, "Accept-Encoding"));
    answer.insert_header((CACHE_CONTROL, "no-cache")).content_type(asset.media_type);
    Ok(if is_known {
        answer.finish()
    } else if has(ACCEPT_ENCODING, "gzip") {
        answer.insert_header((CONTENT_ENCODING, "gzip")).body(asset.packed.clone())
    } else {
        answer.body(asset.plain.clone())
    })
}
