//! docs/reference/cli.md: the commands of every program.

use clap::Command;

use super::{code, default, help, is_generated, own_arguments, programs, table, values, variable, written};

#[test]
fn every_command_of_every_program_is_in_the_reference() {
    let part: Vec<_> = programs().into_iter().map(|(_, mut program)| of_program(&mut program)).collect();
    is_generated("cli.md", &part.join("\n"));
}

fn of_program(program: &mut Command) -> String {
    program.build();
    let about = about(program);
    let settings = format!("`{} [OPTIONS]`: its options are its [settings](configuration.md).", program.get_name());
    let commands: String = leaves(program).map(|command| of_command(command.clone())).collect();
    format!("## {}\n\n{about}.\n\n{settings}\n{commands}", program.get_name())
}

/// The commands that do something, whatever they stand below.
fn leaves(command: &Command) -> Box<dyn Iterator<Item = &Command> + '_> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set());
    Box::new(below.flat_map(|below| {
        let is_leaf = below.get_subcommands().next().is_none();
        if is_leaf { Box::new(std::iter::once(below)) } else { leaves(below) }
    }))
}

fn of_command(mut command: Command) -> String {
    let usage = command.render_usage().to_string().replace("Usage: ", "").replace(" [OPTIONS]", "");
    let title = command.get_bin_name().unwrap_or_default().to_owned();
    let row = |arg: &clap::Arg| {
        let what = variable(arg).map_or_else(|| help(arg), |name| format!("{}; variable {}", help(arg), code(&name)));
        [code(&written(arg)), default(arg), values(arg), what]
    };
    let own: Vec<_> = own_arguments(&command).into_iter().filter(|arg| !arg.is_global_set()).map(row).collect();
    let options = table(["argument", "default", "values", "what"], own.into_iter());
    let options = if options.lines().count() > 2 { format!("\n{options}") } else { String::new() };
    format!("\n### {title}\n\n{}.\n\n```\n{}\n```\n{options}", about(&command), usage.trim())
}

fn about(command: &Command) -> String {
    command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default().replace('\n', " ")
}
