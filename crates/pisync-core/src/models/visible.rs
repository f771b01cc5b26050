//! Visible characters: equal-looking names must be equal.

use std::fmt;

/// An invisible character, and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unseen {
    /// The character.
    pub character: char,
    /// Its place in the text, from 1.
    pub place: usize,
}

impl Unseen {
    /// Returns the first invisible character of `text`, if it has one.
    pub fn first_in(text: &str) -> Option<Self> {
        let mut characters = text.chars().zip(1..);
        characters.find(|(character, _)| !is_visible(*character)).map(|(character, place)| Self { character, place })
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { character, place } = self;
        write!(f, "U+{:04X} {} at character {place}", u32::from(*character), name(*character))
    }
}

/// Returns whether a character is visible on paper. The plain space is: it stands between two others.
pub(in crate::models) fn is_visible(c: char) -> bool {
    is_printable(c) && (c.is_ascii() || !is_blank(c))
}

/// Returns whether the standard library prints a character as it is. It escapes exactly the Unicode categories control,
/// format, surrogate, private use, unassigned and separator (but for the plain space).
pub(in crate::models) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // After a letter, so that a combining mark counts as the printable character it makes.
    let mut bytes = [b'a', 0, 0, 0, 0];
    c.encode_utf8(&mut bytes[1..]);
    let text = std::str::from_utf8(&bytes[..=c.len_utf8()]).unwrap_or_default();
    text.escape_debug().nth(1) == Some(c)
}

/// Returns whether a letter, mark or symbol is blank: a character of the property `Default_Ignorable_Code_Point` in no
/// category above, or a blank with its own glyph. Source: `DerivedCoreProperties.txt` and the charts of Unicode 16.
fn is_blank(c: char) -> bool {
    matches!(c,
        '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{2800}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFC}' | '\u{13441}' | '\u{13442}'
        | '\u{16FE4}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// Returns the name of a common character, else of its kind.
fn name(c: char) -> &'static str {
    match c {
        '\0' => "NUL",
        '\t' => "tab",
        '\n' => "line feed",
        '\r' => "carriage return",
        '\u{1B}' => "escape",
        '\u{7F}' => "delete",
        '\u{A0}' => "no-break space",
        '\u{AD}' => "soft hyphen",
        '\u{34F}' => "combining grapheme joiner",
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' => "Hangul filler",
        '\u{180E}' => "Mongolian vowel separator",
        '\u{200B}' => "zero width space",
        '\u{200C}' => "zero width non-joiner",
        '\u{200D}' => "zero width joiner",
        '\u{200E}' => "left-to-right mark",
        '\u{200F}' => "right-to-left mark",
        '\u{61C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => "bidirectional control",
        '\u{2028}' => "line separator",
        '\u{2029}' => "paragraph separator",
        '\u{2060}' => "word joiner",
        '\u{2061}'..='\u{2064}' => "invisible operator",
        '\u{2800}' => "blank braille pattern",
        '\u{3000}' => "ideographic space",
        '\u{180B}'..='\u{180F}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' => "variation selector",
        '\u{FEFF}' => "byte order mark (zero width no-break space)",
        '\u{E0000}'..='\u{E007F}' => "tag character",
        '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' => "private use character",
        c if c.is_control() => "control character",
        c if c.is_whitespace() => "space of a special width",
        _ => "invisible or unassigned character",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_named_with_its_place() {
        for (text, said) in [
            ("pibo\u{200b}ok", "U+200B zero width space at character 5"),
            ("\u{feff}a", "U+FEFF byte order mark (zero width no-break space) at character 1"),
            ("a\u{ad}b", "U+00AD soft hyphen at character 2"),
            ("école\u{202e}", "U+202E bidirectional control at character 6"),
            ("a\u{1}b", "U+0001 control character at character 2"),
            ("a\u{fe0f}", "U+FE0F variation selector at character 2"),
        ] {
            assert_eq!(Unseen::first_in(text).unwrap().to_string(), said);
        }
        for text in ["pibook-1", "école 7", "e\u{301}cole", "क्षेत्र", "学校", "🍓", "a b", "ﾊﾟ"]
        {
            assert_eq!(Unseen::first_in(text), None, "{text}");
        }
    }

    /// Source: `Default_Ignorable_Code_Point` in `DerivedCoreProperties.txt` of Unicode 16.
    #[test]
    fn every_default_ignorable_code_point_counts_as_unseen() {
        let ranges = [
            0xAD..=0xAD,
            0x34F..=0x34F,
            0x61C..=0x61C,
            0x115F..=0x1160,
            0x17B4..=0x17B5,
            0x180B..=0x180F,
            0x200B..=0x200F,
            0x202A..=0x202E,
            0x2060..=0x206F,
            0x3164..=0x3164,
            0xFE00..=0xFE0F,
            0xFEFF..=0xFEFF,
            0xFFA0..=0xFFA0,
            0xFFF0..=0xFFF8,
            0x1_BCA0..=0x1_BCA3,
            0x1_D173..=0x1_D17A,
            0xE_0000..=0xE_0FFF,
        ];
        for c in ranges.into_iter().flatten().filter_map(char::from_u32) {
            assert!(!is_visible(c), "U+{:04X}", u32::from(c));
        }
        for blank in ['\u{2800}', '\u{a0}', '\u{3000}', '\u{2003}', '\u{1d159}', '\u{e000}', '\u{85}'] {
            assert!(!is_visible(blank), "U+{:04X}", u32::from(blank));
        }
    }
}
