//! Unpacks bodies: gzip as gunzip reads it, with tolerance for wrong headers.

use std::io::Read;

use actix_web::{HttpRequest, http::header::CONTENT_ENCODING, web::Bytes};
use flate2::bufread::GzDecoder;

use pisync_core::models::MAX_EVENTS;

use crate::http::error::ApiError;

/// Magic bytes of a gzip stream (RFC 1952).
const MAGIC: &[u8] = &[0x1f, 0x8b];

/// Magic bytes of other formats, and their names.
const OTHERS: &[(&[u8], &str)] = &[
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
    (b"BZh", "bzip2"),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4"),
    (b"PK\x03\x04", "zip"),
];

/// Maximum layers of packing: some clients pack a packed body again.
const MOST: usize = 2;

/// Maximum number of concatenated gzip members: one for each report of a body. An empty one takes 20 bytes, and
/// the memory of a decoder.
const MEMBERS: usize = MAX_EVENTS;

/// Returns whether the body is packed, by its `Content-Encoding`.
///
/// Fails if that names another format.
pub(super) fn is_packed(request: &HttpRequest) -> Result<bool, ApiError> {
    let mut packed = false;
    for header in request.headers().get_all(CONTENT_ENCODING) {
        let codings = header.to_str().map_err(|_| ApiError::Encoding { sent: "no text".into() })?;
        for coding in codings.split(',').map(|coding| coding.trim().to_ascii_lowercase()) {
            match coding.as_str() {
                "" | "identity" | "utf-8" => {}
                "gzip" | "x-gzip" => packed = true,
                _ => return Err(ApiError::Encoding { sent: coding.chars().take(40).collect() }),
            }
        }
    }
    Ok(packed)
}

/// Returns the body, unpacked if it is packed, whatever its header says: a client may omit the header, and a
/// proxy may unpack and keep it.
pub(super) fn unpack(is_packed: bool, body: Bytes, limit: usize) -> Result<Bytes, ApiError> {
    if !body.starts_with(MAGIC) {
        if let Some(packing) = other_packing(&body) {
            return Err(ApiError::Packing { packing });
        }
        let is_plain = body.trim_ascii_start().first().is_none_or(|first| b"{[\xef\xfe\xff".contains(first));
        return if !is_packed || is_plain { Ok(body) } else { Err(not_gzip("it does not begin as gzip does")) };
    }
    let mut body = body;
    for _ in 0..MOST {
        if body.starts_with(MAGIC) {
            body = unpack_once(&body, limit)?.into();
        }
    }
    Ok(body)
}

/// Returns the name of another packing format by the body's magic bytes.
fn other_packing(body: &[u8]) -> Option<&'static str> {
    match body {
        // A window of up to 32 KiB, deflate, and a check of both bytes (RFC 1950).
        [first @ (0x08 | 0x18 | 0x28 | 0x38 | 0x48 | 0x58 | 0x68 | 0x78), second, ..]
            if u16::from_be_bytes([*first, *second]) % 31 == 0 =>
        {
            Some("zlib (deflate)")
        }
        _ => OTHERS.iter().find_map(|(magic, name)| body.starts_with(magic).then_some(*name)),
    }
}

/// Unpacks all members in order. Ignores anything after the last one, as gunzip does. Never produces more than
/// the limit, whatever the packed size.
fn unpack_once(packed: &[u8], limit: usize) -> Result<Vec<u8>, ApiError> {
    let (mut body, mut rest) = (Vec::new(), packed);
    for members in 0.. {
        if !rest.starts_with(MAGIC) {
            break;
        }
        if members == MEMBERS {
            return Err(not_gzip(&format!("it has more than {MEMBERS} streams")));
        }
        let room = (limit + 1).saturating_sub(body.len()) as u64;
        let mut member = GzDecoder::new(rest).take(room);
        member.read_to_end(&mut body).map_err(|error| not_gzip(&error.to_string()))?;
        if body.len() > limit {
            return Err(ApiError::TooLarge { limit });
        }
        rest = member.into_inner().into_inner();
    }
    Ok(body)
}

fn not_gzip(why: &str) -> ApiError {
    ApiError::malformed(format!("the body cannot be unpacked as gzip: {why}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use actix_web::test::TestRequest;
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(text).unwrap();
        packed.finish().unwrap()
    }

    fn unpacked(body: impl Into<Bytes>) -> Bytes {
        unpack(true, body.into(), 1_000).unwrap()
    }

    #[test]
    fn what_gunzip_takes_is_taken() {
        let (a, b) = (gzip(b"{\"a\""), gzip(b":1}"));
        assert_eq!(unpacked([&a[..], &b[..]].concat()), "{\"a\":1}");
        assert_eq!(unpacked([&a[..], &b[..], &[0; 512]].concat()), "{\"a\":1}");
        assert_eq!(unpacked([&a[..], &b[..], b"trailing"].concat()), "{\"a\":1}");
        assert_eq!(unpacked(gzip(&gzip(b"[]"))), "[]");
        assert_eq!(unpack(false, gzip(b"[]").into(), 1_000).unwrap(), "[]", "without a header");
        assert_eq!(unpacked("{}"), "{}", "unpacked by a proxy");
        assert_eq!(unpacked(""), "");
    }

    #[test]
    fn what_is_cut_or_too_large_is_refused() {
        let packed = gzip(&[b'a'; 1_001]);
        assert!(matches!(unpack(true, packed.clone().into(), 1_000), Err(ApiError::TooLarge { .. })));
        let twice = [gzip(&[b'a'; 600]), gzip(&[b'a'; 600])].concat();
        assert!(matches!(unpack(true, twice.into(), 1_000), Err(ApiError::TooLarge { .. })));
        for cut in [2, 5, packed.len() / 2, packed.len() - 1] {
            assert!(matches!(unpack(true, packed[..cut].to_vec().into(), 2_000), Err(ApiError::Invalid(_))), "{cut}");
        }
        let (empty, some) = (gzip(b""), gzip(b"[]"));
        let most = [empty.repeat(MEMBERS - 1), some.clone()].concat();
        assert_eq!(unpacked(most), "[]");
        let more = [empty.repeat(MEMBERS), some].concat();
        assert!(matches!(unpack(true, more.into(), 1_000), Err(ApiError::Invalid(_))), "one stream more");
        assert!(matches!(unpack(true, "deviceId=a".into(), 1_000), Err(ApiError::Invalid(_))));
    }

    #[test]
    fn another_packing_is_named_though_no_header_says_it() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(b"{}").unwrap();
        let zlib = zlib.finish().unwrap();
        for (body, name) in [
            (&zlib[..], "zlib"),
            (&[0x78, 0x01, 0x63, 0x60][..], "zlib"),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0x24, 2], "zstd"),
            (b"BZh91AY&SY", "bzip2"),
        ] {
            for is_packed in [true, false] {
                let refused = unpack(is_packed, body.to_vec().into(), 1_000).unwrap_err().to_string();
                assert!(refused.contains(&format!("the body looks like {name}")), "{name}: {refused}");
            }
        }
        for plain in ["{}", "[]", "h{", "\u{feff}{}", "", "deviceId=a", " {}", "x9"] {
            assert_eq!(unpack(false, plain.into(), 1_000).unwrap(), plain);
        }
    }

    #[test]
    fn codings_are_a_list_in_any_case() {
        let packed = |coding: &str| {
            is_packed(&TestRequest::default().insert_header((CONTENT_ENCODING, coding)).to_http_request())
        };
        for coding in ["gzip", "GZIP", "x-gzip", "gzip, identity", "identity,gzip", " gzip , "] {
            assert!(packed(coding).unwrap(), "{coding}");
        }
        for coding in ["", "identity", "Identity"] {
            assert!(!packed(coding).unwrap(), "{coding}");
        }
        for coding in ["deflate", "br", "zstd", "gzip, br"] {
            assert!(matches!(packed(coding), Err(ApiError::Encoding { sent }) if coding.ends_with(&sent)), "{coding}");
        }
    }
}
