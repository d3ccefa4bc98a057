// urql with its default settings (B2, B3).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { cacheExchange, Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import { pipe, take, toPromise } from "wonka";
import WebSocket from "ws";
import { account, endpoint, socket } from "../studio.mjs";

let own, client, wsClient;
before(async () => {
  own = await account();
  const headers = { authorization: `Bearer ${own.token}` };
  wsClient = createClient({ url: socket, webSocketImpl: WebSocket, connectionParams: headers });
  // As urql's documentation shows it.
  const forwardSubscription = (request) => {
    const input = { ...request, query: request.query || "" };
    return { subscribe: (sink) => ({ unsubscribe: wsClient.subscribe(input, sink) }) };
  };
  const exchanges = [cacheExchange, fetchExchange, subscriptionExchange({ forwardSubscription })];
  client = new Client({ url: endpoint, exchanges, fetchOptions: { headers } });
});
after(() => wsClient.dispose());

const ME = gql`query Me { me { profile { username } } }`;
const EXPLORE = gql`query Explore($first: Int) { explore(first: $first) { position } }`;

test("a query", async () => {
  const { data, error } = await client.query(ME, {}).toPromise();
  assert.equal(error, undefined);
  assert.equal(data.me.profile.username, own.username);
});

for (const preferGetMethod of ["force", "within-url-limit", false]) {
  test(`a query, preferGetMethod ${preferGetMethod}`, async () => {
    const { data, error } = await client.query(EXPLORE, { first: 2 }, { preferGetMethod, requestPolicy: "network-only" }).toPromise();
    assert.equal(error, undefined);
    assert.ok(data.explore.position);
  });
}

test("variables that are not declared", async () => {
  for (const preferGetMethod of ["force", false]) {
    const { error } = await client.query(EXPLORE, { first: 1, after: "", extra: { a: [1] } }, { preferGetMethod }).toPromise();
    assert.equal(error, undefined);
  }
});

test("a mutation", async () => {
  const rename = gql`mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { me { profile { displayName } } userErrors { code } } }`;
  const { data, error } = await client.mutation(rename, { input: { displayName: "Ada U." }, extra: 1 }).toPromise();
  assert.equal(error, undefined);
  assert.equal(data.updateProfile.me.profile.displayName, "Ada U.");
});

test("a subscription", async () => {
  const balance = gql`subscription { balanceChanged { available } }`;
  const { data, error } = await pipe(client.subscription(balance, { extra: 1 }), take(1), toPromise);
  assert.equal(error, undefined);
  assert.equal(data.balanceChanged.available, 500);
});
