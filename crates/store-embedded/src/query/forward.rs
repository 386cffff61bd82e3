//! Forwarding of a wrapped function's properties.

/// Implements the methods that name a function by those of the field `function`. The parameter is the
/// type of the arguments from which a column is named.
macro_rules! forward_names {
    ($args:ty) => {
        fn name(&self) -> &str {
            self.function.name()
        }

        fn aliases(&self) -> &[String] {
            self.function.aliases()
        }

        fn schema_name(&self, args: $args) -> Result<String> {
            self.function.schema_name(args)
        }
    };
}

/// Implements comparison and hashing of a wrapper `$wrapper<F>` by its field `function`.
macro_rules! compare_by_function {
    ($wrapper:ident) => {
        impl<F: PartialEq> PartialEq for $wrapper<F> {
            fn eq(&self, other: &Self) -> bool {
                self.function == other.function
            }
        }

        impl<F: Eq> Eq for $wrapper<F> {}

        impl<F: std::hash::Hash> std::hash::Hash for $wrapper<F> {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.function.hash(state);
            }
        }
    };
}

/// Implements the methods of `ScalarUDFImpl` that describe a function by those of the field
/// `function`: all but those that compute a result or return an expression.
macro_rules! forward_to_function {
    () => {
        $crate::query::forward::forward_names!(&[Expr]);

        fn signature(&self) -> &Signature {
            self.function.signature()
        }

        fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
            self.function.return_type(arg_types)
        }

        fn is_strict(&self) -> bool {
            self.function.is_strict()
        }

        fn short_circuits(&self) -> bool {
            self.function.short_circuits()
        }

        fn conditional_arguments<'a>(
            &self,
            args: &'a [Expr],
        ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
            self.function.conditional_arguments(args)
        }

        fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
            self.function.coerce_types(arg_types)
        }

        fn documentation(&self) -> Option<&Documentation> {
            self.function.documentation()
        }
    };
}

pub(super) use {compare_by_function, forward_names, forward_to_function};
