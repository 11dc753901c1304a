// The package @anthropic-ai/sdk as a client.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";

import { baseURL, callerKey, clock, control, eventually, png, raises, schemas, weather } from "./suite.mjs";

const client = new Anthropic({ baseURL, apiKey: "sk-of-the-client", maxRetries: 0 });

const tools = [
  { name: "get_weather", description: "Tells the weather.", input_schema: weather },
  { name: "get_time", description: "Tells the time.", input_schema: clock },
];
const thinking = { type: "enabled", budget_tokens: 2048 };

const ask = (model, content, more = {}) => ({ model, max_tokens: 4096, messages: [{ role: "user", content }], ...more });
const textOf = (m) => m.content.filter((b) => b.type === "text").map((b) => b.text).join("");

export async function chats(model) {
  const r = await client.messages.create(ask(model, "How are you?", { system: "Be kind." }));
  assert.match(textOf(r), /^Hello, this is sim/);
  assert.equal(r.stop_reason, "end_turn");
  assert.ok(r.usage.input_tokens > 0 && r.usage.output_tokens > 0);
}

export async function streams(model) {
  const whole = await client.messages.create(ask(model, "How are you?"));
  const stream = client.messages.stream(ask(model, "How are you?"));
  let text = "";
  stream.on("text", (delta) => (text += delta));
  const final = await stream.finalMessage();
  assert.equal(text, textOf(whole));
  assert.equal(textOf(final), text);
  assert.equal(final.stop_reason, "end_turn");
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
  assert.equal(final.usage.input_tokens, whole.usage.input_tokens);
}

export async function streamEvents(model) {
  const kinds = [];
  for await (const e of await client.messages.create(ask(model, "Hi", { stream: true }))) if (kinds.at(-1) !== e.type) kinds.push(e.type);
  const want = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"];
  assert.deepEqual(kinds.filter((k) => k !== "ping"), want);
}

export async function callsTools(model) {
  await answerCalls(model, await client.messages.create(ask(model, "Call get_weather and get_time", { tools })));
}

export async function callsToolsStreamed(model) {
  const stream = client.messages.stream(ask(model, "Call get_weather and get_time", { tools }));
  let pieces = 0;
  stream.on("inputJson", () => pieces++);
  const first = await stream.finalMessage();
  assert.ok(pieces >= 2, `${pieces} pieces`);
  await answerCalls(model, first);
}

async function answerCalls(model, first) {
  assert.equal(first.stop_reason, "tool_use");
  const calls = first.content.filter((b) => b.type === "tool_use");
  const found = Object.fromEntries(calls.map((c) => [c.name, c.input]));
  assert.deepEqual(Object.keys(found).sort(), ["get_time", "get_weather"]);
  assert.ok(["celsius", "fahrenheit"].includes(found.get_weather.unit) && "zone" in found.get_time);
  const results = calls.map((c) => ({ type: "tool_result", tool_use_id: c.id, content: `result of ${c.name}` }));
  const messages = [...ask(model, "Call get_weather and get_time").messages, { role: "assistant", content: first.content }, { role: "user", content: results }];
  const r = await client.messages.create({ model, max_tokens: 4096, messages, tools, tool_choice: { type: "none" } });
  assert.match(textOf(r), /result of/);
}

const Recipe = z.object({ name: z.string(), steps: z.array(z.object({ title: z.string(), minutes: z.number().int() })) });

export async function structuredOutput(model) {
  const body = ask(model, "A recipe", { output_config: { format: zodOutputFormat(Recipe) } });
  Recipe.parse((await client.messages.parse(body)).parsed_output);
  Recipe.parse((await client.messages.stream(body).finalMessage()).parsed_output);
}

export async function images(model) {
  const content = [{ type: "image", source: { type: "base64", media_type: "image/png", data: png } }, { type: "text", text: "What is this?" }];
  const r = await client.messages.create(ask(model, content));
  assert.match(textOf(r), model === "sim-ollama" ? /What is this/ : /Attachments received: 1/);
}

// Thoughts and their signatures go back in the next turn, tool results included: Anthropic and Gemini check them.
export async function thinks(model) {
  await replay(model, await client.messages.create(ask(model, "Think, then call get_weather", { tools, thinking })));
}

export async function thinksStreamed(model) {
  await replay(model, await client.messages.stream(ask(model, "Think, then call get_weather", { tools, thinking })).finalMessage());
}

async function replay(model, first) {
  const thoughts = first.content.filter((b) => b.type === "thinking");
  if (!["sim-openai", "sim-azure"].includes(model)) assert.ok(thoughts.length > 0 && thoughts[0].thinking, JSON.stringify(first));
  if (["sim-anthropic", "sim-gemini"].includes(model)) assert.ok(thoughts.some((b) => b.signature), JSON.stringify(first));
  const call = first.content.find((b) => b.type === "tool_use");
  const result = [{ type: "tool_result", tool_use_id: call.id, content: "sunny" }];
  const messages = [...ask(model, "Think, then call get_weather").messages, { role: "assistant", content: first.content }, { role: "user", content: result }];
  const r = await client.messages.create({ model, max_tokens: 4096, messages, tools, thinking, tool_choice: { type: "none" } });
  assert.match(textOf(r), /sunny/);
}

export async function countsTokens(model) {
  const few = await client.messages.countTokens({ model, messages: ask(model, "Hi").messages });
  const many = await client.messages.countTokens({ model, messages: ask(model, "Hi ".repeat(200)).messages, tools });
  assert.ok(0 < few.input_tokens && few.input_tokens < many.input_tokens, `${few.input_tokens} ${many.input_tokens}`);
}

const kinds = {
  400: [Anthropic.BadRequestError, "invalid_request_error"], 401: [Anthropic.AuthenticationError, "authentication_error"],
  403: [Anthropic.PermissionDeniedError, "permission_error"], 404: [Anthropic.NotFoundError, "not_found_error"],
  429: [Anthropic.RateLimitError, "rate_limit_error"], 500: [Anthropic.InternalServerError, "api_error"],
  529: [Anthropic.InternalServerError, "overloaded_error"],
};

export async function errors(model) {
  for (const [status, [kind, type]] of Object.entries(kinds)) {
    for (const stream of [false, true]) {
      const e = await raises(kind, client.messages.create(ask(model, `Hi [[simulate: status=${status}]]`, { stream })));
      assert.equal(e.status, Number(status));
      assert.equal(e.error.type, "error");
      assert.equal(e.error.error.type, type);
      assert.match(e.error.error.message, status === "401" ? /credentials/ : new RegExp(`asked to answer with status ${status}`));
    }
  }
}

async function drain(stream) {
  for await (const _ of stream);
}

export async function errorWithinStream(model) {
  const body = ask(model, "Hi [[simulate: tokens=40 error-after=9 error-status=529]]", { stream: true });
  const e = await raises(Anthropic.APIError, client.messages.create(body).then(drain));
  assert.match(e.message, /asked to break this stream/);
}

export async function cutStream(model) {
  const body = ask(model, "Hi [[simulate: tokens=40 cut-after=9]]", { stream: true });
  const e = await raises(Anthropic.APIError, client.messages.create(body).then(drain));
  assert.match(e.message, /ended before the answer was complete/);
}

// The SDK waits as Retry-After says and asks again.
export async function retries(model) {
  const mark = `retry-node-anthropic-${model}`, begun = Date.now();
  const body = ask(model, `${mark} [[simulate: status=429 retry-after=1]]`);
  await raises(Anthropic.RateLimitError, client.messages.create(body, { maxRetries: 1 }));
  assert.ok(Date.now() - begun >= 990, "did not wait");
  assert.equal(await control("calls", { mark }), 2);
}

export async function cancelledStream(model) {
  const before = await control("cancelled");
  const stream = await client.messages.create(ask(model, "Go on [[simulate: tokens=4000 delay=50ms]]", { stream: true }));
  let n = 0;
  for await (const _ of stream) if (++n === 6) break; // which aborts the request
  await eventually("the provider sees that the client left", async () => (await control("cancelled")) > before);
}

export async function unknownModel() {
  const e = await raises(Anthropic.NotFoundError, client.messages.create(ask("nobody", "Hi")));
  assert.match(e.message, /sim-gemini/);
}

export async function models() {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert.deepEqual(ids, schemas.map((s) => "sim-" + s));
  assert.equal((await client.models.retrieve("sim-gemini")).id, "sim-gemini");
  await raises(Anthropic.NotFoundError, client.models.retrieve("nobody"));
}

export async function authentication() {
  const caller = (credential) => new Anthropic({ baseURL: baseURL + "/guarded", maxRetries: 0, ...credential });
  const nobody = "nk-nobody-0123456789abcdef";
  for (const credential of [{ apiKey: nobody }, { apiKey: null, authToken: nobody }]) {
    const e = await raises(Anthropic.AuthenticationError, caller(credential).messages.create(ask("sim-anthropic", "Hi")));
    assert.equal(e.error.error.type, "authentication_error");
  }
  for (const credential of [{ apiKey: callerKey }, { apiKey: null, authToken: callerKey }]) {
    assert.ok((await caller(credential).messages.create(ask("sim-anthropic", "Hi"))).content.length);
    await raises(Anthropic.NotFoundError, caller(credential).messages.create(ask("sim-gemini", "Hi")));
  }
}

export async function limit() {
  const limited = new Anthropic({ baseURL: baseURL + "/limited", apiKey: "k", maxRetries: 0, defaultHeaders: { "x-mark": "node-anthropic" } });
  assert.ok((await limited.messages.create(ask("sim-anthropic", "Hi"))).content.length);
  const e = await raises(Anthropic.RateLimitError, limited.messages.create(ask("sim-anthropic", "Hi")));
  assert.equal(e.error.error.type, "rate_limit_error");
  assert.ok(Number(e.headers.get("retry-after")) >= 1);
}
