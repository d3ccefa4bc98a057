// The corpus: documents over the served schema, the same in every run, valid and invalid, generated and written by hand.
import { readFileSync } from "node:fs";
import { getIntrospectionQuery, print } from "graphql";
import { choices } from "./random.mjs";
import { changes } from "./changes.mjs";
import { validDocument } from "./valid.mjs";

const SEED = 20261130;
/// The introspection query with all that graphql-js can ask for.
export const introspection = getIntrospectionQuery({
  descriptions: true, specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true, inputValueDeprecation: true, oneOf: true,
});

/// All documents with their names: how many of each kind of change, and how many unchanged ones.
export function corpus(schema, { ofEach = 8, unchanged = 60 } = {}) {
  const pick = choices(SEED);
  const operation = () => pick.one(["query", "query", "query", "mutation", "subscription"]);
  const documents = [];
  for (let n = 0; n < unchanged; n += 1) {
    documents.push({ name: `unchanged ${n}`, query: print(validDocument(schema, operation(), pick)) });
  }
  for (const [name, change] of Object.entries(changes)) {
    for (let n = 0; n < ofEach; n += 1) documents.push({ name: `${name} ${n}`, query: changed(schema, change, operation, pick) });
  }
  documents.push({ name: "introspection by graphql-js", query: introspection });
  return [...documents, ...byHand()];
}

/// A document in which the change found something to change.
function changed(schema, change, operation, pick) {
  for (;;) {
    const valid = validDocument(schema, operation(), pick);
    const document = structuredClone(valid);
    change(document, pick, schema);
    if (print(document) !== print(valid)) return print(document);
  }
}

/// Those of by-hand.txt, each after a line `#! name`.
function byHand() {
  const text = readFileSync(new URL("by-hand.txt", import.meta.url), "utf8");
  return text.split(/^#! /m).slice(1).map((part) => {
    const end = part.indexOf("\n");
    return { name: part.slice(0, end), query: part.slice(end + 1).replace(/\n$/, "") };
  });
}
