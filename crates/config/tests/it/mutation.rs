//! Damaged files: whatever the bytes are, loading ends with a configuration or an error.

use config::{Config, LoadOptions, WebConfig};

use crate::support::conformance;

/// A small deterministic generator (xorshift), so that a failing case can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

const TOKENS: &[&str] = &[
    "\n",
    "  ",
    "- ",
    ": ",
    "&a ",
    "*a",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    "!!binary ",
    "\"",
    "'",
    "|\n",
    "~",
    "null",
    "\t",
    "\u{0}",
    "\u{feff}",
    "é",
    "-1",
    "99999999999999999999",
    "1e400",
    ".nan",
    "---\n",
    "...\n",
    "# ",
    "? ",
    "%YAML 9\n",
    "${",
    "(((",
    "a{1000}",
    "\\Q",
];

fn mutate(text: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(text.len() + 1);
        match dice.roll(6) {
            0 if at < text.len() => drop(text.remove(at)),
            1 => {
                let end = (at + dice.roll(40)).min(text.len());
                text.drain(at..end);
            }
            2 => {
                let end = (at + dice.roll(60)).min(text.len());
                let copy = text[at..end].to_vec();
                let to = dice.roll(text.len() + 1);
                text.splice(to..to, copy);
            }
            3 if at < text.len() => text[at] = dice.roll(256) as u8,
            _ => {
                let token = TOKENS[dice.roll(TOKENS.len())];
                text.splice(at..at, token.bytes());
            }
        }
    }
}

#[test]
fn damaged_files_never_panic() {
    let Some(dir) = conformance("damaged_files_never_panic") else { return };
    let mut names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut dice = Dice(0x5eed_cafe_f00d_d00d);
    let (mut loaded, mut refused) = (0, 0);
    for path in names.iter().filter(|path| path.is_file()) {
        let original = std::fs::read(path).unwrap();
        for _ in 0..60 {
            let mut text = original.clone();
            mutate(&mut text, &mut dice);
            match Config::from_bytes(path, &text, &LoadOptions::default()) {
                Ok(config) => {
                    loaded += 1;
                    let written = config.to_yaml();
                    assert!(!written.is_empty());
                    config.unsupported();
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
            let _ = WebConfig::from_text(path, &String::from_utf8_lossy(&text));
        }
    }
    assert!(loaded > 100 && refused > 100, "mutation is one-sided: {loaded} loaded, {refused} refused");
}
