//! Tokens to trees, as Go's parser does it: what is wrong is found before anything is carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::functions::Functions;
use crate::lex::{Kind, Lexer, Token};
use crate::node::{Branch, Command, Node, Operand, OperandKind, Pipeline};
use crate::value::{Type, Value};

mod literal;

/// A template that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}: {message}")]
pub struct ParseError {
    /// The name of the template.
    pub name: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong.
    pub message: String,
}

/// Templates by name, which can call each other. Clones share them until one of them gets another.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    pub(crate) trees: Arc<BTreeMap<String, Arc<Vec<Node>>>>,
    pub(crate) functions: Functions,
}

impl Templates {
    /// No templates, and what they may call.
    pub fn new(functions: Functions) -> Self {
        Self { trees: Arc::default(), functions }
    }

    /// Reads the template `name` and those it defines. They replace templates of their names, except by
    /// nothing but white space.
    pub fn parse(&mut self, name: &str, text: impl AsRef<[u8]>) -> Result<(), ParseError> {
        let mut parser = Parser::new(text.as_ref(), &self.functions);
        let trees = parser.template(name).map_err(|message| ParseError {
            name: name.to_owned(),
            line: parser.lexer.position(parser.error_at()).line,
            message,
        })?;
        let known = Arc::make_mut(&mut self.trees);
        for (name, tree) in trees {
            if !is_blank(&tree) || !known.contains_key(&name) {
                known.insert(name, Arc::new(tree));
            }
        }
        Ok(())
    }

    /// The same templates with other functions. Their names must be those the templates were read with, or more.
    #[must_use]
    pub fn with_functions(&self, functions: Functions) -> Self {
        Self { trees: self.trees.clone(), functions }
    }

    /// Forgets the template `name`.
    pub fn remove(&mut self, name: &str) {
        Arc::make_mut(&mut self.trees).remove(name);
    }

    /// Whether there is a template `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.trees.contains_key(name)
    }

    /// The names of all templates, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.trees.keys().map(String::as_str)
    }
}

/// Whether a tree is only white space.
fn is_blank(tree: &[Node]) -> bool {
    tree.iter().all(|node| matches!(node, Node::Text(text) if text.trim_ascii().is_empty()))
}

type Parsed<T> = Result<T, String>;

/// What ends a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    End,
    Else,
}

/// How deep actions and parentheses may nest, so that a template cannot exhaust the stack.
const MAX_DEPTH: usize = 200;

struct Parser<'a> {
    lexer: Lexer<'a>,
    functions: &'a Functions,
    /// Tokens that were looked at and not taken, the next one last.
    pending: Vec<Token<'a>>,
    /// The token taken last, for the place of an error.
    last: usize,
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    defined: Vec<(String, Vec<Node>)>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a [u8], functions: &'a Functions) -> Self {
        Self {
            lexer: Lexer::new(text),
            functions,
            pending: Vec::new(),
            last: 0,
            variables: vec![String::new()],
            ranges: 0,
            depth: 0,
            defined: Vec::new(),
        }
    }

    fn error_at(&self) -> usize {
        self.last
    }

    fn next(&mut self) -> Parsed<Token<'a>> {
        let token = match self.pending.pop() {
            Some(token) => token,
            None => {
                self.last = self.lexer.offset();
                self.lexer.next()?
            }
        };
        self.last = token.start;
        Ok(token)
    }

    fn back(&mut self, token: Token<'a>) {
        self.pending.push(token);
    }

    fn next_non_space(&mut self) -> Parsed<Token<'a>> {
        loop {
            let token = self.next()?;
            if token.kind != Kind::Space {
                return Ok(token);
            }
        }
    }

    fn peek_non_space(&mut self) -> Parsed<Token<'a>> {
        let token = self.next_non_space()?;
        self.back(token);
        Ok(token)
    }

    fn template(&mut self, name: &str) -> Parsed<Vec<(String, Vec<Node>)>> {
        let mut body = Vec::new();
        loop {
            let token = self.next()?;
            match token.kind {
                Kind::End => break,
                Kind::LeftDelimiter if self.takes_keyword("define")? => self.definition()?,
                _ => {
                    self.back(token);
                    match self.text_or_action()? {
                        Ok(node) => body.extend(node),
                        Err(Stop::End) => return Err("unexpected {{end}}".to_owned()),
                        Err(Stop::Else) => return Err("unexpected {{else}}".to_owned()),
                    }
                }
            }
        }
        self.add(name.to_owned(), body)?;
        Ok(std::mem::take(&mut self.defined))
    }

    /// Adds a tree under a name that no other tree of the text has, but for blank ones.
    fn add(&mut self, name: String, tree: Vec<Node>) -> Parsed<()> {
        match self.defined.iter_mut().find(|(other, _)| *other == name) {
            None => self.defined.push((name, tree)),
            Some((_, other)) if is_blank(other) => *other = tree,
            Some(_) if is_blank(&tree) => {}
            Some(_) => return Err(format!("template: multiple definition of template {name:?}")),
        }
        Ok(())
    }

    fn takes_keyword(&mut self, keyword: &str) -> Parsed<bool> {
        let token = self.next_non_space()?;
        let is_it = token.kind == Kind::Keyword && token.text == keyword.as_bytes();
        if !is_it {
            self.back(token);
        }
        Ok(is_it)
    }

    fn definition(&mut self) -> Parsed<()> {
        let name = self.template_name("define clause")?;
        self.expect_right("define clause")?;
        let body = self.own_body("define clause")?;
        self.add(name, body)
    }

    /// The body of a template of its own: it sees no variables and no loop around it.
    fn own_body(&mut self, context: &str) -> Parsed<Vec<Node>> {
        let variables = std::mem::replace(&mut self.variables, vec![String::new()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, stop) = self.list()?;
        (self.variables, self.ranges) = (variables, ranges);
        match stop {
            Stop::End => Ok(body),
            Stop::Else => Err(format!("unexpected {{{{else}}}} in {context}")),
        }
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        let token = self.next_non_space()?;
        match token.kind {
            Kind::Quoted | Kind::Raw => {
                Ok(String::from_utf8_lossy(&literal::text(token.kind, token.text)?).into_owned())
            }
            _ => Err(unexpected(&token, context)),
        }
    }

    fn expect_right(&mut self, context: &str) -> Parsed<()> {
        let token = self.next_non_space()?;
        if token.kind == Kind::RightDelimiter { Ok(()) } else { Err(unexpected(&token, context)) }
    }

    /// Nodes up to `end` or `else`.
    fn list(&mut self) -> Parsed<(Vec<Node>, Stop)> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("actions are nested deeper than {MAX_DEPTH}"));
        }
        let mut nodes = Vec::new();
        while self.peek_non_space()?.kind != Kind::End {
            match self.text_or_action()? {
                Ok(node) => nodes.extend(node),
                Err(stop) => {
                    self.depth -= 1;
                    return Ok((nodes, stop));
                }
            }
        }
        Err("unexpected EOF".to_owned())
    }

    /// A node, nothing for an action without effect of its own, or what ends the list.
    fn text_or_action(&mut self) -> Parsed<Result<Option<Node>, Stop>> {
        let token = self.next_non_space()?;
        match token.kind {
            Kind::Text => Ok(Ok(Some(Node::Text(token.text.to_vec())))),
            Kind::LeftDelimiter => self.action(),
            _ => Err(unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Parsed<Result<Option<Node>, Stop>> {
        let token = self.next_non_space()?;
        let node = match token.text {
            _ if token.kind != Kind::Keyword => {
                self.back(token);
                Node::Action(self.pipeline("command", Kind::RightDelimiter)?)
            }
            b"if" => Node::If(self.branch("if")?),
            b"with" => Node::With(self.branch("with")?),
            b"range" => Node::Range(self.branch("range")?),
            b"block" => self.block()?,
            b"template" => self.call(&token)?,
            b"break" => self.leave(Node::Break, "{{break}}")?,
            b"continue" => self.leave(Node::Continue, "{{continue}}")?,
            b"end" => {
                self.expect_right("end")?;
                return Ok(Err(Stop::End));
            }
            b"else" => {
                let next = self.peek_non_space()?;
                // What follows decides whether it may: only the branch that ends here knows.
                if !is_keyword(&next, b"if") && !is_keyword(&next, b"with") {
                    self.expect_right("else")?;
                }
                return Ok(Err(Stop::Else));
            }
            _ => return Err(unexpected(&token, "command")),
        };
        Ok(Ok(Some(node)))
    }

    fn leave(&mut self, node: Node, action: &str) -> Parsed<Node> {
        let token = self.next_non_space()?;
        if token.kind != Kind::RightDelimiter {
            return Err(unexpected(&token, action));
        }
        if self.ranges == 0 {
            return Err(format!("{action} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn branch(&mut self, context: &str) -> Parsed<Branch> {
        let scope = self.variables.len();
        let pipeline = self.pipeline(context, Kind::RightDelimiter)?;
        let is_range = context == "range";
        self.ranges += usize::from(is_range);
        let (body, stop) = self.list()?;
        self.ranges -= usize::from(is_range);
        let mut otherwise = Vec::new();
        if stop == Stop::Else {
            if !is_range && self.takes_keyword(context)? {
                // The nested branch takes the `end` of this one.
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(format!("actions are nested deeper than {MAX_DEPTH}"));
                }
                let nested = self.branch(context)?;
                self.depth -= 1;
                otherwise.push(if context == "if" { Node::If(nested) } else { Node::With(nested) });
            } else {
                let (nodes, stop) = self.list()?;
                if stop == Stop::Else {
                    return Err("expected end; found {{else}}".to_owned());
                }
                otherwise = nodes;
            }
        }
        self.variables.truncate(scope);
        Ok(Branch { pipeline, body, otherwise })
    }

    fn block(&mut self) -> Parsed<Node> {
        let context = "block clause";
        let start = self.last;
        let name = self.template_name(context)?;
        let argument = self.pipeline(context, Kind::RightDelimiter)?;
        let text = self.text_since(start);
        let body = self.own_body(context)?;
        self.add(name.clone(), body)?;
        let position = self.lexer.position(start);
        Ok(Node::Template { name, argument: Some(argument), position, text })
    }

    fn call(&mut self, keyword: &Token<'a>) -> Parsed<Node> {
        let context = "template clause";
        let begin = self.peek_non_space()?.start;
        let name = self.template_name(context)?;
        let token = self.next_non_space()?;
        let argument = if token.kind == Kind::RightDelimiter {
            None
        } else {
            self.back(token);
            Some(self.pipeline(context, Kind::RightDelimiter)?)
        };
        let text = format!("{{{{{}}}}}", self.text_since(keyword.start));
        Ok(Node::Template { name, argument, position: self.lexer.position(begin), text })
    }

    /// What was read since `start`, without delimiters and space around it.
    fn text_since(&self, start: usize) -> String {
        let text = self.lexer.between(start, self.last.max(start));
        String::from_utf8_lossy(text.trim_ascii_end()).into_owned()
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipeline> {
        let (variables, assigns) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.next_non_space()?;
            if token.kind == end {
                break;
            }
            match token.kind {
                Kind::Identifier
                | Kind::Bool
                | Kind::Rune
                | Kind::Dot
                | Kind::Field
                | Kind::Nil
                | Kind::Number
                | Kind::Quoted
                | Kind::Raw
                | Kind::Variable
                | Kind::LeftParen => {
                    self.back(token);
                    commands.push(self.command()?);
                }
                _ => return Err(unexpected(&token, context)),
            }
        }
        if commands.is_empty() {
            return Err(format!("missing value for {context}"));
        }
        let constant = |command: &Command| command.operands[0].kind.is_constant();
        match commands.iter().skip(1).position(constant) {
            Some(i) => Err(format!("non executable command in pipeline stage {}", i + 2)),
            None => Ok(Pipeline { variables, assigns, commands }),
        }
    }

    /// `$x :=`, `$x =` and, for ranges, `$x, $y :=`.
    fn declarations(&mut self, context: &str) -> Parsed<(Vec<String>, bool)> {
        let mut names = Vec::new();
        loop {
            let variable = self.peek_non_space()?;
            if variable.kind != Kind::Variable {
                return Ok((names, false));
            }
            self.next_non_space()?;
            let space = self.next()?;
            let next = if space.kind == Kind::Space { self.next_non_space()? } else { space };
            let name = String::from_utf8_lossy(&variable.text[1..]).into_owned();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    names.push(name.clone());
                    self.variables.push(name);
                    return Ok((names, next.kind == Kind::Assign));
                }
                Kind::Char if next.text == b"," => {
                    names.push(name.clone());
                    self.variables.push(name);
                    if context != "range" || names.len() > 1 {
                        return Err(format!("too many declarations in {context}"));
                    }
                    if self.peek_non_space()?.kind != Kind::Variable {
                        return Err("range can only initialize variables".to_owned());
                    }
                }
                _ => {
                    self.back(next);
                    if space.kind == Kind::Space {
                        self.back(space);
                    }
                    self.back(variable);
                    return Ok((names, false));
                }
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let start = self.peek_non_space()?.start;
        let mut operands = Vec::new();
        let end = loop {
            self.peek_non_space()?;
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.next()?;
            match token.kind {
                Kind::Space => {}
                Kind::RightDelimiter | Kind::RightParen => {
                    self.back(token);
                    break token.start;
                }
                Kind::Pipe => break token.start,
                _ => return Err(unexpected(&token, "operand")),
            }
        };
        if operands.is_empty() {
            return Err("empty command".to_owned());
        }
        let text = String::from_utf8_lossy(self.lexer.between(start, end).trim_ascii_end()).into_owned();
        Ok(Command { operands, position: self.lexer.position(start), text })
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let (mut fields, mut begin) = (Vec::new(), None);
        let end = loop {
            let token = self.next()?;
            if token.kind != Kind::Field {
                let end = token.start;
                self.back(token);
                break end;
            }
            begin.get_or_insert(token.start);
            fields.push(String::from_utf8_lossy(&token.text[1..]).into_owned());
        };
        let Some(begin) = begin else { return Ok(Some(operand)) };
        match &mut operand.kind {
            OperandKind::Fields(path) | OperandKind::Variable(_, path) => {
                path.append(&mut fields);
                // Messages name the whole of it at its second part.
                operand.text.push_str(&String::from_utf8_lossy(self.lexer.between(begin, end)));
                operand.position = self.lexer.position(begin);
            }
            kind if kind.is_constant() => {
                return Err(format!("unexpected . after term {:?}", operand.text));
            }
            _ => {
                let (position, text) = (operand.position, operand.text.clone());
                let kind = OperandKind::Chain(Box::new(operand), fields);
                return Ok(Some(Operand { kind, position, text }));
            }
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_non_space()?;
        let start = token.start;
        let kind = match token.kind {
            Kind::Identifier => {
                let name = token.string();
                if !self.functions.contains(&name) {
                    return Err(format!("function {name:?} not defined"));
                }
                OperandKind::Identifier(name)
            }
            Kind::Dot => OperandKind::Dot,
            Kind::Nil => OperandKind::Nil,
            Kind::Variable => self.variable(&token)?,
            Kind::Field => OperandKind::Fields(vec![String::from_utf8_lossy(&token.text[1..]).into_owned()]),
            Kind::Bool => OperandKind::Constant(Value::Bool(token.text == b"true")),
            Kind::Number => literal::number(&token.string())?,
            Kind::Rune => OperandKind::Constant(Value::Int(literal::rune(token.text)?, Type::Int)),
            Kind::Quoted | Kind::Raw => {
                OperandKind::Constant(Value::from(literal::text(token.kind, token.text)?))
            }
            Kind::LeftParen => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(format!("parentheses are nested deeper than {MAX_DEPTH}"));
                }
                let pipeline = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                OperandKind::Pipeline(pipeline)
            }
            _ => {
                self.back(token);
                return Ok(None);
            }
        };
        let end = match self.pending.last() {
            Some(next) => next.start,
            None => self.lexer.offset(),
        };
        let text = String::from_utf8_lossy(self.lexer.between(start, end)).into_owned();
        Ok(Some(Operand { kind, position: self.lexer.position(start), text }))
    }

    fn variable(&self, token: &Token<'_>) -> Parsed<OperandKind> {
        let name = String::from_utf8_lossy(&token.text[1..]).into_owned();
        if !self.variables.contains(&name) {
            return Err(format!("undefined variable {:?}", token.string()));
        }
        Ok(OperandKind::Variable(name, Vec::new()))
    }
}

fn is_keyword(token: &Token<'_>, keyword: &[u8]) -> bool {
    token.kind == Kind::Keyword && token.text == keyword
}

fn unexpected(token: &Token<'_>, context: &str) -> String {
    let text = token.string();
    let what = match token.kind {
        Kind::End => "EOF".to_owned(),
        Kind::Keyword | Kind::Dot => format!("<{text}>"),
        _ if text.chars().count() > 10 => format!("{:?}...", text.chars().take(10).collect::<String>()),
        _ => format!("{text:?}"),
    };
    format!("unexpected {what} in {context}")
}
