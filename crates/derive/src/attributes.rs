//! The attributes of serde that change what is serialized, and the macro's own.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, LitStr, Path, Result, Token, Type, parenthesized, token};

use crate::case::Case;

/// The attributes of a struct or an enum.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) krate: Option<Path>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) rename_all_fields: Option<Case>,
    pub(crate) tag: Option<String>,
    pub(crate) content: Option<String>,
    pub(crate) untagged: bool,
    pub(crate) transparent: bool,
    pub(crate) into: Option<Type>,
}

/// The attributes of a variant of an enum.
#[derive(Default)]
pub(crate) struct Variant {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) is_skipped: bool,
    pub(crate) untagged: bool,
}

/// The attributes of a field.
#[derive(Default)]
pub(crate) struct Field {
    pub(crate) rename: Option<String>,
    pub(crate) is_skipped: bool,
    pub(crate) is_flattened: bool,
    pub(crate) form: Form,
}

/// The form in which a field is serialized.
#[derive(Default)]
pub(crate) enum Form {
    /// Its own type.
    #[default]
    Own,
    /// Another type.
    Like(Box<Type>),
    /// A timestamp.
    Timestamp,
}

impl Container {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut this = Self::default();
        each(attributes, "serde", |meta, name| {
            match name {
                "rename_all" => set(&mut this.rename_all, cases(meta)?),
                "rename_all_fields" => set(&mut this.rename_all_fields, cases(meta)?),
                "tag" => this.tag = Some(text(meta)?.value()),
                "content" => this.content = Some(text(meta)?.value()),
                "untagged" => this.untagged = true,
                "transparent" => this.transparent = true,
                "into" => this.into = Some(text(meta)?.parse()?),
                "remote" => {
                    return Err(meta.error(
                        "`remote` describes a type of another crate: derive `Columns` for the \
                         struct with the field, and write #[columns(as = …)] above it",
                    ));
                }
                _ => skip(meta)?,
            }
            Ok(())
        })?;
        each(attributes, "columns", |meta, name| match name {
            "crate" => {
                this.krate = Some(text(meta)?.parse()?);
                Ok(())
            }
            _ => Err(meta.error("expected `crate = \"path\"`; `as = Type` belongs to a field")),
        })?;
        Ok(this)
    }
}

impl Variant {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut this = Self::default();
        each(attributes, "serde", |meta, name| {
            match name {
                "rename" => set(&mut this.rename, texts(meta)?.map(|text| text.value())),
                "rename_all" => set(&mut this.rename_all, cases(meta)?),
                "skip" | "skip_serializing" => this.is_skipped = true,
                "untagged" => this.untagged = true,
                "with" | "serialize_with" => {
                    return Err(meta.error(format!(
                        "the type that `{name}` writes is not known: put the value into a newtype \
                         and implement `ColumnType` for it"
                    )));
                }
                _ => skip(meta)?,
            }
            Ok(())
        })?;
        Ok(this)
    }
}

impl Field {
    /// Parses the attributes of a field, which errors name.
    pub(crate) fn parse(attributes: &[Attribute], field: &str) -> Result<Self> {
        let mut this = Self::default();
        let mut unknown = None;
        each(attributes, "serde", |meta, name| {
            match name {
                "rename" => set(&mut this.rename, texts(meta)?.map(|text| text.value())),
                "skip" | "skip_serializing" => this.is_skipped = true,
                "flatten" => this.is_flattened = true,
                "skip_serializing_if" => {
                    return Err(meta.error(format!(
                        "`skip_serializing_if` leaves the column of `{field}` out of some rows: \
                         remove it; `None` is logged as null"
                    )));
                }
                "with" | "serialize_with" => {
                    let function = text(meta)?.value();
                    match function.trim_start_matches("::") {
                        "streamtable::timestamp" | "streamtable_schema::timestamp" => {
                            this.form = Form::Timestamp;
                        }
                        _ => {
                            unknown = Some(meta.error(format!(
                                "the type that `{function}` writes for `{field}` is not known: add \
                             #[columns(as = Type)] with a type that serializes like it, such as \
                             `String`"
                            )))
                        }
                    }
                }
                _ => skip(meta)?,
            }
            Ok(())
        })?;
        each(attributes, "columns", |meta, name| match name {
            "as" => {
                this.form = Form::Like(Box::new(like(meta)?));
                unknown = None;
                Ok(())
            }
            _ => Err(meta.error("expected `as = Type`; `crate = \"path\"` belongs to the type")),
        })?;
        match unknown {
            Some(error) if !this.is_skipped => Err(error),
            _ => Ok(this),
        }
    }
}

/// Calls `take` with each entry of the attributes with this name.
fn each(
    attributes: &[Attribute],
    attribute: &str,
    mut take: impl FnMut(&ParseNestedMeta<'_>, &str) -> Result<()>,
) -> Result<()> {
    for found in attributes.iter().filter(|found| found.path().is_ident(attribute)) {
        found.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            take(&meta, &name)
        })?;
    }
    Ok(())
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *slot = value;
    }
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    meta.value()?.parse()
}

/// Parses `= "x"` or `(serialize = "x", deserialize = "y")`, and returns the text for serialization.
fn texts(meta: &ParseNestedMeta<'_>) -> Result<Option<LitStr>> {
    if meta.input.peek(Token![=]) {
        return text(meta).map(Some);
    }
    let mut serialize = None;
    meta.parse_nested_meta(|inner| {
        let value = text(&inner)?;
        if inner.path.is_ident("serialize") {
            serialize = Some(value);
        }
        Ok(())
    })?;
    Ok(serialize)
}

fn cases(meta: &ParseNestedMeta<'_>) -> Result<Option<Case>> {
    texts(meta)?.as_ref().map(Case::parse).transpose()
}

/// Parses `= Type` or `= "Type"`.
fn like(meta: &ParseNestedMeta<'_>) -> Result<Type> {
    let value = meta.value()?;
    match value.peek(LitStr) {
        true => value.parse::<LitStr>()?.parse(),
        false => value.parse(),
    }
    .map_err(|error| Error::new(error.span(), "expected a type, such as `String`"))
}

/// Skips the value of an entry that changes nothing.
fn skip(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(token::Paren) {
        let inner;
        parenthesized!(inner in meta.input);
        inner.parse::<TokenStream>()?;
    }
    Ok(())
}
