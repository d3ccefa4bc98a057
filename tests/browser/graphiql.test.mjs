// GraphiQL without a network: every file is the server's own, and nothing is against the page's policy.
import assert from "node:assert/strict";
import { join } from "node:path";

const write = (page, query) =>
  page.locator(".graphiql-query-editor .CodeMirror").evaluate((editor, query) => editor.CodeMirror.setValue(query), query);

/// Writes a document and runs it once GraphiQL has read it, which it does a moment after the last letter.
const run = async (page, query, { until }) => {
  await write(page, query);
  const read = () =>
    page.locator(".graphiql-query-editor .CodeMirror").evaluate((editor) => {
      const { documentAST, getValue } = editor.CodeMirror;
      return documentAST?.loc?.source.body === getValue.call(editor.CodeMirror);
    });
  await until("GraphiQL to read the document", read);
  await page.locator(".graphiql-execute-button").click();
};
const result = (page) => page.locator(".result-window").innerText();

export default {
  "it starts, completes names, runs a query and a subscription": async (context, { server, until }) => {
    const page = await context.newPage();
    const [elsewhere, complaints] = [[], []];
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== server && protocol !== "data:") elsewhere.push(request.url());
    });
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    await page.goto(`${server}/`);
    await run(page, "{ models { id } }", { until });
    await until("the models", async () => (await result(page)).includes("z-image-turbo"));

    // The schema was read: the editor knows a field that is none.
    const wrong = () => page.locator(".graphiql-query-editor .CodeMirror-lint-mark-error").count();
    await write(page, "{ nothing }");
    await until("the mark under a wrong field", wrong);

    // The session's cookie counts here, and on the socket.
    await page.evaluate(async () => {
      const query = "mutation($input: SignInInput!) { signIn(input: $input) { userErrors { code } } }";
      const input = { email: "demo@demo.example", password: "atelier-demo-1" };
      const headers = { "content-type": "application/json" };
      await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables: { input } }) });
    });
    await run(page, "subscription { balanceChanged { available } }", { until });
    await until("the balance", async () => /"available": \d+/.test(await result(page))).catch(async (error) => {
      throw new Error(`${error.message}: ${await result(page)}`);
    });
    if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, "graphiql.png") });
    assert.deepEqual(elsewhere, []);
    assert.deepEqual(complaints, []);
  },
};
