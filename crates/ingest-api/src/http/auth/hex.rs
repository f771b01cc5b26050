//! Bytes as lower-case hexadecimal digits, in the one form that is read back.

use std::fmt::Write;

/// Two digits for each byte.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The bytes, at the front of `room`; nothing where `text` is not what [`encode`] writes or does
/// not fit.
pub(super) fn decode<'a>(text: &str, room: &'a mut [u8]) -> Option<&'a [u8]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes = room.get_mut(..pairs.len())?;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        _ => None,
    }
}

/// As many random bytes, from the operating system, in digits.
pub(super) fn random<const N: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let mut room = [0; 4];
        assert_eq!(decode(&encode(&[0, 255, 26]), &mut room), Some(&[0, 255, 26][..]));
        for text in ["0", "0g", "FF", "+1", "0011223344"] {
            assert_eq!(decode(text, &mut room), None, "{text}");
        }
    }
}
