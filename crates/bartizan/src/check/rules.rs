//! `check rules`, with the output and the exit codes of promtool.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use config::NameValidation;
use rules::expression::{Language, LogQlLanguage, PromQlLanguage};
use rules::file::{FileFault, FileOptions, RuleFile, lint};

use crate::roles::features::Features;

/// What to look for beyond faults.
#[derive(clap::Args, Debug, Clone)]
pub struct RulesArgs {
    /// The rule files; the standard input stream by default.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The language of expressions.
    #[arg(long, value_enum, default_value = "promql")]
    pub language: RuleLanguage,
    /// What to look for: `all`, `duplicate-rules` or `none`, separated by commas.
    #[arg(long, default_value = "duplicate-rules", value_delimiter = ',')]
    pub lint: Vec<String>,
    /// Exit with status 3 when something could be better.
    #[arg(long)]
    pub lint_fatal: bool,
    /// Pass over keys nobody knows. A server does not.
    #[arg(long)]
    pub ignore_unknown_fields: bool,
    /// Comma-separated names of features the server runs with. Can be repeated.
    #[arg(long, value_delimiter = ',', value_name = "FEATURE")]
    pub enable_feature: Vec<String>,
}

/// A language of rules.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleLanguage {
    /// Of metrics.
    Promql,
    /// Of logs.
    Logql,
}

/// Something could be better.
const LINT_STATUS: u8 = 3;

/// Checks the files.
pub fn run(args: &RulesArgs) -> anyhow::Result<ExitCode> {
    let features = Features::from_names(&args.enable_feature);
    for unknown in &features.unknown {
        eprintln!("  WARNING: unknown option for --enable-feature: {unknown}");
    }
    let mut out = io::stdout().lock();
    let mut duplicates = false;
    for option in &args.lint {
        match option.as_str() {
            "all" | "duplicate-rules" => duplicates = true,
            "none" => {}
            unknown => writeln!(out, "WARNING: unknown lint option: {unknown:?}")?,
        }
    }
    let language: &dyn Language = match args.language {
        RuleLanguage::Promql => &PromQlLanguage { options: features.parse_options() },
        RuleLanguage::Logql => &LogQlLanguage,
    };
    let options = FileOptions {
        language,
        names: NameValidation::Utf8,
        ignore_unknown_fields: args.ignore_unknown_fields,
    };
    let mut outcome = Outcome::default();
    if args.files.is_empty() {
        writeln!(out, "Checking standard input")?;
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        outcome.show(&mut out, RuleFile::parse(&text, &options), "", duplicates)?;
    }
    for path in &args.files {
        writeln!(out, "Checking {}", path.display())?;
        let prefix = format!("{}: ", path.display());
        outcome.show(&mut out, RuleFile::load(path, &options), &prefix, duplicates)?;
    }
    Ok(match outcome {
        Outcome { faulty: true, .. } => ExitCode::FAILURE,
        Outcome { poor: true, .. } if args.lint_fatal => ExitCode::from(LINT_STATUS),
        _ => ExitCode::SUCCESS,
    })
}

/// Checks the rule files a configuration names, as a server reads them; false when it would not start with them.
pub fn check(out: &mut dyn Write, files: &[PathBuf], features: &Features) -> io::Result<bool> {
    let language = PromQlLanguage { options: features.parse_options() };
    let options =
        FileOptions { language: &language, names: NameValidation::Utf8, ignore_unknown_fields: false };
    let mut outcome = Outcome::default();
    for path in files {
        writeln!(out, "Checking {}", path.display())?;
        let prefix = format!("{}: ", path.display());
        outcome.show(out, RuleFile::load(path, &options), &prefix, true)?;
    }
    Ok(!outcome.faulty)
}

#[derive(Default)]
struct Outcome {
    /// A server would not start with one of the files.
    faulty: bool,
    /// One of the files could be better.
    poor: bool,
}

impl Outcome {
    fn show(
        &mut self,
        out: &mut dyn Write,
        read: Result<RuleFile, Vec<FileFault>>,
        prefix: &str,
        duplicates: bool,
    ) -> io::Result<()> {
        match read {
            Err(faults) => {
                self.faulty = true;
                fail(out, faults.iter().map(|fault| format!("{prefix}{fault}")))
            }
            Ok(file) => {
                for warning in &file.warnings {
                    writeln!(out, "  WARNING: {warning}")?;
                }
                match lint::duplicates_text(&file).filter(|_| duplicates) {
                    Some(poor) => {
                        self.poor = true;
                        fail(out, [poor])?;
                    }
                    None => writeln!(out, "  SUCCESS: {} rules found", file.rule_count())?,
                }
                writeln!(out)?;
                out.flush()
            }
        }
    }
}

fn fail(out: &mut dyn Write, problems: impl IntoIterator<Item = String>) -> io::Result<()> {
    // What goes to the other stream should not overtake what was printed before.
    out.flush()?;
    eprintln!("  FAILED:");
    problems.into_iter().for_each(|problem| eprintln!("{problem}"));
    Ok(())
}
