// The audit of `graphql-http`: everything that GraphQL over HTTP says a server must, should and may do (B3).
import assert from "node:assert/strict";
import { test } from "node:test";
import { serverAudits } from "graphql-http";
import { endpoint } from "../studio.mjs";

const audits = serverAudits({ url: endpoint });

test("the audit has all its parts", () => assert.equal(audits.length, 61));
for (const { id, name, fn } of audits) {
  test(`${id} ${name}`, async () => {
    const result = await fn();
    assert.equal(result.status, "ok", result.reason);
  });
}
