// The package openai as a client.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { baseURL, callerKey, clock, control, eventually, png, raises, schemas, weather } from "./suite.mjs";

const client = new OpenAI({ baseURL: baseURL + "/v1", apiKey: "sk-of-the-client", maxRetries: 0 });
const chat = client.chat.completions;

const tools = [
  { type: "function", function: { name: "get_weather", description: "Tells the weather.", parameters: weather } },
  { type: "function", function: { name: "get_time", description: "Tells the time.", parameters: clock } },
];

const user = (content) => [{ role: "user", content }];

async function collect(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

export async function chats(model) {
  const r = await chat.create({ model, messages: [{ role: "system", content: "Be kind." }, ...user("How are you?")], max_completion_tokens: 200 });
  assert.match(r.choices[0].message.content, /^Hello, this is sim/);
  assert.equal(r.choices[0].finish_reason, "stop");
  assert.ok(r.usage.prompt_tokens > 0 && r.usage.completion_tokens > 0);
  assert.equal(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens);
}

export async function streams(model) {
  const whole = await chat.create({ model, messages: user("How are you?") });
  let text = "", finish, usage;
  const stream = await chat.create({ model, messages: user("How are you?"), stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(finish, "stop");
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
  assert.equal(usage.prompt_tokens, whole.usage.prompt_tokens);
}

export async function streamsWithoutUsage(model) {
  for await (const chunk of await chat.create({ model, messages: user("Hi"), stream: true })) assert.equal(chunk.usage ?? null, null);
}

export async function streamHelper(model) {
  const stream = chat.stream({ model, messages: user("How are you?") });
  let deltas = "";
  stream.on("content", (delta) => (deltas += delta));
  const final = await stream.finalChatCompletion();
  assert.equal(deltas, final.choices[0].message.content);
}

export async function callsTools(model) {
  const messages = user("Call get_weather and get_time");
  const first = await chat.create({ model, messages, tools });
  await answerCalls(model, messages, first.choices[0]);
}

export async function callsToolsStreamed(model) {
  const messages = user("Call get_weather and get_time");
  const stream = chat.stream({ model, messages, tools });
  let pieces = 0;
  stream.on("tool_calls.function.arguments.delta", () => pieces++);
  const first = await stream.finalChatCompletion();
  assert.ok(pieces >= 2, `${pieces} pieces`);
  await answerCalls(model, messages, first.choices[0]);
}

async function answerCalls(model, messages, choice) {
  assert.equal(choice.finish_reason, "tool_calls");
  const calls = choice.message.tool_calls;
  const found = Object.fromEntries(calls.map((c) => [c.function.name, JSON.parse(c.function.arguments)]));
  assert.deepEqual(Object.keys(found).sort(), ["get_time", "get_weather"]);
  assert.ok(["celsius", "fahrenheit"].includes(found.get_weather.unit) && "zone" in found.get_time);
  assert.notEqual(calls[0].id, calls[1].id);
  const results = calls.map((c) => ({ role: "tool", tool_call_id: c.id, content: `result of ${c.function.name}` }));
  const turn = { model, messages: [...messages, choice.message, ...results], tools, tool_choice: "none" };
  const r = await chat.create(turn);
  assert.match(r.choices[0].message.content, /result of/);
  assert.equal(await collect(await chat.create({ ...turn, stream: true })), r.choices[0].message.content);
}

export async function runsTools(model) {
  const called = [];
  const tool = { type: "function", function: { name: "get_time", description: "Tells the time.", parameters: clock, parse: JSON.parse,
    function: ({ zone }) => (called.push(zone), "noon") } };
  // The simulator calls a tool whenever one is offered, so the round is the only one.
  const runner = chat.runTools({ model, messages: user("Call get_time"), tools: [tool] }, { maxChatCompletions: 2 });
  await runner.done().catch(() => {});
  assert.ok(called.length > 0 && typeof called[0] === "string", JSON.stringify(called));
}

const Recipe = z.object({ name: z.string(), steps: z.array(z.object({ title: z.string(), minutes: z.number().int() })) });

export async function structuredOutput(model) {
  const ask = { model, messages: user("A recipe"), response_format: zodResponseFormat(Recipe, "recipe") };
  Recipe.parse((await chat.parse(ask)).choices[0].message.parsed);
  Recipe.parse((await chat.stream(ask).finalChatCompletion()).choices[0].message.parsed);
}

export async function embeddings(model) {
  if (model === "sim-anthropic") return void (await raises(OpenAI.BadRequestError, client.embeddings.create({ model, input: "Hi" })));
  const r = await client.embeddings.create({ model, input: ["river", "gateway"] });
  assert.deepEqual(r.data.map((d) => d.index), [0, 1]);
  assert.ok(r.data[0].embedding.length > 1 && typeof r.data[0].embedding[0] === "number");
  assert.ok(r.usage.prompt_tokens > 0);
}

export async function images(model) {
  const content = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: "data:image/png;base64," + png } }];
  const r = await chat.create({ model, messages: user(content) });
  assert.match(r.choices[0].message.content, model === "sim-ollama" ? /What is this/ : /Attachments received: 1/);
}

// Thoughts and their signatures go back in the next turn, tool results included: Anthropic and Gemini check them.
export async function reasoning(model) {
  const r = await chat.create({ model, messages: user("Think, then call get_weather"), tools, reasoning_effort: "high" });
  await replay(model, r.choices[0].message);
}

export async function reasoningStreamed(model) {
  const stream = await chat.create({ model, messages: user("Think, then call get_weather"), tools, reasoning_effort: "high", stream: true });
  const message = { role: "assistant", content: null, tool_calls: [] };
  for await (const { choices } of stream) {
    const d = choices[0]?.delta ?? {};
    if (d.reasoning_content) message.reasoning_content = (message.reasoning_content ?? "") + d.reasoning_content;
    for (const part of d.reasoning_details ?? []) (message.reasoning_details ??= []).push(part);
    for (const c of d.tool_calls ?? []) {
      const call = (message.tool_calls[c.index] ??= { id: c.id, type: "function", function: { name: c.function.name, arguments: "" } });
      call.function.arguments += c.function.arguments ?? "";
    }
  }
  message.reasoning_details &&= merge(message.reasoning_details);
  await replay(model, message);
}

// merge puts the pieces of reasoning_details together by their index.
function merge(pieces) {
  const whole = [];
  for (const { text, signature, ...rest } of pieces) {
    const at = (whole[rest.index] ??= rest);
    if (text !== undefined) at.text = (at.text ?? "") + text;
    if (signature !== undefined) at.signature = signature;
  }
  return whole.filter(Boolean);
}

async function replay(model, message) {
  if (!["sim-openai", "sim-azure"].includes(model)) assert.ok(message.reasoning_content, JSON.stringify(message));
  if (["sim-anthropic", "sim-gemini"].includes(model)) assert.ok(message.reasoning_details.some((d) => d.signature), JSON.stringify(message));
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sunny" };
  const messages = [...user("Think, then call get_weather"), message, result];
  const r = await chat.create({ model, messages, tools, tool_choice: "none", reasoning_effort: "high" });
  assert.match(r.choices[0].message.content, /sunny/);
}

const kinds = {
  400: OpenAI.BadRequestError, 401: OpenAI.AuthenticationError, 403: OpenAI.PermissionDeniedError, 404: OpenAI.NotFoundError,
  409: OpenAI.ConflictError, 422: OpenAI.UnprocessableEntityError, 429: OpenAI.RateLimitError, 500: OpenAI.InternalServerError,
};

export async function errors(model) {
  for (const [status, kind] of Object.entries(kinds)) {
    for (const stream of [false, true]) {
      const e = await raises(kind, chat.create({ model, stream, messages: user(`Hi [[simulate: status=${status}]]`) }));
      assert.equal(e.status, Number(status));
      assert.ok(e.type && e.requestID, `type ${e.type}, request ${e.requestID}`);
      assert.match(e.error.message, status === "401" ? /credentials/ : new RegExp(`asked to answer with status ${status}`));
    }
  }
}

export async function errorWithinStream(model) {
  const messages = user("Hi [[simulate: tokens=40 error-after=9 error-status=503]]");
  const e = await raises(OpenAI.APIError, chat.create({ model, messages, stream: true }).then(collect));
  assert.match(e.error.message, /asked to break this stream/);
}

export async function cutStream(model) {
  const messages = user("Hi [[simulate: tokens=40 cut-after=9]]");
  const e = await raises(OpenAI.APIError, chat.create({ model, messages, stream: true }).then(collect));
  assert.match(e.error.message, /ended before the answer was complete/);
}

// The SDK waits as Retry-After says and asks again.
export async function retries(model) {
  const mark = `retry-node-openai-${model}`, begun = Date.now();
  await raises(OpenAI.RateLimitError, chat.create({ model, messages: user(`${mark} [[simulate: status=429 retry-after=1]]`) }, { maxRetries: 1 }));
  assert.ok(Date.now() - begun >= 990, "did not wait");
  assert.equal(await control("calls", { mark }), 2);
}

export async function cancelledStream(model) {
  const before = await control("cancelled");
  const stream = await chat.create({ model, messages: user("Go on [[simulate: tokens=4000 delay=50ms]]"), stream: true });
  let n = 0;
  for await (const _ of stream) if (++n === 4) break; // which aborts the request
  await eventually("the provider sees that the client left", async () => (await control("cancelled")) > before);
}

export async function unknownModel() {
  const e = await raises(OpenAI.NotFoundError, chat.create({ model: "nobody", messages: user("Hi") }));
  assert.equal(e.code, "model_not_found");
  assert.match(e.message, /sim-gemini/);
}

export async function models() {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert.deepEqual(ids, schemas.map((s) => "sim-" + s));
  assert.equal((await client.models.retrieve("sim-gemini")).id, "sim-gemini");
  await raises(OpenAI.NotFoundError, client.models.retrieve("nobody"));
}

export async function authentication() {
  const caller = (apiKey) => new OpenAI({ baseURL: baseURL + "/guarded/v1", apiKey, maxRetries: 0 });
  const hello = { model: "sim-openai", messages: user("Hi") };
  const e = await raises(OpenAI.AuthenticationError, caller("nk-nobody-0123456789abcdef").chat.completions.create(hello));
  assert.equal(e.code, "invalid_api_key");
  const known = caller(callerKey);
  assert.ok((await known.chat.completions.create(hello)).choices[0].message.content);
  await raises(OpenAI.NotFoundError, known.chat.completions.create({ ...hello, model: "sim-gemini" }));
}

export async function limit() {
  const limited = new OpenAI({ baseURL: baseURL + "/limited/v1", apiKey: "k", maxRetries: 0, defaultHeaders: { "x-mark": "node-openai" } });
  const hello = { model: "sim-openai", messages: user("Hi") };
  assert.ok((await limited.chat.completions.create(hello)).choices[0].message.content);
  const e = await raises(OpenAI.RateLimitError, limited.chat.completions.create(hello));
  assert.equal(e.code, "rate_limit_exceeded");
  assert.ok(Number(e.headers.get("retry-after")) >= 1);
}
