//! What follows a selector.

use model::{MatchOp, Matcher};

use super::{Parser, Result};
use crate::ast::{
    CompareOp, Comparison, Conversion, Extraction, LabelFilter, LabelFormat, LabelSelection, LineFilter,
    LineOp, LineOperand, LogExpr, Parser as ParserStage, Stage, Unwrap,
};
use crate::lex::Token;

/// What a condition on labels begins with.
const CONDITION: [&str; 2] = ["IDENTIFIER", "("];

impl Parser<'_> {
    /// Reads stages until something else comes.
    pub(super) fn stages(&mut self, log: &mut LogExpr) -> Result<()> {
        while !self.is_distinct() {
            let Some(stage) = self.stage()? else { return Ok(()) };
            log.stages.push(stage);
        }
        self.distinct(log)
    }

    /// The next stage, if one follows that is not `| unwrap`.
    pub(super) fn stage(&mut self) -> Result<Option<Stage>> {
        if let Some(op) = self.line_op() {
            self.next();
            return Ok(Some(Stage::LineFilter(self.line_filter(op)?)));
        }
        if !self.is("|") {
            return Ok(None);
        }
        self.next();
        Ok(Some(self.piped()?))
    }

    /// Whether `| unwrap` follows.
    pub(super) fn is_unwrap(&self) -> bool {
        self.is("|") && matches!(self.peek_second(), Token::Fixed("unwrap"))
    }

    fn line_op(&self) -> Option<LineOp> {
        let Token::Fixed(word) = self.peek() else { return None };
        Some(match *word {
            "|=" => LineOp::Contains,
            "!=" => LineOp::NotContains,
            "|~" => LineOp::Match,
            "!~" => LineOp::NotMatch,
            "|>" => LineOp::Pattern,
            "!>" => LineOp::NotPattern,
            _ => return None,
        })
    }

    fn line_filter(&mut self, op: LineOp) -> Result<LineFilter> {
        let mut alternatives = vec![self.line_operand()?];
        while self.is("or") {
            self.next();
            alternatives.push(self.line_operand()?);
        }
        Ok(LineFilter { op, alternatives })
    }

    fn line_operand(&mut self) -> Result<LineOperand> {
        if self.is("ip") {
            return Ok(LineOperand { text: self.ip()?, is_ip: true });
        }
        Ok(LineOperand { text: self.string_or(&["STRING", "ip"])?, is_ip: false })
    }

    /// `ip("...")`
    fn ip(&mut self) -> Result<String> {
        self.next();
        self.expect("(")?;
        let pattern = self.string()?;
        self.expect(")")?;
        Ok(pattern)
    }

    /// What follows a bar.
    fn piped(&mut self) -> Result<Stage> {
        let Token::Fixed(word) = *self.peek() else { return Ok(Stage::LabelFilter(self.label_filter(&[])?)) };
        if word == "(" {
            return Ok(Stage::LabelFilter(self.label_filter(&[])?));
        }
        let known = [
            "json",
            "logfmt",
            "regexp",
            "pattern",
            "unpack",
            "line_format",
            "label_format",
            "drop",
            "keep",
            "decolorize",
        ];
        if !known.contains(&word) {
            return Err(self.unexpected(&[]));
        }
        self.next();
        Ok(match word {
            "json" => Stage::Parser(ParserStage::Json(self.extractions()?)),
            "logfmt" => self.logfmt()?,
            "regexp" => Stage::Parser(ParserStage::Regexp(self.string()?)),
            "pattern" => Stage::Parser(ParserStage::Pattern(self.string()?)),
            "unpack" => Stage::Parser(ParserStage::Unpack),
            "line_format" => Stage::LineFormat(self.string()?),
            "label_format" => self.label_format()?,
            "drop" => Stage::Drop(self.selections()?),
            "keep" => Stage::Keep(self.selections()?),
            _ => Stage::Decolorize,
        })
    }

    fn logfmt(&mut self) -> Result<Stage> {
        let (mut strict, mut keep_empty) = (false, false);
        while let Token::Flag(flag) = *self.peek() {
            strict |= flag == "--strict";
            keep_empty |= flag == "--keep-empty";
            self.next();
        }
        let extractions = self.extractions()?;
        Ok(Stage::Parser(ParserStage::Logfmt { strict, keep_empty, extractions }))
    }

    /// `a, b="c"`, perhaps none.
    fn extractions(&mut self) -> Result<Vec<Extraction>> {
        let mut out = Vec::new();
        while matches!(self.peek(), Token::Identifier(_)) || !out.is_empty() {
            let label = self.identifier()?;
            let expression = if self.take("=") { self.string()? } else { label.clone() };
            out.push(Extraction { label, expression });
            if !self.take(",") {
                break;
            }
        }
        Ok(out)
    }

    fn label_format(&mut self) -> Result<Stage> {
        let mut formats: Vec<LabelFormat> = Vec::new();
        loop {
            let label = self.identifier()?;
            self.expect("=")?;
            let (value, is_rename) = match self.peek().clone() {
                Token::Identifier(source) => (source, true),
                Token::String(template) => (template, false),
                _ => return Err(self.unexpected(&["IDENTIFIER", "STRING"])),
            };
            self.next();
            formats.push(LabelFormat { label, value, is_rename });
            if !self.take(",") {
                return Ok(Stage::LabelFormat(formats));
            }
        }
    }

    fn selections(&mut self) -> Result<Vec<LabelSelection>> {
        let mut out = Vec::new();
        loop {
            let name = self.identifier()?;
            let op = match self.peek() {
                Token::Fixed("=") => Some(MatchOp::Equal),
                Token::Fixed("!=") => Some(MatchOp::NotEqual),
                Token::Fixed("=~") => Some(MatchOp::Regex),
                Token::Fixed("!~") => Some(MatchOp::NotRegex),
                _ => None,
            };
            let mut matcher = None;
            if let Some(op) = op {
                self.next();
                let value = self.string()?;
                matcher = self.matcher(op, name.clone(), value);
            }
            out.push(LabelSelection { name, matcher });
            if !self.take(",") {
                return Ok(out);
            }
        }
    }

    /// A condition on labels; `expected` is told where none begins.
    pub(super) fn label_filter(&mut self, expected: &[&str]) -> Result<LabelFilter> {
        let mut left = self.label_filter_all(expected)?;
        while self.is("or") {
            self.count_join()?;
            self.next();
            let right = self.label_filter_all(&CONDITION)?;
            left = LabelFilter::Or(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn label_filter_all(&mut self, expected: &[&str]) -> Result<LabelFilter> {
        let mut left = self.label_condition(expected)?;
        loop {
            let follows = matches!(self.peek(), Token::Identifier(_)) || self.is("(");
            if !(self.take("and") || self.take(",") || follows) {
                return Ok(left);
            }
            self.count_join()?;
            let right = self.label_condition(&CONDITION)?;
            left = LabelFilter::And(Box::new(left), Box::new(right));
        }
    }

    fn label_condition(&mut self, expected: &[&str]) -> Result<LabelFilter> {
        if self.is("(") {
            self.depth.enter().map_err(|_| self.too_deep())?;
            self.next();
            let inner = self.label_filter(&CONDITION)?;
            if !self.take(")") {
                return Err(self.unexpected(&[]));
            }
            self.depth.leave();
            return Ok(inner);
        }
        let Token::Identifier(name) = self.peek().clone() else { return Err(self.unexpected(expected)) };
        self.next();
        let Token::Fixed(word) = *self.peek() else { return Err(self.unexpected(&[])) };
        let op = match word {
            "=" | "==" => CompareOp::Equal,
            "!=" => CompareOp::NotEqual,
            ">" => CompareOp::Greater,
            ">=" => CompareOp::GreaterEqual,
            "<" => CompareOp::Less,
            "<=" => CompareOp::LessEqual,
            "=~" | "!~" => {
                self.next();
                let op = if word == "=~" { MatchOp::Regex } else { MatchOp::NotRegex };
                let value = self.string()?;
                let matcher = self.matcher(op, name.clone(), value);
                return Ok(LabelFilter::Text(matcher.unwrap_or_else(|| Matcher::equal(name, ""))));
            }
            _ => return Err(self.unexpected(&[])),
        };
        self.next();
        self.compared(name, op, word)
    }

    fn compared(&mut self, name: String, op: CompareOp, word: &str) -> Result<LabelFilter> {
        let is_text_op = matches!(word, "=" | "!=");
        let filter = match self.peek().clone() {
            Token::String(value) if is_text_op => {
                let op = if op == CompareOp::Equal { MatchOp::Equal } else { MatchOp::NotEqual };
                let matcher = self.matcher(op, name.clone(), value);
                LabelFilter::Text(matcher.unwrap_or_else(|| Matcher::equal(name, "")))
            }
            Token::Fixed("ip") if is_text_op => {
                let negated = op == CompareOp::NotEqual;
                return Ok(LabelFilter::Ip { name, pattern: self.ip()?, negated });
            }
            Token::Number(_) | Token::Fixed("+" | "-") => {
                let value = self.literal()?;
                return Ok(LabelFilter::Number(Comparison { name, op, value }));
            }
            Token::Duration(value) => LabelFilter::Duration(Comparison { name, op, value }),
            Token::Bytes(value) => LabelFilter::Bytes(Comparison { name, op, value }),
            _ => return Err(self.unexpected(&[])),
        };
        self.next();
        Ok(filter)
    }

    /// What follows `| unwrap`, with the conditions behind it.
    pub(super) fn unwrap(&mut self) -> Result<Unwrap> {
        let conversion = match self.peek() {
            Token::Fixed("bytes") => Conversion::Bytes,
            Token::Fixed("duration") => Conversion::Duration,
            Token::Fixed("duration_seconds") => Conversion::DurationSeconds,
            Token::Identifier(_) => Conversion::None,
            _ => {
                return Err(self.unexpected(&[
                    "IDENTIFIER",
                    "BYTES_CONV",
                    "DURATION_CONV",
                    "DURATION_SECONDS_CONV",
                ]));
            }
        };
        let label = if conversion == Conversion::None {
            self.identifier()?
        } else {
            self.next();
            self.expect("(")?;
            let label = self.identifier()?;
            self.expect(")")?;
            label
        };
        let mut filters = Vec::new();
        while self.take("|") {
            filters.push(self.label_filter(&CONDITION)?);
        }
        Ok(Unwrap { label, conversion, filters })
    }
}
