// graphql-ws with its default settings: subscriptions, and that queries and mutations are sent to POST (B2).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { account, socket } from "../studio.mjs";

let client;
before(async () => {
  const { token } = await account();
  client = createClient({ url: socket, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${token}` } });
});
after(() => client.dispose());

/// The first event; what follows is not asked for.
async function first(payload) {
  const events = client.iterate(payload);
  const { value } = await events.next();
  await events.return();
  return value;
}

test("a subscription", async () => {
  const { data } = await first({ query: "subscription { balanceChanged { available } }" });
  assert.equal(data.balanceChanged.available, 500);
});

test("a subscription with its name, variables that are not declared, and extensions", async () => {
  const query = "subscription A($environment: Environment!) { balanceChanged(environment: $environment) { available } } query B { models { id } }";
  const { data } = await first({ query, operationName: "A", variables: { environment: "LIVE", extra: [1] }, extensions: { a: 1 } });
  assert.equal(data.balanceChanged.available, 500);
});

test("what is wrong with a subscription", async () => {
  const wrong = (query, variables) => assert.rejects(first({ query, variables }), (errors) => errors[0].extensions.code !== undefined);
  await wrong("subscription { nothing }");
  await wrong("subscription ($environment: Environment!) { balanceChanged(environment: $environment) { available } }", { environment: "DEAD" });
});

test("queries and mutations are told where to go", async () => {
  for (const query of ["{ models { id } }", "mutation { signOut { position } }"]) {
    await assert.rejects(first({ query }), (errors) => /not served over sockets/.test(errors[0].message));
  }
});
