// What the suites of both SDKs share: a runner that prints a line for each test, and the fixtures.
//
// The gateway is at BASE_URL. CONTROL_URL tells what the simulated provider behind it saw:
// /calls?mark=TEXT how many requests held a text, /cancelled how many answers were given up because the client left.

import assert from "node:assert/strict";

export const baseURL = process.env.BASE_URL;
// May use sim-openai and sim-anthropic below /guarded, where others may use nothing.
export const callerKey = process.env.CALLER_KEY;
export const schemas = ["openai", "azure", "anthropic", "gemini", "ollama"];

// A red square of one pixel.
export const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

export const weather = {
  type: "object",
  properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
  required: ["city", "unit"],
};
export const clock = { type: "object", properties: { zone: { type: "string" } }, required: ["zone"] };

export async function control(path, query = {}) {
  const r = await fetch(`${process.env.CONTROL_URL}/${path}?${new URLSearchParams(query)}`);
  return Number(await r.text());
}

export async function eventually(what, holds, wait = 60_000) {
  for (const end = Date.now() + wait; !(await holds()); ) {
    assert.ok(Date.now() < end, `not within ${wait} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

// raises waits for the error of a promise, which must be of a class.
export async function raises(kind, promise) {
  try {
    await promise;
  } catch (e) {
    assert.ok(e instanceof kind, `${e?.constructor?.name} instead of ${kind.name}: ${e?.message}`);
    return e;
  }
  assert.fail(`no ${kind.name} was raised`);
}

// run runs tests: those that take a model with each schema's, the others once. It gives the number of failures.
export async function run(sdk, tests) {
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    for (const schema of test.length > 0 ? schemas : [""]) {
      const title = `${sdk} ${name} ${schema}`.trim();
      try {
        await (test.length > 0 ? test("sim-" + schema) : test());
        console.log("ok  ", title);
      } catch (e) {
        failed++;
        console.log("FAIL", title);
        console.log("     " + String(e.stack ?? e).replaceAll("\n", "\n     "));
      }
    }
  }
  return failed;
}
