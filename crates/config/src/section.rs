//! One definition of a section gives its struct, its defaults, its reader, its writer and its page in
//! the reference. The two macros below are the only ones of the crate.

use crate::decode::{At, Cx, Fields};
use crate::error::Fault;
use crate::yaml::{Node, Out};

/// How the reference describes a type.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A scalar, described in words.
    Scalar(&'static str),
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// A list.
    List(Box<Shape>),
    /// A mapping of free names.
    Map(Box<Shape>),
    /// A section of its own.
    Section(fn() -> SectionDoc),
}

/// A section of the reference.
#[derive(Debug, Clone)]
pub struct SectionDoc {
    /// Its heading.
    pub title: &'static str,
    /// What it is for.
    pub doc: String,
    /// Its fields, in the order they are written back.
    pub fields: Vec<FieldDoc>,
}

/// A field of the reference.
#[derive(Debug, Clone)]
pub struct FieldDoc {
    /// The key; empty for the fields of another section that stand here too.
    pub key: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// The value when absent, as written; empty when there is none.
    pub default: String,
    /// One line on what it does.
    pub doc: String,
}

/// A mapping with known fields.
pub trait Section: Sized + Default {
    /// The name of the type in messages, which is the reference's.
    const TYPE_NAME: &'static str;
    /// Reads the fields.
    fn read(fields: &mut Fields<'_, '_>) -> Result<Self, Fault>;
    /// Writes the fields.
    fn write(&self, out: &mut Vec<(String, Out)>);
    /// The page of the reference.
    fn doc() -> SectionDoc;
}

/// What a section demands beyond the shape of its fields.
pub trait Check {
    /// Checks the fields against each other and completes them.
    fn check(&mut self, _at: At<'_>, _cx: &Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Adds to a fault inside the section what only the section knows.
    fn explain(fault: Fault, _at: At<'_>) -> Fault {
        fault
    }
}

/// Reads, then checks, a section.
pub(crate) fn decode_section<S: Section + Check>(node: &Node, cx: &Cx<'_>) -> Result<S, Fault> {
    let at = At { node };
    let mut fields = Fields::new(node, S::TYPE_NAME, cx)?;
    let mut section = S::read(&mut fields).map_err(|fault| S::explain(fault, at))?;
    fields.finish();
    // A check on values that could not be read would only echo that.
    if !cx.has_faults() {
        section.check(at, cx)?;
    }
    Ok(section)
}

/// A section as it is written back.
pub(crate) fn emit_section<S: Section>(section: &S) -> Out {
    let mut entries = Vec::new();
    section.write(&mut entries);
    Out::Map(entries)
}

/// The lines of a doc comment as one paragraph.
pub(crate) fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A default as the reference shows it.
pub(crate) fn show_default(out: &Out) -> String {
    match out {
        Out::Null | Out::Map(_) => String::new(),
        Out::List(items) | Out::Flow(items) if items.is_empty() => String::new(),
        Out::Text(text) if text.is_empty() => String::new(),
        Out::List(items) => crate::yaml::to_string(&Out::Flow(items.clone())).trim_end().to_owned(),
        other => crate::yaml::to_string(other).trim_end().to_owned(),
    }
}

/// Defines a section. Each field says how it is written back: `always`, only when `set` (not its zero
/// value), or `inline` (the fields of another section stand among this one's own). Without `= value`
/// the default is the type's zero.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident ($title:literal, $type_name:literal) {
            $( $(#[doc = $fdoc:literal])+ $mode:ident $field:ident : $ty:ty $(= $default:expr)? ; )*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $fdoc])+ pub $field: $ty, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: section!(@default $ty $(, $default)?), )* }
            }
        }

        impl $crate::section::Section for $name {
            const TYPE_NAME: &'static str = $type_name;

            fn read(fields: &mut $crate::decode::Fields<'_, '_>) -> Result<Self, $crate::error::Fault> {
                Ok(Self { $( $field: section!(@read $mode fields, $field, $ty $(, $default)?), )* })
            }

            fn write(&self, out: &mut Vec<(String, $crate::yaml::Out)>) {
                $( section!(@write $mode out, self.$field, $field); )*
            }

            fn doc() -> $crate::section::SectionDoc {
                let fields = vec![ $( section!(
                    @doc $mode $field, $ty, section!(@default $ty $(, $default)?), &[$($fdoc),+]
                ), )* ];
                $crate::section::SectionDoc { title: $title, doc: $crate::section::paragraph(&[$($doc),+]), fields }
            }
        }

        impl $crate::decode::Setting for $name {
            fn zero() -> Self {
                Self::default()
            }

            fn decode(
                node: &$crate::yaml::Node,
                cx: &$crate::decode::Cx<'_>,
            ) -> Result<Self, $crate::error::Fault> {
                $crate::section::decode_section(node, cx)
            }

            fn is_zero(&self) -> bool {
                true $( && section!(@is_zero $mode self.$field) )*
            }

            fn emit(&self) -> $crate::yaml::Out {
                $crate::section::emit_section(self)
            }

            fn shape() -> $crate::section::Shape {
                $crate::section::Shape::Section(<Self as $crate::section::Section>::doc)
            }
        }
    };

    (@key $field:ident) => { stringify!($field).trim_start_matches("r#") };

    (@default $ty:ty) => { <$ty as $crate::decode::Setting>::zero() };
    (@default $ty:ty, $default:expr) => { $default };

    (@read inline $fields:ident, $field:ident, $ty:ty) => { <$ty as $crate::section::Section>::read($fields)? };
    (@read inline $fields:ident, $field:ident, $ty:ty, $default:expr) => {
        <$ty as $crate::section::Section>::read($fields)?
    };
    (@read $mode:ident $fields:ident, $field:ident, $ty:ty $(, $default:expr)?) => {
        $fields.take::<$ty>(section!(@key $field), || section!(@default $ty $(, $default)?))?
    };

    (@write inline $out:ident, $value:expr, $field:ident) => { $crate::section::Section::write(&$value, $out) };
    (@write always $out:ident, $value:expr, $field:ident) => {
        $out.push((section!(@key $field).to_owned(), $crate::decode::Setting::emit(&$value)))
    };
    (@write set $out:ident, $value:expr, $field:ident) => {
        if !$crate::decode::Setting::is_zero(&$value) {
            $out.push((section!(@key $field).to_owned(), $crate::decode::Setting::emit(&$value)));
        }
    };

    (@is_zero inline $value:expr) => { $value == Default::default() };
    (@is_zero $mode:ident $value:expr) => { $crate::decode::Setting::is_zero(&$value) };

    (@doc inline $field:ident, $ty:ty, $default:expr, $doc:expr) => {
        $crate::section::FieldDoc {
            key: "",
            shape: $crate::section::Shape::Section(<$ty as $crate::section::Section>::doc),
            default: String::new(),
            doc: $crate::section::paragraph($doc),
        }
    };
    (@doc $mode:ident $field:ident, $ty:ty, $default:expr, $doc:expr) => {
        $crate::section::FieldDoc {
            key: section!(@key $field),
            shape: <$ty as $crate::decode::Setting>::shape(),
            default: $crate::section::show_default(&<$ty as $crate::decode::Setting>::emit(&$default)),
            doc: $crate::section::paragraph($doc),
        }
    };
}

/// Defines an enumeration of words; `wrong` makes the message for any other word. The first variant is
/// the default.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[doc = $vdoc:literal])+ $variant:ident = $word:literal, )+
        }
        wrong $wrong:expr
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $( $(#[doc = $vdoc])+ $variant, )+
        }

        impl $name {
            /// All words, in order of definition.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// The variant a word names.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )+ _ => None }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::ALL[0]
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::decode::Setting for $name {
            fn zero() -> Self {
                Self::default()
            }

            fn decode(
                node: &$crate::yaml::Node,
                _: &$crate::decode::Cx<'_>,
            ) -> Result<Self, $crate::error::Fault> {
                let word = $crate::decode::scalar_text(node, concat!("config.", stringify!($name)))?;
                Self::from_word(word).ok_or_else(|| {
                    let wrong: fn(&str) -> String = $wrong;
                    let fault = $crate::error::Fault::new(node.pos, wrong(word));
                    let lower = word.to_lowercase();
                    let same = Self::WORDS.iter().copied().find(|known| known.to_lowercase() == lower);
                    match same.or_else(|| $crate::error::nearest(word, Self::WORDS.iter().copied())) {
                        Some(meant) => fault.remedy(format!("did you mean {meant:?}?")),
                        None => fault.remedy(format!("write one of: {}", Self::WORDS.join(", "))),
                    }
                })
            }

            fn is_zero(&self) -> bool {
                false
            }

            fn emit(&self) -> $crate::yaml::Out {
                $crate::yaml::Out::Text(self.as_str().to_owned())
            }

            fn shape() -> $crate::section::Shape {
                $crate::section::Shape::OneOf(Self::WORDS)
            }
        }
    };
}

pub(crate) use {choice, section};
