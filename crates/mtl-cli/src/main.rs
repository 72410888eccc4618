//! The `mtl` command: multi-task ranking models, trained, compared, measured and applied.

#[macro_use]
mod render;

mod args;
mod commands;
mod interrupt;
mod progress;
mod sources;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::{Args, Command};
use crate::interrupt::{INTERRUPTED, Interrupted};

/// A usage or input error.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            tell!("{error}");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            tell!("error: {}", one_line(&error));
            ExitCode::from(USAGE)
        }
    }
}

/// An error and its causes in one line. Some messages say their cause already, others leave it to
/// the reader of the chain.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().replace('\n', " ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
    }
    line
}

fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        check_threads("threads", threads)?;
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    match &args.command {
        Command::Init(init) => commands::init::run(init, args.json),
        Command::Check(check) => commands::check::run(check, args.json),
        Command::Compare(compare) => commands::compare::run(compare, args.json),
        Command::Train(train) => commands::train::run(train, args.json),
        Command::Evaluate(evaluate) => commands::evaluate::run(evaluate, args.json),
        Command::Importance(importance) => commands::importance::run(importance, args.json),
        Command::Predict(predict) => commands::predict::run(predict, args.json),
        Command::Calibrate(calibrate) => commands::calibrate::run(calibrate, args.json),
        Command::TuneFusion(tune) => commands::tune_fusion::run(tune, args.json),
        Command::Serve(serve) => commands::serve::run(serve, args.json),
        Command::Inspect(inspect) => commands::inspect::run(inspect, args.json),
        Command::Export(export) => commands::export::run(export, args.json),
        Command::Generate(generate) => commands::generate::run(generate, args.json),
        Command::Sweep(sweep) => commands::sweep::run(sweep, args.json),
    }
}

/// Whether an option names a number of threads that a machine can be asked for.
pub(crate) fn check_threads(option: &str, threads: usize) -> anyhow::Result<()> {
    let most = mtl_serve::ServeConfig::most_threads();
    let is_possible = (1..=most).contains(&threads);
    anyhow::ensure!(is_possible, "--{option} is {threads}, expected 1 to {most}");
    Ok(())
}

/// Help and version are answers; everything else is one line and exit code 2.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            say!("{}", error.to_string().trim_end());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            tell!("{}", error.to_string().trim_end());
            ExitCode::from(USAGE)
        }
        _ => {
            let text = error.to_string();
            let parts: Vec<&str> = text
                .lines()
                .map(str::trim)
                .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
                .filter(|line| !line.is_empty())
                .collect();
            tell!("{}", parts.join(" "));
            ExitCode::from(USAGE)
        }
    }
}
