//! Union of many types, each of which is merged only O(log n) times.

use streamtable_schema::Type;

/// Returns the narrowest type that includes all the types.
pub(crate) fn unite_all(types: impl IntoIterator<Item = Type>) -> Type {
    let mut all = Uniting::default();
    types.into_iter().for_each(|ty| all.push(ty));
    all.finish()
}

/// Partial unions, merged pairwise by weight.
///
/// A union's weight is the number of types in it, and only unions of similar weight are merged. A
/// list of structs with distinct fields therefore costs little more than its cells.
#[derive(Debug)]
pub(crate) struct Uniting {
    /// The heaviest union. Nearly always the only one.
    first: Type,
    count: usize,
    /// The other unions, in order of decreasing weight.
    others: Vec<(usize, Type)>,
}

impl Default for Uniting {
    fn default() -> Self {
        Self { first: Type::Unknown, count: 0, others: Vec::new() }
    }
}

impl Uniting {
    /// Adds a type.
    pub(crate) fn push(&mut self, ty: Type) {
        if self.count > 0 && self.first.includes(&ty) {
            return;
        }
        let (mut new, mut weight) = (ty, 1);
        while let Some((count, last)) = self.others.pop_if(|(count, _)| *count <= weight) {
            new = last.unite(&new);
            weight += count;
        }
        if self.others.is_empty() && self.count <= weight {
            self.first = if self.count == 0 { new } else { self.first.unite(&new) };
            self.count += weight;
        } else {
            self.others.push((weight, new));
        }
    }

    /// Returns the union of all added types.
    pub(crate) fn finish(self) -> Type {
        let others = self.others.into_iter().map(|(_, ty)| ty).rev();
        match others.reduce(|later, earlier| earlier.unite(&later)) {
            Some(rest) => self.first.unite(&rest),
            None => self.first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(types: &[Type], expected: &str) {
        assert_eq!(unite_all(types.iter().cloned()).to_string(), expected);
    }

    #[test]
    fn unions() {
        let list = Type::list(Type::Int);
        check(&[], "unknown");
        check(&[Type::Unknown, Type::Int], "int");
        check(&[Type::Int, Type::Null, Type::Float, Type::Int], "float?");
        check(&[Type::Null, list.clone(), Type::list(Type::String)], "list<int | string>?");
        check(&[list.clone(), Type::Int], "int | list<int>");
        check(&[Type::Int, Type::String, list], "int | string | list<int>");
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
    fn another_kind_after_many_structs() {
        let structs = (0..7).map(|i| Type::fields([(format!("f{i}"), Type::Int)]));
        let Type::Union(union) = unite_all(structs.chain([Type::Bool])) else { panic!("a union") };
        assert_eq!(union.members().len(), 2);
    }
}
