//! Reads a service's configuration: flags, then environment, then defaults.
//!
//! A mistake is one line on stderr that names the flag and its variable, and exit code 64
//! (`EX_USAGE` of sysexits.h), so that scripts can tell it from a failure of the service.

use std::ffi::OsString;
use std::process::exit;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

/// `EX_USAGE` of sysexits.h: the command was used incorrectly.
pub const EXIT_USAGE: i32 = 64;

/// Parses the process's arguments, or says in one line what is wrong and exits with [`EXIT_USAGE`].
/// `--help` and `--version` print and exit 0.
pub fn parse_or_exit<T: Parser>() -> T {
    match parse(std::env::args_os()) {
        Ok(config) => config,
        Err(Failure::Informative(error)) => error.exit(),
        Err(Failure::Usage(line)) => exit_usage(&line),
    }
}

/// Ends the process because of a configuration that parsed but cannot work.
pub fn exit_usage(line: &str) -> ! {
    #[allow(clippy::print_stderr, reason = "telemetry starts only once the configuration is known")]
    {
        eprintln!("error: {line}");
    }
    exit(EXIT_USAGE)
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum Failure {
    /// The person asked for help or the version.
    Informative(clap::Error),
    /// One line that says what is wrong.
    Usage(String),
}

/// Parses `args`, program name first.
pub fn parse<T: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<T, Failure> {
    T::try_parse_from(args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Failure::Informative(error),
        _ => Failure::Usage(one_line(&T::command(), &error)),
    })
}

/// clap's first paragraph in one line, with the variable of the flag that it blames.
fn one_line(command: &Command, error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        return format!("a command is missing: {}; --help says more", names.join(" or "));
    }
    let text = without_credentials(error);
    let paragraph = text.split("\n\n").next().unwrap_or(&text);
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    match blamed_variable(command, error) {
        Some(variable) => format!("{line} (environment variable {variable})"),
        None => line.to_owned(),
    }
}

/// What clap says repeats what it blames, and whatever shows that is no place for a password.
fn without_credentials(error: &clap::Error) -> String {
    let values = error.context().filter_map(|(_, value)| match value {
        ContextValue::String(value) => Some(value),
        _ => None,
    });
    values.fold(error.to_string(), |text, value| match credentials(value) {
        Some(credentials) => text.replace(credentials, "***"),
        None => text,
    })
}

/// The user and the password of a URL, which anything may be part of that is not encoded as it should be.
fn credentials(value: &str) -> Option<&str> {
    let (before, _) = value.rsplit_once('@')?;
    let begins = before.find("://")? + "://".len();
    Some(&before[begins..]).filter(|credentials| !credentials.is_empty())
}

fn blamed_variable(command: &Command, error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(blamed)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = blamed.split_whitespace().next()?.trim_start_matches('-');
    let mut commands = std::iter::once(command).chain(command.get_subcommands());
    let arg = commands.find_map(|c| c.get_arguments().find(|arg| arg.get_long() == Some(flag)))?;
    Some(arg.get_env()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    struct Sample {
        /// A number.
        #[arg(long, env = "KIT_TEST_WORKERS", default_value_t = 1)]
        workers: u8,
        /// Never right.
        #[arg(long, value_parser = |_: &str| Err::<String, _>("expected a URL"))]
        url: Option<String>,
    }

    fn usage(args: &[&str]) -> String {
        match parse::<Sample>(args.iter().map(OsString::from)) {
            Err(Failure::Usage(line)) => line,
            other => panic!("expected a usage failure, got {other:?}"),
        }
    }

    #[test]
    fn a_bad_value_is_one_line_that_names_flag_and_variable() {
        let line = usage(&["sample", "--workers", "many"]);
        assert!(line.contains("'many'") && line.contains("--workers"), "{line}");
        assert!(line.contains("KIT_TEST_WORKERS"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }

    #[test]
    fn a_password_is_not_repeated_whatever_is_wrong_beside_it() {
        for args in [
            &["--url", "redis://me:pass word@a/b@cache:6379/x"][..],
            &["--workers", "http://me:pass word@a/b@cache:6379"],
            &["http://:pass word@a/b@cache:6379"],
            &["--url=http://me:pass word@a/b@cache:6379", "--workers=1"],
        ] {
            let line = usage(&[&["sample"], args].concat());
            assert!(!line.contains("pass") && line.contains("://***@cache:6379"), "{line}");
        }
    }

    #[derive(Parser, Debug)]
    enum WithCommands {
        First,
        Second,
    }

    #[test]
    fn a_missing_command_is_one_line_that_names_those_there_are() {
        let Err(Failure::Usage(line)) = parse::<WithCommands>(["sample".into()]) else { panic!("parsed") };
        assert_eq!(line, "a command is missing: first or second; --help says more");
    }

    #[test]
    fn an_unknown_flag_is_one_line_that_names_it() {
        let line = usage(&["sample", "--wrokers", "3"]);
        assert!(line.contains("--wrokers") && !line.contains('\n'), "{line}");
    }
}
