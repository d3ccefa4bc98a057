// Pages of other origins: by cookie on the same site, by token across sites, and pages of nobody's.
import assert from "node:assert/strict";

const IMAGES = "{ explore(first: 1) { edges { node { images { url } } } } }";
const BALANCE = "subscription { balanceChanged { available } }";

/// A page of an origin.
const pageOf = async (context, origin) => {
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  return page;
};

/// What a signed-in page does; `options` says by what it asks.
const everything = async (page, server, options) => {
  const me = await page.evaluate(([server, options]) => graphql(server, "{ me { id } }", options), [server, options]);
  assert.match(me.data.me.id, /^acc_/);
  assert.ok(me.requestId, "X-Request-Id can be read");

  const uploaded = await page.evaluate(([server, options]) => uploadAvatar(server, options), [server, options]);
  assert.equal(uploaded.status, 200, JSON.stringify(uploaded));
  const avatar = Object.values(uploaded.urls)[0];
  const explored = await page.evaluate(([server, query, options]) => graphql(server, query, options), [server, IMAGES, options]);
  const image = explored.data.explore.edges[0].node.images[0].url;
  for (const how of ["fetch", "img"]) {
    for (const credentials of ["include", "omit"]) {
      const [red, green, blue] = await page.evaluate((asked) => middleOf(...asked), [avatar, how, credentials]);
      assert.ok(red > 180 && green < 60 && blue < 90, `${how}, ${credentials}: ${[red, green, blue]}`);
      assert.equal((await page.evaluate((asked) => middleOf(...asked), [image, how, credentials]))[3], 255);
    }
  }
  const payload = options.token ? { authorization: `Bearer ${options.token}` } : undefined;
  const event = await page.evaluate((asked) => firstEvent(...asked), [server, BALANCE, payload]);
  assert.equal(typeof event.data?.balanceChanged?.available, "number", JSON.stringify(event));
};

export default {
  "on the same site a page signs in, asks, uploads, listens and draws by the cookie": async (context, { sameSite, server }) => {
    const page = await pageOf(context, sameSite);
    const before = await page.evaluate((server) => graphql(server, "{ me { id } }"), server);
    assert.deepEqual(before.data, { me: null });
    await page.evaluate((server) => signIn(server), server);
    await everything(page, server, {});
    const status = await page.evaluate(async (server) => (await fetch(`${server}/exports/x`, { credentials: "include" })).status, server);
    assert.equal(status, 404, "an answer that can be read");
    await page.evaluate((server) => graphql(server, "mutation { signOut { userErrors { code } } }"), server);
    assert.deepEqual(await context.cookies(server).then((all) => all.map((one) => one.name)), ["atelier-device-dev"]);
  },

  "across sites a page does the same by its token, and no cookie of ours goes along": async (context, { crossSite, server }) => {
    const page = await pageOf(context, crossSite);
    const token = await page.evaluate((server) => signIn(server), server);
    const without = await page.evaluate((server) => graphql(server, "{ me { id } }"), server);
    assert.deepEqual(without.data, { me: null }, "SameSite=Lax");
    await everything(page, server, { token });
  },

  "an API key works from a page, and its limits can be read": async (context, { crossSite, server }) => {
    const page = await pageOf(context, crossSite);
    const seen = await page.evaluate(async (server) => {
      const token = await signIn(server);
      const made = await graphql(server, "mutation { createApiKey(input: {label: \"page\"}) { secret } }", { token });
      const authorization = `Bearer ${made.data.createApiKey.secret}`;
      const headers = { authorization, "content-type": "application/json", "idempotency-key": "k", prefer: "wait=1" };
      const body = JSON.stringify({ prompt: "x", model: "z-image-turbo", width: 64, height: 64 });
      const priced = await fetch(`${server}/v1/generate?dry_run=true`, { method: "POST", headers, body });
      const refused = await fetch(`${server}/v1/models`, { headers: { authorization: "Bearer x" } });
      const shown = ["ratelimit", "ratelimit-policy", "x-ratelimit-remaining", "x-request-id"].map((name) => priced.headers.get(name));
      return { status: priced.status, shown, refused: refused.status };
    }, server);
    assert.deepEqual([seen.status, seen.refused], [200, 401]);
    assert.ok(seen.shown.every(Boolean), JSON.stringify(seen.shown));
  },

  "a stale cookie is taken back, and the page can go on": async (context, { sameSite, server }) => {
    const page = await pageOf(context, sameSite);
    await context.addCookies([{ name: "atelier-session-dev", value: "nonsense", url: server }]);
    const told = await page.evaluate((server) => graphql(server, "{ me { id } models { id } }"), server);
    assert.equal(told.errors[0].extensions.code, "UNAUTHENTICATED");
    assert.ok(told.data.models.length > 0);
    const again = await page.evaluate((server) => graphql(server, "{ me { id } }"), server);
    assert.deepEqual([again.data, again.errors], [{ me: null }, undefined]);
  },

  "a page of nobody's reads nothing and changes nothing, though its cookie goes along": async (context, { foreign, sameSite, server }) => {
    const own = await pageOf(context, sameSite);
    await own.evaluate((server) => signIn(server), server);
    const bio = () => own.evaluate((server) => graphql(server, "{ me { profile { bio } } }"), server);
    const before = await bio();
    const page = await pageOf(context, foreign);
    const cookies = await context.cookies(server);
    const tried = await page.evaluate(async (server) => {
      const query = 'mutation { updateProfile(input: {bio: "owned"}) { userErrors { code } } }';
      const body = JSON.stringify({ query });
      const attempt = (url, options) => fetch(url, options).then((response) => response.type, (error) => error.name);
      return [
        await attempt(`${server}/graphql`, { method: "POST", headers: { "content-type": "application/json" }, body, credentials: "include" }),
        await attempt(`${server}/graphql`, { method: "POST", body, credentials: "include" }),
        await attempt(`${server}/graphql`, { method: "POST", body, credentials: "include", mode: "no-cors" }),
        await attempt(`${server}/v1/openapi.json`, { credentials: "include" }),
        await middleOf(`${server}/avatars/x/y/256`, "img", "include").then(() => "drawn", (error) => error.name),
        JSON.stringify(await firstEvent(server, "subscription { balanceChanged { available } }")),
      ];
    }, server);
    assert.deepEqual(tried, ["TypeError", "TypeError", "opaque", "TypeError", "EncodingError", '{"closed":1006}']);
    const left = await context.cookies(server);
    assert.deepEqual(left.map((one) => one.value), cookies.map((one) => one.value), "its cookies are as they were");
    assert.deepEqual((await bio()).data, before.data);
  },
};
