//! docs/reference/configuration.md: the settings of every program, each once.

use clap::{Arg, Command};

use super::{code, default, help, is_generated, own_arguments, programs, table, values, variable, written};

/// A setting, and which programs have it.
struct Setting {
    row: [String; 5],
    programs: Vec<&'static str>,
}

#[test]
fn every_setting_of_every_program_is_in_the_reference() {
    let mut settings: Vec<Setting> = Vec::new();
    for (program, command) in programs() {
        for arg in settings_of(&command) {
            let row = row(arg);
            match settings.iter_mut().find(|setting| setting.row == row) {
                Some(setting) if setting.programs.contains(&program) => {}
                Some(setting) => setting.programs.push(program),
                None => settings.push(Setting { row, programs: vec![program] }),
            }
        }
    }
    is_generated("configuration.md", &sections(&settings));
}

/// The options of a program, and those of its commands that have a variable.
fn settings_of(program: &Command) -> Vec<&Arg> {
    let of_commands = program.get_subcommands().flat_map(settings_of).filter(|arg| is_variable_of_ours(arg));
    own_arguments(program).into_iter().chain(of_commands).filter(|arg| arg.get_long().is_some()).collect()
}

fn is_variable_of_ours(arg: &Arg) -> bool {
    variable(arg).is_some_and(|name| name.starts_with("PISYNC_") && !name.starts_with("PISYNC_TEST_"))
}

fn row(arg: &Arg) -> [String; 5] {
    let variable = variable(arg).map(|name| code(&name)).unwrap_or_default();
    [code(&written(arg)), variable, default(arg), values(arg), help(arg)]
}

/// A table for each set of programs, the largest sets first.
fn sections(settings: &[Setting]) -> String {
    let mut sets: Vec<&Vec<_>> = Vec::new();
    for setting in settings {
        if !sets.contains(&&setting.programs) {
            sets.push(&setting.programs);
        }
    }
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let section = |set: &&Vec<&'static str>| {
        let rows = settings.iter().filter(|setting| setting.programs == **set).map(|setting| setting.row.clone());
        let heads = ["flag", "variable", "default", "values", "what"];
        format!("## Settings of {}\n\n{}", set.join(", "), table(heads, rows))
    };
    sets.iter().map(section).collect::<Vec<_>>().join("\n")
}
