//! Parameters in the query of a URL.

use config::alertmanager::{Matcher, MatcherMode};
use model::matcher::MatchOp;
use model::regex::AnchoredRegex;

use super::Failure;

/// Names and values, in order.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Takes a query apart. What is not known is left alone; what is known and comes twice is kept twice.
    pub fn parse(raw: Option<&str>, known: &[&str]) -> Result<Self, Failure> {
        let pairs = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes());
        let pairs = pairs.filter(|(name, _)| known.contains(&name.as_ref()));
        Ok(Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()))
    }

    /// All values of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A truth value: `true` where nothing is said, `false` where what is said is no known word for `true`. Of
    /// several the last holds.
    pub fn flag(&self, name: &str) -> bool {
        let text = self.all(name).last().unwrap_or_default().to_lowercase();
        matches!(
            text.as_str(),
            "" | "true" | "1" | "yes" | "ok" | "y" | "on" | "selected" | "checked" | "t" | "enabled"
        )
    }

    /// Matchers, one in each value of a parameter; the error is the reference's message.
    pub fn matchers(&self, name: &str, mode: MatcherMode) -> Result<Vec<Matcher>, String> {
        self.all(name).map(|text| Matcher::parse(text, mode)).collect()
    }

    /// A pattern for receivers.
    pub fn receiver(&self) -> Result<Option<AnchoredRegex>, Failure> {
        let Some(pattern) = self.all("receiver").next() else { return Ok(None) };
        AnchoredRegex::new(pattern).map(Some).map_err(|error| {
            // What has no end is told of as a whole, and that has anchors there.
            let whole = error.to_string().replace(
                &format!("missing closing ): `{pattern}`"),
                &format!("missing closing ): `^(?:{pattern})$`"),
            );
            Failure::bad(format!("failed to parse receiver param: {whole}"))
        })
    }
}

/// Whether labels satisfy all matchers of a filter. Here an empty value means more than in matching alerts: a
/// filter `a=""` holds only where the label is absent, `a!=""` where it is present.
pub(super) fn satisfies<'l>(matchers: &[Matcher], value_of: impl Fn(&str) -> Option<&'l str>) -> bool {
    matchers.iter().all(|matcher| {
        let value = value_of(&matcher.name);
        let is_negative = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
        let by_presence = matcher.value.is_empty() && value.is_some() == is_negative;
        by_presence || matcher.matches(value.unwrap_or_default())
    })
}
