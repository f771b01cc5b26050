//! Every command that a document shows is one that its program takes.

use std::os::unix::fs::PermissionsExt;

use clap::{
    Command,
    error::{ContextKind, ContextValue, ErrorKind},
};
use testkit::workspace_root;

use super::{Document, documents, nothing_is_wrong};
use crate::reference::programs;

#[test]
fn every_command_is_taken_by_its_program() {
    let programs = programs();
    let (mut wrong, mut parsed) = (Vec::new(), 0);
    for document in documents() {
        for (at, line) in lines_of_commands(&document) {
            for words in commands_of(&line) {
                let found = programs.iter().rev().filter_map(|(name, command)| Some((place(&words, name)?, command)));
                let Some((place, command)) = found.min_by_key(|(place, _)| words.len() - place) else { continue };
                parsed += 1;
                if let Err(why) = parses(command.clone(), &words[place..]) {
                    wrong.push(format!("{}:{at}: {line}\n{why}", document.path.display()));
                }
            }
        }
    }
    assert!(parsed > 20, "only {parsed} commands are shown");
    nothing_is_wrong(&wrong);
}

#[test]
fn every_script_of_a_command_can_be_run() {
    let mut wrong = Vec::new();
    for document in documents() {
        for (at, line) in lines_of_commands(&document) {
            for words in commands_of(&line) {
                let scripts =
                    words.iter().filter(|word| ["scripts/", "deploy/"].iter().any(|top| word.starts_with(top)));
                // What stands first is run; what comes later may be a file.
                for script in scripts.filter(|script| *script == &words[0]) {
                    let file = std::fs::metadata(workspace_root().join(script));
                    if !file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0) {
                        wrong.push(format!("{}:{at}: {script}", document.path.display()));
                    }
                }
            }
        }
    }
    nothing_is_wrong(&wrong);
}

#[test]
fn every_command_named_in_a_sentence_exists() {
    let mut wrong = Vec::new();
    for document in documents() {
        for (at, line, is_fenced) in document.lines() {
            for code in line.split('`').skip(1).step_by(2).filter(|_| !is_fenced) {
                if let Some(unknown) = unknown_command(code) {
                    wrong.push(format!("{}:{at}: `{code}`: no command {unknown}", document.path.display()));
                }
            }
        }
    }
    nothing_is_wrong(&wrong);
    assert_eq!(unknown_command("fleet-sim capacity --devices 9"), Some("capacity"));
    assert_eq!(unknown_command("queue-worker queue status --json"), None);
}

/// Returns the first word of a command line that is no command of its program, up to the first argument.
fn unknown_command(code: &str) -> Option<&str> {
    let (name, rest) = code.split_once(' ')?;
    let (_, mut command) = programs().into_iter().find(|(program, _)| *program == name)?;
    for word in rest.split(' ').take_while(|word| word.starts_with(|first: char| first.is_ascii_lowercase())) {
        if !command.has_subcommands() {
            return None;
        }
        match command.find_subcommand(word.trim_end_matches(['.', ',', ':'])) {
            Some(found) => command = found.clone(),
            None => return Some(word),
        }
    }
    None
}

/// The lines of shell that a document shows, those that go on joined; of a session what a person types.
fn lines_of_commands(document: &Document) -> Vec<(usize, String)> {
    let (mut language, mut lines, mut goes_on) = (None, Vec::<(usize, String)>::new(), false);
    for (at, line, _) in document.lines() {
        if let Some(opened) = line.trim_start().strip_prefix("```") {
            language = if language.is_some() { None } else { Some(opened.trim().to_owned()) };
            continue;
        }
        let typed = match language.as_deref() {
            Some("sh" | "bash") => Some(line),
            Some("console") => line.strip_prefix("$ ").or(goes_on.then_some(line)),
            _ => None,
        };
        let Some(typed) = typed else { continue };
        let (text, more) = typed.strip_suffix('\\').map_or((typed, false), |text| (text, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, before)) => before.push_str(text),
            None => lines.push((at, text.to_owned())),
        }
        goes_on = more;
    }
    lines
}

/// The commands of a line of shell as words, without comments, redirections and assignments before them.
fn commands_of(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut words = words(line).into_iter().peekable();
    while let Some(word) = words.next() {
        let command = commands.last_mut().unwrap();
        match word.as_str() {
            comment if comment.starts_with('#') => break,
            "&&" | "||" | "|" | ";" | "&" => commands.push(Vec::new()),
            ">" | ">>" | "<" | "2>" => drop(words.next()),
            redirection if redirection.starts_with(['>', '<']) || redirection.starts_with("2>") => {}
            assignment if command.is_empty() && is_assignment(assignment) => {}
            word => command.push(word.to_owned()),
        }
    }
    commands.retain(|words| !words.is_empty());
    commands
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|char| char.is_ascii_uppercase() || char == '_'))
}

/// Splits at white space and semicolons that are not quoted, and takes the quotes away.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for char in line.chars() {
        match (quote, char) {
            (Some(open), char) if open == char => quote = None,
            (None, '\'' | '"') => quote = Some(char),
            (None, ' ' | '\t' | ';') => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
                words.extend((char == ';').then(|| ";".to_owned()));
            }
            (_, char) => word.push(char),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// Where the command of a program begins: at the last word that is its name, unless it stands first.
/// So it is found behind `sudo`, `docker compose exec` and the name of its image, too.
fn place(words: &[String], program: &str) -> Option<usize> {
    let is_it = |word: &String| word.rsplit('/').next() == Some(program);
    if is_it(&words[0]) { Some(0) } else { words.iter().rposition(is_it) }
}

/// Whether a command line is understood. A word in capitals stands for any value; what a URI holds is
/// never told, so one that can be parsed takes its place.
fn parses(command: Command, words: &[String]) -> Result<(), String> {
    let words = words.iter().map(|word| word.trim_matches(['[', ']', '…'])).filter(|word| !word.is_empty());
    let words = words.map(|word| if word == "URI" { "mongodb://HOST" } else { word }.to_owned());
    let Err(error) = command.try_get_matches_from(words) else { return Ok(()) };
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => value.as_str(),
        _ => "",
    };
    let is_placeholder = !value.is_empty() && value.chars().all(|char| char.is_ascii_uppercase() || char == '_');
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if is_answer || is_placeholder { Ok(()) } else { Err(error.to_string()) }
}

#[test]
fn a_line_of_shell_is_taken_apart() {
    let of = |line| commands_of(line).iter().map(|words| words.join(",")).collect::<Vec<_>>();
    assert_eq!(of("A=1 a --x 'b c' | d >f  # e"), ["a,--x,b c", "d"]);
    assert_eq!(of("a; b && c 2>&1 < f"), ["a", "b", "c"]);
    let words = words("docker compose exec queue-worker queue-worker queue status");
    assert_eq!(place(&words, "queue-worker"), Some(4));
    let told = |line: &str| {
        let words = self::words(line);
        parses(programs()[1].1.clone(), &words)
    };
    assert!(told("queue-worker dead-letters requeue ID").is_ok() && told("queue-worker queue repartition N").is_ok());
    assert!(told("queue-worker queue repartition 0").is_err() && told("queue-worker queue stat").is_err());
}
