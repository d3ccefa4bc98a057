// graphql-request with its default settings (B2, B3). It has no subscriptions.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ClientError, gql, GraphQLClient, request } from "graphql-request";
import { account, endpoint } from "../studio.mjs";

let own, headers, client;
before(async () => {
  own = await account();
  headers = { authorization: `Bearer ${own.token}` };
  client = new GraphQLClient(endpoint, { headers });
});

const EXPLORE = gql`query Explore($first: Int) { explore(first: $first) { position } }`;

test("a query", async () => {
  const data = await client.request(gql`{ me { profile { username } } }`);
  assert.equal(data.me.profile.username, own.username);
});

test("a query without a client", async () => {
  assert.ok((await request(endpoint, EXPLORE, { first: 1 })).explore.position);
});

test("a query by GET", async () => {
  const byGet = new GraphQLClient(endpoint, { headers, method: "GET" });
  assert.ok((await byGet.request(EXPLORE, { first: 1, extra: true })).explore.position);
});

test("variables that are not declared", async () => {
  assert.ok((await client.request(EXPLORE, { first: 1, extra: { a: [1] } })).explore.position);
});

test("a mutation", async () => {
  const rename = gql`mutation Rename($input: UpdateProfileInput!) { updateProfile(input: $input) { me { profile { displayName } } } }`;
  const data = await client.request(rename, { input: { displayName: "Ada R." }, extra: 1 });
  assert.equal(data.updateProfile.me.profile.displayName, "Ada R.");
});

test("an error of a document", async () => {
  await assert.rejects(client.request(gql`{ nothing }`), (error) => error instanceof ClientError && error.response.errors.length === 1);
});
