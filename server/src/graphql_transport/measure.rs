//! What a document amounts to once its fragments are expanded, computed without expanding them (sec.R3).

use std::collections::HashMap;

use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Value as GraphqlValue, Variables};

use super::input_schema::{InputSchema, PAGE_SIZE};
use super::limits::Limits;
use super::refusal::{ErrorCode, Refusal};

/// The sums of one selection set. They saturate: a bomb of fragments ends at the maximum, over every limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Measure {
    depth: usize,
    /// As depth, with a level for each fragment too.
    nesting: usize,
    selections: usize,
    aliases: usize,
    directives: usize,
    root_fields: usize,
    cost: usize,
    introspects: bool,
}

impl Measure {
    /// Adds what stands beside: a spread or an inline fragment brings its fields to this very set.
    fn beside(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting.saturating_add(1));
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.cost = self.cost.saturating_add(other.cost);
        self.introspects |= other.introspects;
        self.add_counts(other);
    }

    /// Adds what stands under a field, but for its cost, which depends on the field.
    fn beneath(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth.saturating_add(1));
        self.nesting = self.nesting.max(other.nesting.saturating_add(1));
        self.add_counts(other);
    }

    fn add_counts(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
    }
}

type Fragments<'a> = HashMap<&'a Name, Measure>;

/// What documents are measured against.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) schema: &'a InputSchema,
    pub(super) limits: &'a Limits,
    /// The values this request runs with, because the size of a page may be one; without them the cost is not looked at.
    pub(super) variables: Option<&'a Variables>,
}

impl Bounds<'_> {
    /// What a field adds to the cost.
    fn cost(self, field: &Field, beneath: Measure) -> usize {
        let beneath = if introspects(field) {
            // The schema is in memory and has no pages; a fragment on it may hold names that are pages elsewhere.
            beneath.selections
        } else if self.schema.is_paged(&field.name.node) {
            beneath.cost.saturating_mul(self.page_size(field))
        } else {
            beneath.cost
        };
        beneath.saturating_add(1)
    }

    /// How many items a page counts as. A size that its resolver refuses counts as the nearest it takes, and what is no
    /// size at all as the largest: nothing under it runs, and nothing under it is free.
    fn page_size(self, field: &Field) -> usize {
        let given = field.get_argument(PAGE_SIZE).and_then(|value| {
            let variable = |name| self.variables.and_then(|values| values.get(&name)).cloned().ok_or(());
            value.node.clone().into_const_with(variable).ok()
        });
        match given {
            // A variable without a value is an argument that is not given.
            None | Some(GraphqlValue::Null) => self.limits.page_default,
            Some(GraphqlValue::Number(size)) if size.is_i64() || size.is_u64() => {
                let size = size.as_u64().map_or(0, |size| usize::try_from(size).unwrap_or(usize::MAX));
                size.min(self.limits.page_most).max(1)
            }
            Some(_) => self.limits.page_most,
        }
    }
}

fn introspects(field: &Field) -> bool {
    matches!(field.name.node.as_str(), "__schema" | "__type")
}

/// Holds every operation of a document to the limits, and with `introspection` off refuses what asks for the schema.
pub(super) fn check(document: &ExecutableDocument, bounds: Bounds<'_>, introspection: bool) -> Result<(), Refusal> {
    let fragments = measure_fragments(document, bounds)?;
    let mut selections = 0_usize;
    for (_, operation) in document.operations.iter() {
        let mut total = measure(&operation.node.selection_set.node, document, bounds, &fragments).unwrap_or_default();
        total.directives = total.directives.saturating_add(own_directives(&operation.node));
        check_operation(operation.node.ty, total, bounds).map_err(|refusal| refusal.at([operation.pos]))?;
        if total.introspects && !introspection {
            let refusal = Refusal::document(ErrorCode::GraphqlValidationFailed, "introspection is off");
            return Err(refusal.at([operation.pos]));
        }
        selections = selections.saturating_add(total.selections);
    }
    // What the validator walks: each operation with its fragments.
    let most = fragments.values().map(|fragment| fragment.selections).max().unwrap_or(0).max(selections);
    if most > bounds.limits.document_selections {
        return Err(Refusal::limit("selections of a document", bounds.limits.document_selections));
    }
    Ok(())
}

fn check_operation(operation: OperationType, total: Measure, bounds: Bounds<'_>) -> Result<(), Refusal> {
    let limits = bounds.limits;
    let limited = [
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
        (total.nesting, limits.nesting, "nested fields and fragments"),
        (if bounds.variables.is_some() { total.cost } else { 0 }, limits.cost, "fields over all items of all pages"),
    ];
    match limited.into_iter().find(|(found, limit, _)| found > limit) {
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
fn measure_fragments<'a>(document: &'a ExecutableDocument, bounds: Bounds<'_>) -> Result<Fragments<'a>, Refusal> {
    let mut known = Fragments::new();
    let mut pending: Vec<_> = document.fragments.iter().collect();
    while !pending.is_empty() {
        let before = pending.len();
        pending.retain(|(name, fragment)| {
            let set = &fragment.node.selection_set.node;
            let Some(mut found) = measure(set, document, bounds, &known) else { return true };
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
fn measure(
    set: &SelectionSet,
    document: &ExecutableDocument,
    bounds: Bounds<'_>,
    known: &Fragments<'_>,
) -> Option<Measure> {
    let mut sum = Measure::default();
    for selection in &set.items {
        let selection = &selection.node;
        sum.selections = sum.selections.saturating_add(1);
        sum.directives = sum.directives.saturating_add(selection.directives().len());
        match selection {
            Selection::Field(field) => {
                sum.root_fields = sum.root_fields.saturating_add(1);
                sum.aliases = sum.aliases.saturating_add(usize::from(field.node.alias.is_some()));
                sum.introspects |= introspects(&field.node);
                let beneath = measure(&field.node.selection_set.node, document, bounds, known)?;
                sum.cost = sum.cost.saturating_add(bounds.cost(&field.node, beneath));
                sum.beneath(beneath);
            }
            Selection::InlineFragment(inline) => {
                sum.beside(measure(&inline.node.selection_set.node, document, bounds, known)?);
            }
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
