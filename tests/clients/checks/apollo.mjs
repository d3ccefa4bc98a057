// Apollo Client with its default settings: cache, links and sockets as its documentation shows them, and automatic persisted queries (B2, B3).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { createPersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { account, endpoint, socket } from "../studio.mjs";

const ME = gql`query Me { me { profile { username displayName } credits { available } } }`;
const MODELS = gql`query Models { models { id } }`;
const RENAME = gql`
  mutation Rename($input: UpdateProfileInput!) { updateProfile(input: $input) { me { profile { displayName } } userErrors { code message } } }`;
const BALANCE = gql`subscription Balance { balanceChanged { available position } }`;

let own, client, wsClient;
before(async () => {
  own = await account();
  const headers = { authorization: `Bearer ${own.token}` };
  wsClient = createClient({ url: socket, webSocketImpl: WebSocket, connectionParams: headers });
  const link = ApolloLink.split(({ operationType }) => operationType === "subscription", new GraphQLWsLink(wsClient), new HttpLink({ uri: endpoint, headers }));
  client = new ApolloClient({ link, cache: new InMemoryCache() });
});
after(() => {
  client.stop();
  return wsClient.dispose();
});

test("a query", async () => {
  const { data } = await client.query({ query: ME });
  assert.equal(data.me.profile.username, own.username);
});

test("a query by GET", async () => {
  const byGet = new ApolloClient({ link: new HttpLink({ uri: endpoint, useGETForQueries: true }), cache: new InMemoryCache() });
  const { data } = await byGet.query({ query: gql`query By($first: Int) { explore(first: $first) { position } }`, variables: { first: 3 } });
  assert.ok(data.explore.position);
  byGet.stop();
});

test("a mutation", async () => {
  const { data } = await client.mutate({ mutation: RENAME, variables: { input: { displayName: "Ada \u{1f600}" } } });
  assert.deepEqual(data.updateProfile.userErrors, []);
  assert.equal(data.updateProfile.me.profile.displayName, "Ada \u{1f600}");
});

test("variables that are not declared", async () => {
  const all = new HttpLink({ uri: endpoint, includeUnusedVariables: true });
  const sending = new ApolloClient({ link: all, cache: new InMemoryCache() });
  const { data } = await sending.query({ query: MODELS, variables: { first: 1, after: null } });
  assert.ok(data.models.length > 0);
  sending.stop();
});

test("an error of a document", async () => {
  await assert.rejects(client.query({ query: gql`query Wrong { nothing }` }), /nothing/);
});

test("a subscription", async () => {
  const event = await new Promise((resolve, reject) => {
    const subscription = client.subscribe({ query: BALANCE, variables: { extra: 1 } }).subscribe({
      next: (result) => {
        subscription.unsubscribe();
        resolve(result);
      },
      error: reject,
    });
  });
  assert.equal(event.error, undefined);
  assert.equal(event.data.balanceChanged.available, 500);
});

/// A client that sends hashes first, and what it sent.
function hashing(useGETForHashedQueries) {
  const sent = [];
  const recording = (uri, options) => {
    sent.push(`${options.method} ${(options.body ?? decodeURIComponent(uri)).includes("models") ? "document" : "hash"}`);
    return fetch(uri, options);
  };
  const persisted = createPersistedQueryLink({ sha256: (text) => createHash("sha256").update(text).digest("hex"), useGETForHashedQueries });
  const link = ApolloLink.from([persisted, new HttpLink({ uri: endpoint, fetch: recording })]);
  return { client: new ApolloClient({ link, cache: new InMemoryCache() }), sent };
}

for (const [method, useGet] of [["POST", false], ["GET", true]]) {
  test(`automatic persisted queries by ${method} fall back, and are not tried again`, async () => {
    const { client, sent } = hashing(useGet);
    for (const _ of [1, 2]) {
      const { data } = await client.query({ query: MODELS, fetchPolicy: "network-only" });
      assert.ok(data.models.length > 0);
    }
    assert.deepEqual(sent, [`${method} hash`, "POST document", "POST document"]);
    client.stop();
  });
}
