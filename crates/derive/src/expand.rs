//! The code that the macro generates.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Data, DataEnum, DeriveInput, Error, Fields, Ident, Path, Result, Type, parse_quote,
    parse_quote_spanned,
};

use crate::attributes::{Container, Field, Form, Variant};
use crate::case::Case;

/// Expands `#[derive(Columns)]`.
pub(crate) fn columns(input: &DeriveInput) -> Result<TokenStream> {
    let attributes = Container::parse(&input.attrs)?;
    let krate = attributes.krate.clone().unwrap_or_else(|| parse_quote!(::streamtable));
    let code = Code { derive: parse_quote!(#krate::derive) };
    if let Some(into) = &attributes.into {
        return Ok(code.implement(input, code.of(into), None));
    }
    match &input.data {
        Data::Union(data) => {
            Err(Error::new(data.union_token.span(), "a union does not serialize: use an enum"))
        }
        Data::Enum(data) => Ok(code.implement(input, code.of_enum(data, &attributes)?, None)),
        Data::Struct(data) => match &data.fields {
            Fields::Named(_) if !attributes.transparent => {
                let mut columns = code.fields(&data.fields, attributes.rename_all, &[])?;
                if let Some(tag) = &attributes.tag {
                    columns.insert(0, code.column_of_text(tag));
                }
                let ty = code.of_columns(&columns);
                Ok(code.implement(input, ty, Some(columns)))
            }
            fields => Ok(code.implement(input, code.of_tuple(fields)?, None)),
        },
    }
}

/// Generates code that refers to the module `derive` of the crate with the traits.
struct Code {
    derive: Path,
}

/// An expression that adds columns to the vector `columns`.
type Column = TokenStream;

impl Code {
    /// Returns the implementations: of `ColumnType` with the expression of a type, and of `Columns`.
    fn implement(
        &self,
        input: &DeriveInput,
        ty: TokenStream,
        columns: Option<Vec<Column>>,
    ) -> TokenStream {
        let (derive, name) = (&self.derive, &input.ident);
        let mut generics = input.generics.clone();
        let params: Vec<Ident> = generics.type_params().map(|param| param.ident.clone()).collect();
        let clause = generics.make_where_clause();
        for param in &params {
            clause.predicates.push(parse_quote!(#param: #derive::ColumnType));
        }
        let (impl_generics, ty_generics, clause) = generics.split_for_impl();
        let column_type = quote! {
            #[automatically_derived]
            impl #impl_generics #derive::ColumnType for #name #ty_generics #clause {
                fn column_type() -> #derive::Type {
                    #derive::guard::<Self>(|| #ty)
                }
            }
        };
        let Some(columns) = columns else { return column_type };
        let mut clause = clause.cloned();
        if let Some(clause) = clause.as_mut().filter(|_| !params.is_empty()) {
            clause.predicates.push(parse_quote!(Self: #derive::Serialize));
        }
        quote! {
            #column_type

            #[automatically_derived]
            impl #impl_generics #derive::Columns for #name #ty_generics #clause {
                fn columns() -> ::std::vec::Vec<(::std::string::String, #derive::Type)> {
                    let mut columns = ::std::vec::Vec::new();
                    #(#columns)*
                    columns
                }
            }
        }
    }

    /// Returns the type of a Rust type, as an expression. Errors of it point to that type.
    fn of(&self, ty: &Type) -> TokenStream {
        let derive = &self.derive;
        let implemented: Path = parse_quote_spanned!(ty.span()=> #derive::ColumnType);
        quote!(<#ty as #implemented>::column_type())
    }

    fn of_field(&self, field: &syn::Field, form: &Form) -> TokenStream {
        let derive = &self.derive;
        match form {
            Form::Own => self.of(&field.ty),
            Form::Like(ty) => self.of(ty),
            Form::Timestamp => quote!(#derive::Type::Timestamp),
        }
    }

    /// Returns the columns of named fields. No column may have one of the names in `taken`.
    fn fields(&self, fields: &Fields, case: Option<Case>, taken: &[&str]) -> Result<Vec<Column>> {
        let derive = &self.derive;
        let mut names: Vec<String> = taken.iter().map(|&name| name.to_owned()).collect();
        let mut columns = Vec::new();
        for field in fields {
            let rust_name = field.ident.as_ref().map(|name| name.unraw().to_string());
            let rust_name = rust_name.unwrap_or_default();
            let attributes = Field::parse(&field.attrs, &rust_name)?;
            if attributes.is_skipped {
                continue;
            }
            if attributes.is_flattened {
                let ty = match &attributes.form {
                    Form::Like(ty) => ty,
                    _ => &field.ty,
                };
                let implemented: Path = parse_quote_spanned!(ty.span()=> #derive::Columns);
                columns.push(quote!(columns.extend(<#ty as #implemented>::columns());));
                continue;
            }
            let renamed = case.map_or_else(|| rust_name.clone(), |case| case.field(&rust_name));
            let name = attributes.rename.clone().unwrap_or(renamed);
            if names.contains(&name) {
                let message = format!(
                    "`{rust_name}` is the second column {name:?}: rename one with \
                     #[serde(rename = \"…\")]"
                );
                return Err(Error::new(field.span(), message));
            }
            let ty = self.of_field(field, &attributes.form);
            columns.push(quote!(columns.push((::std::string::String::from(#name), #ty));));
            names.push(name);
        }
        Ok(columns)
    }

    fn column_of_text(&self, name: &str) -> Column {
        let derive = &self.derive;
        quote!(columns.push((::std::string::String::from(#name), #derive::Type::String));)
    }

    /// Returns the type of a struct with these columns.
    fn of_columns(&self, columns: &[Column]) -> TokenStream {
        let derive = &self.derive;
        quote!({
            let mut columns: ::std::vec::Vec<(::std::string::String, #derive::Type)> =
                ::std::vec::Vec::new();
            #(#columns)*
            #derive::Type::fields(columns)
        })
    }

    /// Returns the type of a value without field names: a unit, a newtype or a list.
    fn of_tuple(&self, fields: &Fields) -> Result<TokenStream> {
        let derive = &self.derive;
        let mut types = Vec::new();
        for (number, field) in fields.iter().enumerate() {
            let name = field.ident.as_ref().map_or(number.to_string(), Ident::to_string);
            let attributes = Field::parse(&field.attrs, &name)?;
            if !attributes.is_skipped {
                types.push(self.of_field(field, &attributes.form));
            }
        }
        Ok(match (&types[..], fields.len(), fields) {
            ([], 0, _) => quote!(#derive::Type::Null),
            // A newtype, or the only serialized field of a transparent struct.
            ([one], 1, _) | ([one], _, Fields::Named(_)) => one.clone(),
            (many, ..) => quote!(#derive::Type::list(#derive::any_of([#(#many),*]))),
        })
    }

    fn of_enum(&self, data: &DataEnum, container: &Container) -> Result<TokenStream> {
        let derive = &self.derive;
        let mut types = Vec::new();
        // The first variant that is a string, and the first that is a struct.
        let (mut text, mut fields) = (None, None);
        for variant in &data.variants {
            let attributes = Variant::parse(&variant.attrs)?;
            if attributes.is_skipped {
                continue;
            }
            let rust_name = variant.ident.unraw().to_string();
            let name = attributes.rename.clone().unwrap_or_else(|| {
                container.rename_all.map_or_else(|| rust_name.clone(), |c| c.variant(&rust_name))
            });
            let is_untagged = container.untagged || attributes.untagged;
            let is_external = !is_untagged && container.tag.is_none();
            if is_external {
                let first = if is_unit(&variant.fields) { &mut text } else { &mut fields };
                first.get_or_insert_with(|| variant.ident.clone());
            }
            let case = attributes.rename_all.or(container.rename_all_fields);
            types.push(self.of_variant(variant, &name, case, container, is_untagged)?);
        }
        if let (Some(text), Some(fields)) = (text, fields) {
            let message = format!(
                "`{text}` serializes as a string and `{fields}` as a struct, which do not fit one \
                 column: write #[serde(tag = \"kind\")] above the enum"
            );
            return Err(Error::new(fields.span(), message));
        }
        if types.is_empty() {
            return Err(Error::new(
                Span::call_site(),
                "an enum without variants has no values, so its column has no type",
            ));
        }
        Ok(quote!(#derive::any_of([#(#types),*])))
    }

    fn of_variant(
        &self,
        variant: &syn::Variant,
        name: &str,
        case: Option<Case>,
        container: &Container,
        is_untagged: bool,
    ) -> Result<TokenStream> {
        let derive = &self.derive;
        let fields = &variant.fields;
        let is_unit = is_unit(fields);
        let content = |taken: &[&str]| match fields {
            Fields::Named(_) => Ok(self.of_columns(&self.fields(fields, case, taken)?)),
            _ => self.of_tuple(fields),
        };
        if is_untagged {
            return content(&[]);
        }
        let Some(tag) = &container.tag else {
            if is_unit {
                return Ok(quote!(#derive::Type::String));
            }
            let content = content(&[])?;
            return Ok(quote!(#derive::Type::fields([(#name, #content)])));
        };
        let mut columns = vec![self.column_of_text(tag)];
        match (&container.content, fields) {
            _ if is_unit => {}
            (Some(name), _) => {
                let content = content(&[])?;
                columns.push(quote!(
                    columns.push((::std::string::String::from(#name), #content));
                ));
            }
            (None, Fields::Named(_)) => columns.extend(self.fields(fields, case, &[tag])?),
            (None, _) => {
                let Some(inner) = fields.iter().next().filter(|_| fields.len() == 1) else {
                    let message =
                        "serde cannot tag a variant with several unnamed fields: name them";
                    return Err(Error::new(fields.span(), message));
                };
                let ty = &inner.ty;
                let implemented: Path = parse_quote_spanned!(ty.span()=> #derive::Columns);
                columns.push(quote!(columns.extend(<#ty as #implemented>::columns());));
            }
        }
        Ok(self.of_columns(&columns))
    }
}

fn is_unit(fields: &Fields) -> bool {
    matches!(fields, Fields::Unit)
}
