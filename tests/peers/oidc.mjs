// A real OpenID provider with one client: `oidc.mjs <client id> <client secret> <redirect address>`. Whoever comes with a login_hint is
// signed in as that account at once: `sub,email,verified` (as `ada-1,ada@example.com,true`; no address: `ada-1,,`).
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

// It warns of what is right for a test: keys of its own, memory for a store.
console.info = console.warn = () => {};

const require = createRequire(path.join(process.env.PEERS, "package.json"));
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);
const [clientId, clientSecret, redirectUri] = process.argv.slice(2);

const server = http.createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const { port } = server.address();

// What is known of each subject: what the last hint said.
const people = new Map();

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  // Google puts the address into the ID token as well.
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  async findAccount(_context, id) {
    return { accountId: id, claims: async () => ({ sub: id, ...people.get(id) }) };
  },
});

const answer = provider.callback();
server.on("request", async (request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  const { prompt, params } = await provider.interactionDetails(request, response);
  const [accountId, email, verified] = params.login_hint.split(",");
  people.set(accountId, email ? { email, email_verified: verified === "true" } : {});
  if (prompt.name === "login") {
    return provider.interactionFinished(request, response, { login: { accountId } });
  }
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope("openid email");
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
});

console.log(port);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
