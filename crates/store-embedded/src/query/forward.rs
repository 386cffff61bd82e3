//! Forwarding of a wrapped function's properties.

/// Implements the methods of `ScalarUDFImpl` that describe a function by those of the field
/// `function`: all but those that compute a result or return an expression.
macro_rules! forward_to_function {
    () => {
        fn name(&self) -> &str {
            self.function.name()
        }

        fn aliases(&self) -> &[String] {
            self.function.aliases()
        }

        fn schema_name(&self, args: &[Expr]) -> Result<String> {
            self.function.schema_name(args)
        }

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

pub(super) use forward_to_function;
