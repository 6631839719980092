//! The core of an operator-precedence parser, and the bound on how deep a text may nest.

/// How strongly an infix operator binds its operands. A higher power binds tighter; a left power
/// below the right one makes equal operators associate to the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Power {
    /// The pull on the operand before the operator.
    pub left: u8,
    /// The pull on the operand after it.
    pub right: u8,
}

impl Power {
    /// `a - b - c` is `(a - b) - c`.
    pub const fn left(level: u8) -> Self {
        Self { left: 2 * level, right: 2 * level + 1 }
    }

    /// `a ^ b ^ c` is `a ^ (b ^ c)`.
    pub const fn right(level: u8) -> Self {
        Self { left: 2 * level + 1, right: 2 * level }
    }
}

/// What a language supplies to [`climb`].
pub trait Operators {
    /// An expression.
    type Expr;
    /// An infix operator.
    type Op: Copy;
    /// An error.
    type Error;

    /// Reads an operand: a literal, a parenthesis, a prefix operator with its operand, and whatever
    /// binds to it from behind.
    fn operand(&mut self) -> Result<Self::Expr, Self::Error>;

    /// The infix operator that follows, without consuming it.
    fn peek_operator(&mut self) -> Result<Option<(Self::Op, Power)>, Self::Error>;

    /// Consumes the operator and reads the operand after it by [`climb`] with `right`; joins both.
    fn join(&mut self, left: Self::Expr, op: Self::Op, right: u8) -> Result<Self::Expr, Self::Error>;
}

/// Reads an expression whose operators bind at least as strongly as `minimum`.
pub fn climb<L: Operators>(language: &mut L, minimum: u8) -> Result<L::Expr, L::Error> {
    let mut left = language.operand()?;
    while let Some((op, power)) = language.peek_operator()? {
        if power.left < minimum {
            break;
        }
        left = language.join(left, op, power.right)?;
    }
    Ok(left)
}

/// Counts how deep a text nests, so that hostile input gets an error instead of the stack's end.
#[derive(Debug, Clone, Copy)]
pub struct Depth {
    left: usize,
}

/// The text nests deeper than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooDeep;

impl Depth {
    /// Allows `limit` levels.
    pub const fn limit(limit: usize) -> Self {
        Self { left: limit }
    }

    /// Goes one level down.
    pub fn enter(&mut self) -> Result<(), TooDeep> {
        self.left = self.left.checked_sub(1).ok_or(TooDeep)?;
        Ok(())
    }

    /// Comes back up.
    pub fn leave(&mut self) {
        self.left += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Single letters with `+` (left), `^` (right) and prefix `-` between them in strength.
    struct Letters<'a>(std::iter::Peekable<std::str::Chars<'a>>);

    impl Operators for Letters<'_> {
        type Expr = String;
        type Op = char;
        type Error = ();

        fn operand(&mut self) -> Result<String, ()> {
            match self.0.next().ok_or(())? {
                '-' => Ok(format!("(-{})", climb(self, Power::left(2).right)?)),
                letter => Ok(letter.to_string()),
            }
        }

        fn peek_operator(&mut self) -> Result<Option<(char, Power)>, ()> {
            Ok(match self.0.peek() {
                Some('+') => Some(('+', Power::left(1))),
                Some('^') => Some(('^', Power::right(3))),
                _ => None,
            })
        }

        fn join(&mut self, left: String, op: char, right: u8) -> Result<String, ()> {
            self.0.next();
            Ok(format!("({left}{op}{})", climb(self, right)?))
        }
    }

    #[test]
    fn operators_bind_by_power_and_associate() {
        for (text, grouped) in [
            ("a+b+c", "((a+b)+c)"),
            ("a^b^c", "(a^(b^c))"),
            ("a+b^c+d", "((a+(b^c))+d)"),
            ("-a^b+c", "((-(a^b))+c)"),
            ("a^-b+c", "((a^(-b))+c)"),
        ] {
            assert_eq!(climb(&mut Letters(text.chars().peekable()), 0).unwrap(), grouped);
        }
    }

    #[test]
    fn depth_is_given_back() {
        let mut depth = Depth::limit(1);
        assert!(depth.enter().is_ok());
        assert_eq!(depth.enter(), Err(TooDeep));
        depth.leave();
        assert!(depth.enter().is_ok());
    }
}
