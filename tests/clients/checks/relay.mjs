// relay-compiler with its default settings: every connection of the schema with @connection and @refetchable, and the edge directives (B4).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { buildSchema, getNamedType, isObjectType, isRequiredArgument } from "graphql";
import compiler from "relay-compiler";
import { url } from "../studio.mjs";

const sdl = await (await fetch(`${url}/schema.graphql`)).text();
const schema = buildSchema(sdl);
const query = schema.getQueryType();
const node = schema.getType("Node");
const objects = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !type.name.startsWith("__"));

const fieldsOf = (type) => Object.values(type.getFields());
const isConnection = (type) => isObjectType(type) && type.name.endsWith("Connection");
const capital = (name) => name[0].toUpperCase() + name.slice(1);

/// A field with what it cannot be asked for without, as variables of its operation.
function call(field, more = "") {
  const needed = field.args.filter(isRequiredArgument).map((argument) => `${argument.name}: $${argument.name}`);
  const all = [...needed, ...(more ? [more] : [])];
  return { text: `${field.name}${all.length ? `(${all.join(", ")})` : ""}`, variables: field.args.filter(isRequiredArgument) };
}

/// The shortest way from Query to a type, as the fields on it.
function way(wanted) {
  const open = [{ type: query, fields: [] }];
  const seen = new Set([query]);
  for (const { type, fields } of open) {
    if (type === wanted) return fields;
    for (const field of fieldsOf(type)) {
      const next = getNamedType(field.type);
      if (isObjectType(next) && !seen.has(next)) {
        seen.add(next);
        open.push({ type: next, fields: [...fields, field] });
      }
    }
  }
  assert.fail(`${wanted.name} cannot be reached`);
}

/// A refetchable fragment over a connection: on its own type where Relay can fetch that again, else on Query.
function connection(parent, field) {
  const fetchable = parent === query || parent.getInterfaces().includes(node);
  const fields = fetchable ? [] : way(parent);
  const name = `Shown${parent.name}${capital(field.name)}`;
  const inner = call(field, "first: $count, after: $cursor");
  const on = fetchable ? parent.name : query.name;
  const variables = [...fields.map((step) => call(step)), inner].flatMap(({ variables }) => variables);
  const declared = variables.map((argument) => `${argument.name}: { type: "${argument.type}" }`).join(", ");
  const body = `${inner.text} @connection(key: "${name}_${field.name}") { edges { node { __typename } } }`;
  const whole = fields.reduceRight((below, step) => `${call(step).text} { ${below} }`, body);
  return `graphql\`fragment relay_${name} on ${on}
    @refetchable(queryName: "relay${name}Query")
    @argumentDefinitions(count: { type: "Int", defaultValue: 10 }, cursor: { type: "String" }${declared ? `, ${declared}` : ""}) { ${whole} }\`;`;
}

const MUTATIONS = [
  `mutation relayAppendMutation($input: RequestGenerationInput!, $connections: [ID!]!) {
    requestGeneration(input: $input) { generationEdge @appendEdge(connections: $connections) { cursor node { id } } } }`,
  `mutation relayPrependMutation($input: CreateApiKeyInput!, $connections: [ID!]!) {
    createApiKey(input: $input) { apiKeyEdge @prependEdge(connections: $connections) { cursor node { id label } } } }`,
  `mutation relayRotateMutation($input: RotateApiKeyInput!, $connections: [ID!]!) {
    rotateApiKey(input: $input) { apiKeyEdge @prependEdge(connections: $connections) { cursor node { id } } } }`,
  `mutation relayNodeMutation($input: RequestGenerationInput!, $connections: [ID!]!) {
    requestGeneration(input: $input) { generation @prependNode(connections: $connections, edgeTypeName: "GenerationEdge") { id } } }`,
  `mutation relayDeleteMutation($input: DeleteGenerationInput!, $connections: [ID!]!) {
    deleteGeneration(input: $input) { deletedId @deleteEdge(connections: $connections) } }`,
  `mutation relayRecordMutation($input: DeleteGenerationInput!) { deleteGeneration(input: $input) { deletedId @deleteRecord } }`,
];

/// What relay-compiler says of these documents; it throws with its own words.
function compile(documents) {
  const home = mkdtempSync(path.join(tmpdir(), "atelier-relay-"));
  try {
    mkdirSync(path.join(home, "src"));
    writeFileSync(path.join(home, "schema.graphql"), sdl);
    writeFileSync(path.join(home, "package.json"), "{}");
    writeFileSync(path.join(home, "relay.config.json"), JSON.stringify({ src: "./src", schema: "./schema.graphql", language: "javascript" }));
    writeFileSync(path.join(home, "src", "relay.js"), documents.join("\n"));
    execFileSync(compiler, [], { cwd: home, stdio: "pipe", encoding: "utf8" });
    return readdirSync(path.join(home, "src", "__generated__"));
  } catch (error) {
    throw new Error(`relay-compiler: ${error.stdout ?? ""}${error.stderr ?? error}`);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

test("every connection", () => {
  const connections = objects.flatMap((type) => fieldsOf(type).filter((field) => isConnection(getNamedType(field.type))).map((field) => [type, field]));
  assert.ok(connections.length >= 9, `${connections.length} connections`);
  const made = compile(connections.map(([type, field]) => connection(type, field)));
  assert.equal(made.filter((file) => file.endsWith("Query.graphql.js")).length, connections.length);
});

test("edges that mutations return", () => {
  const made = compile(MUTATIONS.map((text) => `graphql\`${text}\`;`));
  assert.equal(made.length, MUTATIONS.length);
});

test("every node by its id", () => {
  const kinds = schema.getPossibleTypes(node).map((type) => type.name).sort();
  assert.deepEqual(kinds, ["Creator", "Generation", "Me"]);
  compile(kinds.map((kind) => `graphql\`fragment relay_${kind} on ${kind} @refetchable(queryName: "relay${kind}Query") { id }\`;`));
});
