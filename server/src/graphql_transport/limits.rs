//! What one GraphQL request may cost before anything runs (sec.R3).

/// The bounds of one request. A request exactly at a bound passes; one over it is refused with `LIMIT_EXCEEDED`.
///
/// Every operation of a document is held to them, not only the one that would run: the validator behind walks all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the HTTP body; more is answered 413.
    pub body_bytes: usize,
    /// Bytes of the query component of a GET's address, as sent; more is answered 414.
    pub url_bytes: usize,
    /// Bytes of the `variables` member as sent.
    pub variables_bytes: usize,
    /// Lexical tokens of the document.
    pub tokens: usize,
    /// Brackets of any kind open at once; keeps hostile documents away from the recursive parser.
    pub brackets: usize,
    /// Bytes of one name.
    pub name_bytes: usize,
    /// Nested fields, leaves included, fragments expanded.
    pub depth: usize,
    /// Nested fields and fragments; the executor itself refuses more than 32 levels.
    pub nesting: usize,
    /// Selections of every kind (fields with `__typename`, fragment spreads, inline fragments), fragments expanded.
    pub selections: usize,
    /// The same over all operations of a document together, and in each fragment, used or not.
    pub document_selections: usize,
    /// Aliased fields, an aliased `__typename` included, fragments expanded.
    pub aliases: usize,
    /// Fields at the root of a query, fragments expanded; a mutation has exactly one whatever stands here.
    pub root_fields: usize,
    /// Directives, fragments expanded.
    pub directives: usize,
    /// Fields, fragments expanded, each once per item of every page it stands in: pages within pages multiply.
    pub cost: usize,
    /// Items that a page without `first` counts as, at least the largest default of a field.
    pub page_default: usize,
    /// Items of the largest page a field allows; a page that asks for more counts as this, its resolver refuses it.
    pub page_most: usize,
}

impl Default for Limits {
    /// Room for every screen of the web app and for the introspection query of GraphiQL (15 deep), not for much more.
    ///
    /// A full page with every field of a generation costs about 3,400, a full page within a full page more than 10,000.
    fn default() -> Self {
        Self {
            body_bytes: 256 * 1024,
            url_bytes: 16 * 1024,
            variables_bytes: 64 * 1024,
            tokens: 4_000,
            brackets: 50,
            name_bytes: 200,
            depth: 15,
            nesting: 32,
            selections: 1_000,
            document_selections: 4_000,
            aliases: 30,
            root_fields: 10,
            directives: 20,
            cost: 5_000,
            page_default: 50,
            page_most: 100,
        }
    }
}
