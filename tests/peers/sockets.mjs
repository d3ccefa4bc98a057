// A real client of the protocol: `sockets.mjs <url> <token>` follows the balance and prints each event and each close as a line of JSON,
// after a first line that is no port. It comes again by itself where the protocol lets it.
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(path.join(process.env.PEERS, "package.json"));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { createClient } = await load("graphql-ws");
const { default: WebSocket } = await load("ws");
const [url, token] = process.argv.slice(2);

const say = (what) => console.log(JSON.stringify(what));
console.log("0");

const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${token}` },
  retryAttempts: 0,
  on: { closed: (event) => say({ closed: event.code, reason: event.reason }), connected: () => say({ connected: true }) },
});
client.subscribe(
  { query: "subscription { balanceChanged { available position } }" },
  {
    next: (event) => say({ next: event.data.balanceChanged.available }),
    error: (error) => say({ error: error.code ?? String(error) }),
    complete: () => say({ complete: true }),
  },
);

// The tests end it by its input.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
