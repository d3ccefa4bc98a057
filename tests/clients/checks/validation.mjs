// The corpus against the running node: it and graphql-js call the same documents valid, and a valid query's answer has the shape that
// graphql-js would give it (B3).
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildClientSchema, executeSync, findBreakingChanges, findDangerousChanges, Kind, parse } from "graphql";
import { corpus, introspection } from "../corpus/corpus.mjs";
import { faults, schemaOf } from "../corpus/reference.mjs";
import { account, ask, url } from "../studio.mjs";

const INVALID = ["GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"];
/// Cost limits come before validation, so that an invalid document may meet one first, and a valid one may be too expensive.
const EXPENSIVE = "LIMIT_EXCEEDED";
const schema = schemaOf(await (await fetch(`${url}/schema.graphql`)).text());
const documents = corpus(schema);
const { token } = await account();
let [expensive, compared] = [0, 0];

test("the corpus has valid and invalid documents", () => {
  const valid = documents.filter(({ query }) => faults(schema, query).length === 0).length;
  assert.ok(valid >= 100 && documents.length - valid >= 100, `${valid} of ${documents.length} are valid`);
});

test("introspection gives the schema that its text gives", async () => {
  const { body } = await ask(introspection);
  assert.equal(body.errors, undefined);
  const told = buildClientSchema(body.data);
  for (const [from, to] of [[schema, told], [told, schema]]) {
    const changes = [...findBreakingChanges(from, to), ...findDangerousChanges(from, to)];
    // The built-in directives are each side's own.
    assert.deepEqual(changes.filter(({ type }) => !type.startsWith("DIRECTIVE_")), []);
  }
});

/// The answer of graphql-js that takes each field from the node's own answer: the same, unless a field is missing, too many, or elsewhere.
function reshaped(query, operationName, data) {
  const byKey = (source, _, __, { path }) => source[path.key];
  const typeResolver = (source) => source.__typename;
  return executeSync({ schema, document: parse(query), operationName, rootValue: data, fieldResolver: byKey, typeResolver });
}

for (const { name, query } of documents) {
  test(name, async () => {
    const expected = faults(schema, query);
    const operations = expected.length > 0 ? [] : parse(query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    const operationName = operations[0]?.name?.value;
    const reading = operations[0]?.operation === "query";
    // Queries as somebody for whom there is something to see; the rest as nobody, so that nothing is done.
    const { body } = await ask(query, { operationName, token: reading ? token : undefined });
    const codes = (body.errors ?? []).map((error) => error.extensions.code);
    const limited = codes.includes(EXPENSIVE);
    if (limited && expected.length === 0) expensive += 1;
    const refused = codes.some((code) => INVALID.includes(code)) || (limited && expected.length > 0);
    assert.equal(refused, expected.length > 0, `${query}\ngraphql-js: ${expected}\natelier: ${JSON.stringify(body)}`);
    if (reading && body.data && body.errors === undefined && operations[0].variableDefinitions.length === 0 && !query.includes("__schema")) {
      compared += 1;
      const same = reshaped(query, operationName, body.data);
      assert.equal(JSON.stringify(same.data), JSON.stringify(body.data), `${query}\n${same.errors}`);
    }
  });
}

test("few valid documents are over a limit, and the answers of many were compared", () => {
  assert.ok(expensive <= 15 && compared >= 40, `${expensive} are over a limit, ${compared} were compared`);
});
