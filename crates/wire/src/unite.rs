//! Union of many types, each of which is merged only O(log n) times.

use streamtable_schema::{Clash, Type};

/// Returns the narrowest type that includes all the types.
pub(crate) fn unite_all(types: impl IntoIterator<Item = Type>) -> Type {
    let mut all = Uniting::new(|a, b| Ok(a.unite_any(b)));
    let united = types.into_iter().try_for_each(|ty| all.push(ty)).and_then(|()| all.finish());
    united.unwrap_or(Type::Unknown)
}

/// Partial unions, merged pairwise by weight.
///
/// A union's weight is the number of types in it, and only unions of similar weight are merged. A
/// list of structs with distinct fields therefore costs little more than its cells.
#[derive(Debug)]
pub(crate) struct Uniting {
    rule: fn(&Type, &Type) -> Result<Type, Clash>,
    /// The heaviest union. Nearly always the only one.
    first: Type,
    count: usize,
    /// The other unions, in order of decreasing weight.
    others: Vec<(usize, Type)>,
}

impl Uniting {
    /// Makes an empty union.
    pub(crate) fn new(rule: fn(&Type, &Type) -> Result<Type, Clash>) -> Self {
        Self { rule, first: Type::Unknown, count: 0, others: Vec::new() }
    }

    /// Adds a type. A clash with an earlier type may be reported later.
    pub(crate) fn push(&mut self, ty: Type) -> Result<(), Clash> {
        if self.count > 0 && self.first.includes(&ty) {
            return Ok(());
        }
        let (mut new, mut weight) = (ty, 1);
        while let Some((count, last)) = self.others.pop_if(|(count, _)| *count <= weight) {
            new = (self.rule)(&last, &new)?;
            weight += count;
        }
        if self.others.is_empty() && self.count <= weight {
            self.first = if self.count == 0 { new } else { (self.rule)(&self.first, &new)? };
            self.count += weight;
        } else {
            self.others.push((weight, new));
        }
        Ok(())
    }

    /// Returns the union of all added types.
    pub(crate) fn finish(self) -> Result<Type, Clash> {
        let Some(rest) = self
            .others
            .into_iter()
            .map(|(_, ty)| ty)
            .rev()
            .map(Ok)
            .reduce(|later, earlier| (self.rule)(&earlier?, &later?))
        else {
            return Ok(self.first);
        };
        (self.rule)(&self.first, &rest?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(types: &[Type], expected: &str) {
        let mut all = Uniting::new(Type::unite);
        let pushed = types.iter().try_for_each(|ty| all.push(ty.clone()));
        let text = match pushed.and_then(|()| all.finish()) {
            Ok(ty) => ty.to_string(),
            Err(clash) => clash.to_string(),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn unions() {
        let list = Type::list(Type::Int);
        check(&[], "unknown");
        check(&[Type::Unknown, Type::Int], "int");
        check(&[Type::Int, Type::Null, Type::Float, Type::Int], "float?");
        check(&[Type::Null, list.clone(), Type::list(Type::String)], "list<int | string>?");
        check(&[list.clone(), Type::Int], "list<int> and int do not mix");
        check(&[Type::Int, Type::String, list], "int | string and list<int> do not mix");
    }

    /// One by one, this would copy fifty million fields.
    #[test]
    fn many_structs_of_different_fields() {
        let types = (0..10_000).map(|i| Type::fields([(format!("f{i}"), Type::Int)]));
        let Type::Struct(fields) = unite_all(types) else { panic!("not a struct") };
        assert_eq!(fields.len(), 10_000);
        assert_eq!(fields.get("f7").map(ToString::to_string).as_deref(), Some("int?"));
    }

    #[test]
    fn late_clash() {
        let structs = (0..7).map(|i| Type::fields([(format!("f{i}"), Type::Int)]));
        let mut all = Uniting::new(Type::unite);
        let pushed = structs.chain([Type::Bool]).try_for_each(|ty| all.push(ty));
        assert!(pushed.and_then(|()| all.finish().map(drop)).is_err());
    }
}
