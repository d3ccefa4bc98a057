// What a browser does by itself with links to files: it saves them whole and under their names, and asks for ranges where it would play them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/// A page of the server's own, signed in as the demo account.
const signedIn = async (context, server) => {
  const page = await context.newPage();
  await page.goto(`${server}/`);
  const ask = (query, variables) =>
    page.evaluate(
      async ([query, variables]) => {
        const headers = { "content-type": "application/json" };
        const answer = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
        return answer.json();
      },
      [query, variables],
    );
  const signIn = "mutation($input: SignInInput!) { signIn(input: $input) { userErrors { code } } }";
  const entered = await ask(signIn, { input: { email: "demo@demo.example", password: "atelier-demo-1" } });
  assert.deepEqual(entered.data.signIn.userErrors, []);
  return { page, ask };
};

/// Follows a link as a click does, and says what was saved.
const saved = async (page, url, attributes) => {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.evaluate(
      ([url, attributes]) => {
        const link = Object.assign(document.createElement("a"), { href: url, textContent: "save" }, attributes);
        document.body.append(link);
        link.click();
      },
      [url, attributes],
    ),
  ]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
};

/// What the same address answers to the page itself.
const fetched = (page, url) =>
  page.evaluate(async (url) => {
    const whole = await fetch(url);
    const head = await fetch(url, { method: "HEAD", cache: "no-store" });
    const bytes = Array.from(new Uint8Array(await whole.arrayBuffer()));
    return { status: whole.status, bytes, head: head.status, length: head.headers.get("content-length"), kind: head.headers.get("content-type") };
  }, url);

const IMAGES = "{ me { creations(first: 1) { edges { node { images { url } } } } } }";

export default {
  "a picture is saved whole under its name, and HEAD says how long it is": async (context, { server }) => {
    const { page, ask } = await signedIn(context, server);
    const url = (await ask(IMAGES)).data.me.creations.edges[0].node.images[0].url;
    const { name, bytes } = await saved(page, url, { download: "" });
    const whole = await fetched(page, url);
    assert.match(name, /\.png$/);
    assert.equal(bytes.subarray(1, 4).toString(), "PNG");
    assert.deepEqual([whole.status, whole.head, whole.kind], [200, 200, "image/png"]);
    assert.ok(bytes.equals(Buffer.from(whole.bytes)), "byte for byte");
    assert.equal(Number(whole.length), bytes.length);
  },

  "a copy of everything is saved by its link alone, and by nobody who is not signed in": async (context, { server, until }) => {
    const { page, ask } = await signedIn(context, server);
    const asked = await ask("mutation { requestDataExport { userErrors { code } } }");
    assert.deepEqual(asked.data.requestDataExport.userErrors, []);
    const copies = async () => (await ask("{ me { dataExports { state url bytes } } }")).data.me.dataExports[0];
    const copy = await until("the copy", async () => {
      const newest = await copies();
      return newest?.url ? newest : undefined;
    });
    const { name, bytes } = await saved(page, copy.url, {});
    assert.match(name, /^atelier-.*\.zip$/);
    assert.equal(bytes.subarray(0, 2).toString(), "PK");
    assert.equal(bytes.length, Number(copy.bytes));
    await context.clearCookies();
    const refused = await page.evaluate(async (url) => (await fetch(url)).status, copy.url);
    assert.equal(refused, 404);
  },

  "where it would play a file, it asks for a range and is given one": async (context, { sameSite, server, until }) => {
    const { ask } = await signedIn(context, server);
    const page = await context.newPage();
    await page.goto(`${sameSite}/`);
    const url = (await ask(IMAGES)).data.me.creations.edges[0].node.images[0].url;
    const answers = [];
    page.on("response", async (response) => {
      if (response.url() === url) answers.push([response.status(), await response.headerValue("content-range"), response.request().headers().range]);
    });
    await page.evaluate((url) => {
      const film = Object.assign(document.createElement("video"), { src: url, preload: "auto" });
      document.body.append(film);
      film.load();
    }, url);
    const [status, range, wanted] = await until("the browser to ask for a range", async () => answers[0]);
    assert.equal(status, 206);
    assert.match(wanted, /^bytes=0-/);
    assert.match(range, /^bytes 0-(\d+)\/\d+$/);
  },
};
