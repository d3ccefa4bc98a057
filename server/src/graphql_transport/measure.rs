//! What a document amounts to once its fragments are expanded, computed without expanding them (sec.R3).

use std::collections::HashMap;

use async_graphql::Name;
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet};

use super::limits::Limits;
use super::refusal::{ErrorCode, Refusal};

/// The sums of one selection set. They saturate: a bomb of fragments ends at the maximum, over every limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Measure {
    depth: usize,
    selections: usize,
    aliases: usize,
    directives: usize,
    root_fields: usize,
    introspects: bool,
}

impl Measure {
    /// Adds what stands beside: a spread or an inline fragment brings its fields to this very set.
    fn beside(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.introspects |= other.introspects;
        self.add_counts(other);
    }

    /// Adds what stands under a field.
    fn beneath(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth.saturating_add(1));
        self.add_counts(other);
    }

    fn add_counts(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
    }
}

type Fragments<'a> = HashMap<&'a Name, Measure>;

/// Holds every operation of a document to the limits, and with `introspection` off refuses what asks for the schema.
pub(super) fn check(document: &ExecutableDocument, limits: &Limits, introspection: bool) -> Result<(), Refusal> {
    let fragments = measure_fragments(document)?;
    for (_, operation) in document.operations.iter() {
        let mut total = measure(&operation.node.selection_set.node, document, &fragments).unwrap_or_default();
        total.directives = total.directives.saturating_add(own_directives(&operation.node));
        check_operation(operation.node.ty, total, limits).map_err(|refusal| refusal.at([operation.pos]))?;
        if total.introspects && !introspection {
            let refusal = Refusal::document(ErrorCode::GraphqlValidationFailed, "introspection is off");
            return Err(refusal.at([operation.pos]));
        }
    }
    Ok(())
}

fn check_operation(operation: OperationType, total: Measure, limits: &Limits) -> Result<(), Refusal> {
    let bounds = [
        (total.depth, limits.depth, "nested fields"),
        (total.selections, limits.selections, "selections"),
        (total.aliases, limits.aliases, "aliases"),
        (total.directives, limits.directives, "directives"),
        match operation {
            OperationType::Mutation => (total.root_fields, 1, "root field of a mutation"),
            OperationType::Query | OperationType::Subscription => {
                (total.root_fields, limits.root_fields, "root fields")
            }
        },
    ];
    match bounds.into_iter().find(|(found, limit, _)| found > limit) {
        Some((_, limit, what)) => Err(Refusal::limit(what, limit)),
        None => Ok(()),
    }
}

fn own_directives(operation: &OperationDefinition) -> usize {
    let on_variables: usize =
        operation.variable_definitions.iter().map(|definition| definition.node.directives.len()).sum();
    operation.directives.len() + on_variables
}

/// Measures each fragment once, those first whose own fragments are known; what then remains goes round in a circle.
fn measure_fragments(document: &ExecutableDocument) -> Result<Fragments<'_>, Refusal> {
    let mut known = Fragments::new();
    let mut pending: Vec<_> = document.fragments.iter().collect();
    while !pending.is_empty() {
        let before = pending.len();
        pending.retain(|(name, fragment)| {
            let Some(mut found) = measure(&fragment.node.selection_set.node, document, &known) else { return true };
            found.directives = found.directives.saturating_add(fragment.node.directives.len());
            known.insert(name, found);
            false
        });
        if pending.len() == before {
            let refusal =
                Refusal::document(ErrorCode::GraphqlValidationFailed, "fragments spread each other in a circle");
            return Err(refusal.at(pending.iter().map(|(_, fragment)| fragment.pos).min()));
        }
    }
    Ok(known)
}

/// None while it spreads a fragment not measured yet. The lexer's bracket limit bounds the recursion.
fn measure(set: &SelectionSet, document: &ExecutableDocument, known: &Fragments<'_>) -> Option<Measure> {
    let mut sum = Measure::default();
    for selection in &set.items {
        let selection = &selection.node;
        sum.selections = sum.selections.saturating_add(1);
        sum.directives = sum.directives.saturating_add(selection.directives().len());
        match selection {
            Selection::Field(field) => {
                sum.root_fields = sum.root_fields.saturating_add(1);
                sum.aliases = sum.aliases.saturating_add(usize::from(field.node.alias.is_some()));
                sum.introspects |= matches!(field.node.name.node.as_str(), "__schema" | "__type");
                sum.beneath(measure(&field.node.selection_set.node, document, known)?);
            }
            Selection::InlineFragment(inline) => sum.beside(measure(&inline.node.selection_set.node, document, known)?),
            Selection::FragmentSpread(spread) => match known.get(&spread.node.fragment_name.node) {
                Some(fragment) => sum.beside(*fragment),
                None if document.fragments.contains_key(&spread.node.fragment_name.node) => return None,
                // Of a fragment that does not exist; the validator names it.
                None => {}
            },
        }
    }
    Some(sum)
}
