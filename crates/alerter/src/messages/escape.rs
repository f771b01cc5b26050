//! Escaping of all texts from devices and people, one function for each format, so that no id, label or comment
//! is a command of a chat.

use minijinja::{Error, Output, State, Value};

/// The format of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Plain text: mail, log, JSON.
    Plain,
    /// The markup of Slack and of compatible chats (Mattermost, Rocket.Chat).
    Chat,
}

/// Writes a value into a template, escaped unless it is marked as safe.
pub(super) fn value(format: Format, out: &mut Output<'_>, _: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = match value.as_str() {
        _ if value.is_undefined() || value.is_none() => String::new(),
        Some(safe) if value.is_safe() => safe.to_owned(),
        Some(other) => text(format, other),
        None => text(format, &value.to_string()),
    };
    out.write_str(&text).map_err(Error::from)
}

/// Returns a text escaped, so that the format shows it literally.
pub(super) fn text(format: Format, text: &str) -> String {
    match format {
        Format::Plain => plain(text),
        Format::Chat => chat(&plain(text)),
    }
}

/// Replaces control characters and those that change the direction of writing, since they could forge a line.
fn plain(text: &str) -> String {
    let forges = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if forges(c) { '\u{fffd}' } else { c }).collect()
}

/// Escapes `&`, `<` and `>` for Slack. Other markup and mentions of compatible chats have no common escape, so
/// these characters are replaced by similar ones.
fn chat(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_within_word = [before, rest.peek().copied()].iter().all(|c| c.is_some_and(char::is_alphanumeric));
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '_' if is_within_word => escaped.push('_'),
            ']' if rest.peek() == Some(&'(') => escaped.push('\u{ff3d}'),
            '@' => escaped.push('\u{ff20}'),
            '*' => escaped.push('\u{2217}'),
            '~' => escaped.push('\u{223c}'),
            '_' => escaped.push('\u{ff3f}'),
            '`' => escaped.push('\u{02cb}'),
            other => escaped.push(other),
        }
        before = Some(c);
    }
    escaped.replace("://", ":\u{2215}\u{2215}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_a_command_of_a_chat() {
        for command in
            ["<!channel>", "@all", "*bold*", "_slanted_", "~gone~", "`code`", "[x](http://y)", "<http://y|x>"]
        {
            let shown = text(Format::Chat, command);
            assert!(
                !shown.contains(['<', '>', '@', '*', '_', '~', '`']) && !shown.contains("](") && !shown.contains("://"),
                "{shown}"
            );
        }
        assert_eq!(text(Format::Chat, "school_7-pi.3 & é"), "school_7-pi.3 &amp; é");
    }

    #[test]
    fn no_id_forges_a_line() {
        assert_eq!(text(Format::Plain, "a\nb\u{202e}c <@all>"), "a\u{fffd}b\u{fffd}c <@all>");
    }
}
