//! Detects texts in a CSV file that a spreadsheet would change. It computes formulas, reformats numbers, dates
//! and times, and saves them so. `MAR1`, `00123` and `1E5` are device ids.

/// Maximum number of digits that a spreadsheet shows unchanged; above, it shows a power of ten.
const DIGITS: usize = 11;

/// Names of months in the usual languages of spreadsheets, which accept three letters or more of one.
const MONTHS: &[&str] = &[
    // English
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december", // French
    "janvier",
    "fevrier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "aout",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "decembre",
    "décembre", // Spanish
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre", // Portuguese
    "janeiro",
    "fevereiro",
    "março",
    "maio",
    "junho",
    "julho",
    "setembro",
    "outubro",
    "novembro",
    "dezembro",
    // German
    "januar",
    "februar",
    "märz",
    "maerz",
    "juni",
    "juli",
    "oktober",
    "dezember", // Italian
    "gennaio",
    "febbraio",
    "aprile",
    "maggio",
    "giugno",
    "luglio",
    "settembre",
    "ottobre",
    "dicembre",
];

/// Words for true and false.
const TRUTHS: &[&str] =
    &["true", "false", "vrai", "faux", "wahr", "falsch", "verdadero", "falso", "verdadeiro", "vero"];

/// Currency signs, which make amounts.
const CURRENCIES: &str = "$€£¥₹₽₩₦₱₫₴₺₪₵¢";

/// Returns whether a spreadsheet would change the text.
pub(super) fn is_reinterpreted(text: &str) -> bool {
    let folded: String = text.chars().map(narrow).collect();
    is_formula(&folded) || is_changed(folded.trim().to_lowercase().trim())
}

/// Returns the usual form of a full-width character, which some programs normalise.
fn narrow(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character),
        '\u{3000}' | '\u{a0}' => ' ',
        '−' | '–' => '-',
        _ => character,
    }
}

/// Returns whether it would compute the text as a formula.
fn is_formula(text: &str) -> bool {
    // Some programs skip leading white space.
    let first = text.trim_start_matches([' ', '"']).chars().next();
    first.is_some_and(|first| "=+-@\t\r\n".contains(first))
}

/// Returns whether it would take the lower-case text for a number, a date, a time or an error.
fn is_changed(text: &str) -> bool {
    if is_digits(text) {
        return text.len() > DIGITS || (text.len() > 1 && text.starts_with('0'));
    }
    // Errors such as `#N/A`.
    let is_error = text.starts_with('#') && text.len() < 10;
    is_error || TRUTHS.contains(&text) || is_number(text) || is_time(text)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether it is a number: `1e5`, `1,5`, `1 000`, `5%`, `$5`, `5 €`, `(5)`.
fn is_number(text: &str) -> bool {
    let is_around = |c: char| CURRENCIES.contains(c) || "()% ".contains(c);
    let bare = text.trim_matches(is_around);
    let is_written_as_one = bare.chars().all(|c| c.is_ascii_digit() || ".,' e+-".contains(c));
    let plain: String = bare.chars().filter(|c| !"' ".contains(*c)).map(|c| if c == ',' { '.' } else { c }).collect();
    // All separators of `1.234.567,8` except the last are between thousands.
    let dots = plain.matches('.').count();
    let plain = if dots > 1 && has_thousands(&plain) { plain.replacen('.', "", dots - 1) } else { plain };
    is_written_as_one && plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') && plain.parse::<f64>().is_ok()
}

/// Returns whether all digits between two separators are groups of three.
fn has_thousands(plain: &str) -> bool {
    let parts: Vec<_> = plain.split('.').collect();
    parts[1..parts.len() - 1].iter().all(|part| part.len() == 3 && is_digits(part))
}

/// Returns whether it is a date, a time, a fraction, or both: `3-4`, `2026/11/23 10:00`, `12:30 pm`, `1 1/2`,
/// `mar1`, `dec-12`, `3 march 2026`, `2026-11-23t10:00:00z`.
fn is_time(text: &str) -> bool {
    let (mut digits, mut months, mut separators) = (0, 0, String::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_same: fn(char) -> bool = match first {
            _ if first.is_ascii_digit() => |c| c.is_ascii_digit(),
            _ if first.is_alphabetic() => char::is_alphabetic,
            _ => |c| !c.is_ascii_digit() && !c.is_alphabetic(),
        };
        let (run, behind) = rest.split_at(rest.find(|c| !is_same(c)).unwrap_or(rest.len()));
        rest = behind;
        if first.is_ascii_digit() {
            digits += 1;
        } else if !first.is_alphabetic() {
            separators.push_str(run);
        } else if is_month(run) {
            months += 1;
        } else if !is_of_time(run, &separators, digits) {
            return false;
        }
    }
    let is_separated = separators.chars().all(|c| "-/.:, '+".contains(c));
    let has_clock = separators.contains(':') || text.ends_with(['m', 'a', 'p']);
    is_separated && digits > 0 && months < 2 && (months == 1 || (2..=3).contains(&digits) || has_clock && digits < 10)
}

fn is_month(word: &str) -> bool {
    word.chars().nth(2).is_some() && MONTHS.iter().any(|month| month.starts_with(word))
}

/// Returns whether a word is part of a time: `t` between date and time, `z` behind it, or a half of the day.
fn is_of_time(word: &str, separators: &str, digits: usize) -> bool {
    match word {
        "t" => digits == 3,
        "z" => separators.contains(':'),
        "am" | "pm" => digits > 0,
        "a" | "p" => digits > 0 && separators.ends_with(' '),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_known_however_they_are_written() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1+1", "＝1", "\n=1", "\"=1", "−5", "+", "-abc"] {
            assert!(is_reinterpreted(text), "{text:?}");
        }
    }

    #[test]
    fn numbers_dates_times_and_errors_are_known() {
        for text in [
            // Numbers.
            "00123",
            "1e5",
            "1E5",
            "1E+5",
            "12e-3",
            "12345678901234567",
            "123456789012",
            "1,5",
            "1.10",
            "5%",
            "5 %",
            "$5",
            "$1,234.50",
            "5€",
            "5 €",
            "£5",
            "₹500",
            "(5)",
            "1 000",
            "1'000",
            "1.234.567",
            ".5",
            "１２３４５６７８９０１２",
            "０1",
            // Dates, times and fractions.
            "3-4",
            "2026/11",
            "2026-11-23",
            "1.2.26",
            "12:30",
            "12:30:59",
            "12:30 PM",
            "7 am",
            "7pm",
            "7 p",
            "1/2",
            "1 1/2",
            "2026-11-23 10:00",
            "2026-11-23T10:00:00Z",
            "2026-11-23T10:00:00.5+05:30",
            "MAR1",
            "MARCH1",
            "1mar",
            "DEC-12",
            "12-Dec",
            "12-Dec-2026",
            "Dec 12, 2026",
            "sept 5",
            "May7",
            "oct.3",
            "3 août",
            "1-Okt",
            "ENE-5",
            "JAN1 10:00",
            // Booleans and errors.
            "TRUE",
            "false",
            "VRAI",
            "#N/A",
            "#REF!",
        ] {
            assert!(is_reinterpreted(text), "{text:?}");
        }
    }

    #[test]
    fn ids_that_stay_what_they_are_get_nothing() {
        for text in [
            "",
            "123",
            "0",
            "12345678901",
            "pibook-7",
            "pi-1",
            "school-3-4",
            "b55b5e5a-aadc-4321-a12d-51b872166d48",
            "1.2.3.4",
            "e5",
            "12-34-56-78",
            "a=1",
            "7a",
            "12p",
            "A1",
            "ma1",
            "mars-rover",
            "marker1",
            "decor-12",
            "1mb",
            "raspberry",
            "école 7",
            "00:1b:44:11:3a:b7",
            "MAR",
            "december",
            "E_DISK",
            "disk full",
            "v1.2.3",
            "学校 7",
            "#school-seven",
        ] {
            assert!(!is_reinterpreted(text), "{text:?}");
        }
    }
}
