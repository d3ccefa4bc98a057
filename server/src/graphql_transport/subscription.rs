//! The root field of a subscription, where the executor looks for it: it knows no fragments there.

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Positioned};

/// Puts the root field of a subscription in place of the fragments that it stands in, as long as they have no directives and nothing beside.
/// The document is valid, so that it has one root field and no fragment in a circle.
pub(super) fn unfold(document: &mut ExecutableDocument, name: Option<&str>) {
    let operation = match (&mut document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get_mut(&Name::new(name)),
        (DocumentOperations::Multiple(_), None) => None,
    };
    let Some(operation) = operation else { return };
    let root = &mut operation.node.selection_set;
    loop {
        let within: Positioned<SelectionSet> = match root.node.items.as_slice() {
            [only] if only.node.directives().is_empty() => match &only.node {
                Selection::Field(_) => return,
                Selection::InlineFragment(inline) => inline.node.selection_set.clone(),
                Selection::FragmentSpread(spread) => match document.fragments.get(&spread.node.fragment_name.node) {
                    Some(fragment) => fragment.node.selection_set.clone(),
                    None => return,
                },
            },
            _ => return,
        };
        *root = within;
    }
}
