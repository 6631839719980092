//! The newer notation: any UTF-8 in names and values, reserved characters only in double quotes.

use model::matcher::MatchOp;

use super::Matcher;

/// Whether a character may only stand in quotes.
pub(super) fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    Comma,
    Op(MatchOp),
    Quoted,
    Unquoted,
}

#[derive(Debug, Clone, Copy)]
struct Token<'t> {
    kind: Kind,
    text: &'t str,
    /// Columns in characters: where it starts and ends.
    columns: (usize, usize),
}

impl Token<'_> {
    fn unexpected(&self, wanted: &str) -> String {
        format!("{}:{}: unexpected {}: {wanted}", self.columns.0, self.columns.1, self.text)
    }

    /// The text without quotes and escapes, which are those of Go's double-quoted literals.
    fn value(&self) -> Result<String, String> {
        let invalid = || format!("{}:{}: {}: invalid input", self.columns.0, self.columns.1, self.text);
        match self.kind {
            Kind::Quoted => unquote(&self.text[1..self.text.len() - 1]).ok_or_else(invalid),
            _ => Ok(self.text.to_owned()),
        }
    }
}

/// Resolves the escapes of a Go string literal; `None` when one is wrong.
fn unquote(body: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut chars = body.chars();
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok();
    while let Some(c) = chars.next() {
        if c == '\n' {
            return None;
        }
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let mut digits = |count: usize, first: Option<char>| -> String {
            first.into_iter().chain(chars.by_ref().take(count)).collect()
        };
        let simple = match digits(1, None).chars().next()? {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '"' => b'"',
            'x' => u8::try_from(number(&digits(2, None), 16)?).ok()?,
            octal @ '0'..='7' => u8::try_from(number(&digits(2, Some(octal)), 8)?).ok()?,
            long @ ('u' | 'U') => {
                let text = digits(if long == 'u' { 4 } else { 8 }, None);
                bytes.extend_from_slice(
                    char::from_u32(number(&text, 16)?)?.encode_utf8(&mut [0; 4]).as_bytes(),
                );
                continue;
            }
            _ => return None,
        };
        bytes.push(simple);
    }
    String::from_utf8(bytes).ok()
}

/// Splits a text into tokens. An error stays until the parser reaches it.
struct Lexer<'t> {
    text: &'t str,
    at: usize,
    column: usize,
}

impl<'t> Lexer<'t> {
    fn next(&mut self) -> Result<Option<Token<'t>>, String> {
        let rest = &self.text[self.at..];
        let spaces = rest.len() - rest.trim_start_matches(char::is_whitespace).len();
        self.column += rest[..spaces].chars().count();
        self.at += spaces;
        let rest = &rest[spaces..];
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let fixed = [
            ("{", Kind::Open),
            ("}", Kind::Close),
            (",", Kind::Comma),
            ("!=", Kind::Op(MatchOp::NotEqual)),
            ("!~", Kind::Op(MatchOp::NotRegex)),
            ("=~", Kind::Op(MatchOp::Regex)),
            ("=", Kind::Op(MatchOp::Equal)),
        ];
        if let Some((word, kind)) = fixed.iter().find(|(word, _)| rest.starts_with(word)) {
            return Ok(Some(self.token(*kind, word.len())));
        }
        match first {
            '!' => Err(match rest[1..].is_empty() {
                true => format!(
                    "{}:{}: unexpected end of input, expected one of '=~'",
                    self.column,
                    self.column + 1
                ),
                false => format!("{}:{}: !: expected one of '=~'", self.column, self.column + 1),
            }),
            '"' => self.quoted(rest),
            c if is_reserved(c) => Err(format!("{}:{}: {c}: invalid input", self.column, self.column + 1)),
            _ => {
                let len = rest.find(is_reserved).unwrap_or(rest.len());
                Ok(Some(self.token(Kind::Unquoted, len)))
            }
        }
    }

    fn quoted(&mut self, rest: &'t str) -> Result<Option<Token<'t>>, String> {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Ok(Some(self.token(Kind::Quoted, at + 1))),
                _ => {}
            }
        }
        let end = self.column + rest.chars().count();
        Err(format!("{}:{end}: {rest}: missing end \"", self.column))
    }

    fn token(&mut self, kind: Kind, len: usize) -> Token<'t> {
        let text = &self.text[self.at..self.at + len];
        let start = self.column;
        self.at += len;
        self.column += text.chars().count();
        Token { kind, text, columns: (start, self.column) }
    }

    /// The next token without taking it.
    fn peek(&mut self) -> Result<Option<Token<'t>>, String> {
        let (at, column) = (self.at, self.column);
        let token = self.next();
        (self.at, self.column) = (at, column);
        token
    }

    /// Takes a token that is one of what `accepts`; `wanted` says what was expected.
    fn expect(&mut self, accepts: impl Fn(Kind) -> bool, wanted: &str) -> Result<Token<'t>, String> {
        match self.next().map_err(|error| format!("{error}: {wanted}"))? {
            None => Err(format!("end of input: {wanted}")),
            Some(token) if accepts(token.kind) => Ok(token),
            Some(token) => Err(token.unexpected(wanted)),
        }
    }
}

/// Reads matchers separated by commas, with or without braces.
pub(super) fn matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let mut lexer = Lexer { text, at: 0, column: 0 };
    let mut found = Vec::new();
    let Some(first) = lexer.peek()? else { return Ok(found) };
    let braced = first.kind == Kind::Open;
    if braced {
        lexer.next()?;
    }
    let ends = |token: &Option<Token<'_>>| token.is_none_or(|token| token.kind == Kind::Close);
    while !ends(&lexer.peek()?) {
        found.push(matcher(&mut lexer)?);
        let wanted = "expected a comma or close brace";
        match lexer.peek().map_err(|error| format!("{error}: {wanted}"))? {
            Some(Token { kind: Kind::Comma, .. }) => {
                lexer.next()?;
                let wanted = "expected a matcher or close brace after comma";
                match lexer.peek().map_err(|error| format!("{error}: {wanted}"))? {
                    None | Some(Token { kind: Kind::Close | Kind::Quoted | Kind::Unquoted, .. }) => {}
                    Some(other) => return Err(other.unexpected(wanted)),
                }
            }
            Some(token) if token.kind != Kind::Close => return Err(token.unexpected(wanted)),
            _ => break,
        }
    }
    close(&mut lexer, braced)?;
    match lexer.next().map_err(|error| format!("{error}: expected end of input"))? {
        None => Ok(found),
        Some(token) => {
            Err(format!("{}:{}: {}: expected end of input", token.columns.0, token.columns.1, token.text))
        }
    }
}

/// Takes the brace that must, or must not, be there.
fn close(lexer: &mut Lexer<'_>, braced: bool) -> Result<(), String> {
    let token = lexer.peek()?;
    let is_close = token.is_some_and(|token| token.kind == Kind::Close);
    match (braced, is_close) {
        (true, true) => lexer.next().map(|_| ()),
        (true, false) => {
            let error = token.map_or_else(
                || "end of input".to_owned(),
                |token| format!("{}:{}: unexpected {}", token.columns.0, token.columns.1, token.text),
            );
            Err(format!("0:{}: {error}: expected close brace", lexer.column))
        }
        (false, true) => {
            lexer.next()?;
            Err(format!("0:{}: }}: expected opening brace", lexer.column))
        }
        (false, false) => Ok(()),
    }
}

fn matcher(lexer: &mut Lexer<'_>) -> Result<Matcher, String> {
    let is_text = |kind| matches!(kind, Kind::Quoted | Kind::Unquoted);
    let name = lexer.expect(is_text, "expected label name")?.value()?;
    let wanted = "expected an operator such as '=', '!=', '=~' or '!~'";
    let op = match lexer.expect(|kind| matches!(kind, Kind::Op(_)), wanted)?.kind {
        Kind::Op(op) => op,
        // Only operators pass the condition above.
        _ => MatchOp::Equal,
    };
    let value = lexer.expect(is_text, "expected label value")?.value()?;
    Matcher::new(op, name, value).map_err(|error| format!("failed to create matcher: {error}"))
}
