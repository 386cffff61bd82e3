//! The functions that queries can call.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::{Session as _, TableFunction};
use datafusion::common::Result;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::registry::{ExtensionTypeRegistryRef, FunctionRegistry as _};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};

use super::icontains::IContains;
use super::types::BoundType;

/// All functions and the planners of their operators. Made once: a query's session only refers to
/// them.
#[derive(Debug)]
pub(super) struct Library {
    scalar: Vec<Arc<ScalarUDF>>,
    higher_order: Vec<Arc<HigherOrderUDF>>,
    aggregate: Vec<Arc<AggregateUDF>>,
    window: Vec<Arc<WindowUDF>>,
    table: HashMap<String, Arc<TableFunction>>,
    extension_types: ExtensionTypeRegistryRef,
    planners: Vec<Arc<dyn ExprPlanner>>,
    rewrites: Vec<Arc<dyn FunctionRewrite + Send + Sync>>,
}

impl Library {
    pub(super) fn new() -> Result<Self> {
        let mut state = SessionStateBuilder::new().with_default_features().build();
        datafusion_functions_json::register_all(&mut state)?;
        state.register_udf(Arc::new(ScalarUDF::from(IContains::new())))?;
        let distance = state.udf("array_distance")?;
        let distance = ScalarUDF::clone(&distance).with_aliases(["l2_distance"]);
        state.register_udf(Arc::new(distance))?;
        for name in BoundType::NAMES {
            let function = BoundType::new(state.udf(name)?);
            state.register_udf(Arc::new(ScalarUDF::from(function)))?;
        }
        Ok(Self {
            scalar: by_own_name(state.scalar_functions(), |it| it.name()),
            higher_order: by_own_name(state.higher_order_functions(), |it| it.name()),
            aggregate: by_own_name(state.aggregate_functions(), |it| it.name()),
            window: by_own_name(state.window_functions(), |it| it.name()),
            table: state.table_functions().clone(),
            extension_types: Arc::clone(state.extension_type_registry()),
            planners: state.expr_planners().to_vec(),
            rewrites: state.analyzer().function_rewrites.clone(),
        })
    }

    /// Builds a session with all functions. The planners `first` are asked before those of the
    /// functions.
    pub(super) fn build(
        &self,
        session: SessionStateBuilder,
        first: Vec<Arc<dyn ExprPlanner>>,
    ) -> Result<SessionState> {
        let planners = first.into_iter().chain(self.planners.iter().cloned());
        let mut state = session
            .with_scalar_functions(self.scalar.clone())
            .with_higher_order_functions(self.higher_order.clone())
            .with_aggregate_functions(self.aggregate.clone())
            .with_window_functions(self.window.clone())
            .with_table_functions(self.table.clone())
            .with_extension_type_registry(Arc::clone(&self.extension_types))
            .with_expr_planners(planners.collect())
            .build();
        for rewrite in &self.rewrites {
            state.register_function_rewrite(Arc::clone(rewrite))?;
        }
        Ok(state)
    }
}

/// Returns each function once. The map has it under each of its names.
fn by_own_name<F>(functions: &HashMap<String, Arc<F>>, name: impl Fn(&F) -> &str) -> Vec<Arc<F>> {
    let own = functions.iter().filter(|(key, function)| *key == name(function));
    own.map(|(_, function)| Arc::clone(function)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_belongs_to_one_function() {
        let library = Library::new().unwrap();
        let mut owners = HashMap::new();
        let mut add = |function: &str, aliases: &[String]| {
            for name in aliases.iter().map(String::as_str).chain([function]) {
                let other = owners.insert(name.to_owned(), function.to_owned());
                assert!(other.is_none_or(|other| other == function), "{name} is not unique");
            }
        };
        library.scalar.iter().for_each(|it| add(it.name(), it.aliases()));
        library.higher_order.iter().for_each(|it| add(it.name(), it.aliases()));
        assert!(owners.len() > 200, "{}", owners.len());
        let state = library.build(SessionStateBuilder::new(), Vec::new()).unwrap();
        let usual = SessionStateBuilder::new().with_default_features().build();
        let is_same = |(name, function): (&String, &Arc<ScalarUDF>)| {
            state.scalar_functions().get(name).is_some_and(|it| it.name() == function.name())
        };
        assert!(usual.scalar_functions().iter().all(is_same));
        assert_eq!(state.aggregate_functions().len(), usual.aggregate_functions().len());
        assert_eq!(state.window_functions().len(), usual.window_functions().len());
    }
}
