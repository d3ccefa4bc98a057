// A provider that can lie, because a correct one cannot be made to: `lying_oidc.mjs <client id> <client secret>`. It answers the token
// request for a code `<lie>.<nonce>` with an ID token that is right in everything but the lie.
import crypto from "node:crypto";
import http from "node:http";

const [clientId, clientSecret] = process.argv.slice(2);
const { publicKey, privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const stranger = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const base64 = (value) => Buffer.from(value).toString("base64url");

const server = http.createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

function idToken(lie, nonce) {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: "RS256", kid: "known", typ: "JWT" };
  const claims = { iss: issuer, aud: clientId, sub: "liar-1", nonce, iat: now, exp: now + 300 };
  Object.assign(claims, { email: "liar@example.com", email_verified: true });
  if (lie === "nonce") claims.nonce = base64("another nonce of 43 letters, or thereabouts");
  if (lie === "no-nonce") delete claims.nonce;
  if (lie === "iss") claims.iss = "https://accounts.example.com";
  if (lie === "aud") claims.aud = "another-client";
  if (lie === "more-aud") claims.aud = [clientId, "another-client"];
  if (lie === "foreign-azp") claims.azp = "another-client";
  if (lie === "own-azp") claims.azp = clientId;
  if (lie === "not-yet") claims.nbf = now + 400;
  if (lie === "skewed") Object.assign(claims, { iat: now + 200, nbf: now + 200 });
  if (lie === "from-the-future") claims.iat = now + 400;
  if (lie === "from-the-past") claims.iat = now - 400;
  if (lie === "no-subject") claims.sub = "";
  if (lie === "blank-subject") claims.sub = " ";
  if (lie === "endless-subject") claims.sub = "x".repeat(256);
  if (lie === "expired") Object.assign(claims, { iat: now - 200, exp: now - 1 });
  if (lie === "auth-time-old") claims.auth_time = now - 120;
  if (lie === "auth-time-now") claims.auth_time = now;
  if (lie === "kid") header.kid = "unknown";
  if (lie === "none") header.alg = "none";
  if (lie.startsWith("hs256")) header.alg = "HS256";
  const signed = `${base64(JSON.stringify(header))}.${base64(JSON.stringify(claims))}`;
  if (lie === "none") return `${signed}.`;
  if (lie.startsWith("hs256")) {
    const pem = publicKey.export({ type: "spki", format: "pem" });
    const key = lie === "hs256-secret" ? clientSecret : pem;
    return `${signed}.${crypto.createHmac("sha256", key).update(signed).digest("base64url")}`;
  }
  const key = lie === "signature" ? stranger.privateKey : privateKey;
  return `${signed}.${crypto.sign("sha256", Buffer.from(signed), key).toString("base64url")}`;
}

server.on("request", async (request, response) => {
  const json = (status, value) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  if (request.url === "/.well-known/openid-configuration") {
    return json(200, {
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256", "HS256", "none"],
    });
  }
  if (request.url === "/jwks") {
    return json(200, { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "known", use: "sig", alg: "RS256" }] });
  }
  let body = "";
  for await (const chunk of request) body += chunk;
  if (request.url === "/elsewhere") return json(200, { access_token: "t", token_type: "Bearer", id_token: idToken("honest", "") });
  const [lie, nonce] = new URLSearchParams(body).get("code").split(".");
  if (lie === "redirect") {
    response.writeHead(307, { location: "/elsewhere" });
    return response.end();
  }
  const answer = { access_token: "t", token_type: "Bearer", id_token: idToken(lie, nonce) };
  if (lie === "no-token") delete answer.id_token;
  if (lie === "large") answer.padding = "x".repeat(1024 * 1024);
  json(200, answer);
});

console.log(server.address().port);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
