// Packs what GraphiQL is made of from node_modules into the files that the server has inside: `node pack.mjs <folder> <target>`.
// GraphiQL and React are published minified for browsers; they are joined, not built. With `--check` the files of the target must be
// what would be written.
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";

const [modules, target, check] = process.argv.slice(2);
const read = (path) => readFileSync(join(modules, path), "utf8");

const scripts = ["react/umd/react.production.min.js", "react-dom/umd/react-dom.production.min.js", "graphiql/graphiql.min.js"];
const script = scripts.map((path) => read(path).replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n")).join(";\n");

// Which packages are inside, the bundle's own map says.
const inside = new Set(["react", "react-dom", "graphiql", "scheduler", "@graphiql/react", "@graphiql/toolkit"]);
for (const source of JSON.parse(read("graphiql/graphiql.min.js.map")).sources) {
  const parts = source.split("node_modules/").pop().split("/");
  if (source.includes("node_modules/")) inside.add(parts[0].startsWith("@") ? `${parts[0]}/${parts[1]}` : parts[0]);
}
for (const name of ["@graphiql/plugin-doc-explorer", "@graphiql/plugin-history", "codemirror-graphql", "graphql-language-service"]) {
  inside.add(name);
}

const permissive = ["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC"];
const textOf = (name) => {
  const folder = join(modules, name);
  const file = existsSync(folder) && readdirSync(folder).find((file) => /^licen[sc]e/i.test(file));
  return file ? readFileSync(join(folder, file), "utf8").trim() : undefined;
};
const byText = new Map();
for (const name of [...inside].sort()) {
  const manifest = join(modules, name, "package.json");
  const licence = existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).license : undefined;
  // A package that was published without its licence's text, or is part of another by now, has that of its publisher.
  const sibling = [...inside].find((other) => name.startsWith("@") && other.split("/")[0] === name.split("/")[0] && textOf(other));
  const text = textOf(name) ?? (sibling && textOf(sibling)) ?? (licence && `Licensed under ${licence}.`);
  if (!text || (licence && !permissive.includes(licence))) throw new Error(`${name}: no licence that we may pass on (${licence})`);
  byText.set(text, [...(byText.get(text) ?? []), name]);
}
const licences = [...byText].map(([text, names]) => `${names.join(", ")}\n\n${text}\n`).join(`\n${"-".repeat(80)}\n\n`);

const files = { "graphiql.js.gz": script, "graphiql.css.gz": read("graphiql/graphiql.min.css"), "LICENSES.txt": licences };
for (const [name, text] of Object.entries(files)) {
  const path = join(target, name);
  const packed = name.endsWith(".gz");
  if (check) {
    // Not the packed bytes: each zlib has its own.
    const bytes = readFileSync(path);
    if ((packed ? gunzipSync(bytes) : bytes).toString("utf8") !== text) throw new Error(`${name} is not what the packages give`);
  } else {
    writeFileSync(path, packed ? gzipSync(text, { level: 9 }) : text);
  }
}
console.log(`GraphiQL: ${inside.size} packages, ${check ? "as committed" : "written"}.`);
