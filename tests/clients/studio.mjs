// The node under test, for the checks: its address, a plain request, and an account of its own for a check.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

/// The address, without a trailing slash.
export const url = process.env.STUDIO_URL;
/// Where GraphQL is asked.
export const endpoint = `${url}/graphql`;
/// Where subscriptions are.
export const socket = `${url.replace("http", "ws")}/graphql/ws`;

const PASSWORD = "correct-horse-1";

/// A GraphQL request by nothing but `fetch`: its status, headers and body.
export async function ask(query, { variables, token, ...more } = {}) {
  const headers = { "content-type": "application/json", accept: "application/graphql-response+json" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(endpoint, { method: "POST", headers, body: JSON.stringify({ query, variables, ...more }) });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

/// The first root field of a request that must succeed.
async function done(query, variables) {
  const { body } = await ask(query, { variables });
  assert.equal(body.errors, undefined, JSON.stringify(body));
  const [field] = Object.values(body.data);
  assert.deepEqual(field.userErrors ?? [], [], JSON.stringify(body));
  return field;
}

/// The link of the newest mail to an address, which arrives a moment after what caused it.
async function mailedLink(email) {
  const mail = new RegExp(`<a href="(/mailbox/[^"]+)">[^<]*</a> to ${email}`);
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    const page = (await (await fetch(`${url}/mailbox`)).text()).match(mail)?.[1];
    const link = page && (await (await fetch(url + page)).text()).match(/href="(http[^"]+token=[^"]+)"/)?.[1];
    if (link) return new URL(link.replaceAll("&amp;", "&"));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("no mail with a link");
}

/// A new account with a proven address, signed in.
export async function account() {
  const username = `c${randomBytes(6).toString("hex")}`;
  const email = `${username}@example.com`;
  const signUp = { email, password: PASSWORD, username, minimumAge: 18 };
  await done("mutation ($input: SignUpInput!) { signUp(input: $input) { userErrors { code message } } }", { input: signUp });
  const link = await mailedLink(email);
  const body = new URLSearchParams({ token: link.searchParams.get("token"), password: PASSWORD });
  const verified = await fetch(`${url}/verify-email`, { method: "POST", body });
  assert.equal(verified.status, 200, await verified.text());
  const signIn = { email, password: PASSWORD };
  const { token } = await done("mutation ($input: SignInInput!) { signIn(input: $input) { token userErrors { code message } } }", { input: signIn });
  return { username, email, password: PASSWORD, token };
}
