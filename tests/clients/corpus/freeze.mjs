// `freeze.mjs <schema> <folder>`: writes the corpus over a schema, with graphql-js's verdicts, to files that `make test` reads without node.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse, print, visit } from "graphql";
import { corpus } from "./corpus.mjs";
import { faults, schemaOf } from "./reference.mjs";

const [source, folder] = process.argv.slice(2);
const bare = print(visit(parse(readFileSync(source, "utf8")), { enter: (node) => (node.description ? { ...node, description: undefined } : undefined) }));
const schema = schemaOf(bare);
const documents = corpus(schema, { ofEach: 3, unchanged: 30 }).map(({ name, query }) => JSON.stringify({ name, query, valid: faults(schema, query).length === 0 }));
writeFileSync(path.join(folder, "frozen.graphql"), `${bare}\n`);
writeFileSync(path.join(folder, "frozen.json"), `[\n${documents.join(",\n")}\n]\n`);
console.log(`${documents.length} documents`);
