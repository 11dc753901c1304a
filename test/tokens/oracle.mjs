// Counts tokens with npm's tiktoken, the original compiled to WebAssembly. Usage: node oracle.mjs ENCODING
// Reads texts from stdin, each a little-endian uint32 of bytes and the bytes; writes a little-endian uint32 for each.
import { createRequire } from "node:module";
import { readSync, writeSync } from "node:fs";

const require = createRequire(import.meta.url);
const { get_encoding, Tiktoken } = require("tiktoken");

// The package has no o200k_harmony. Source: tiktoken_ext/openai_public.py, o200k_harmony.
const harmony = {
  "<|startoftext|>": 199998, "<|endoftext|>": 199999, "<|return|>": 200002, "<|constrain|>": 200003, "<|channel|>": 200005,
  "<|start|>": 200006, "<|end|>": 200007, "<|message|>": 200008, "<|call|>": 200012, "<|endofprompt|>": 200018,
};

function open(name) {
  if (name !== "o200k_harmony") return get_encoding(name);
  const base = require("tiktoken/encoders/o200k_base.json");
  return new Tiktoken(base.bpe_ranks, harmony, base.pat_str);
}

// fill reads until the buffer is full, and says how much came before the end.
function fill(buffer) {
  let at = 0;
  while (at < buffer.length) {
    let n;
    try {
      n = readSync(0, buffer, at, buffer.length - at);
    } catch (e) {
      if (e.code === "EAGAIN") continue;
      throw e;
    }
    if (n === 0) break;
    at += n;
  }
  return at;
}

function write(counts) {
  const out = Buffer.from(Uint32Array.from(counts).buffer);
  for (let done = 0; done < out.length; ) {
    try {
      done += writeSync(1, out, done);
    } catch (e) {
      if (e.code !== "EAGAIN") throw e;
    }
  }
}

// Texts come in batches: a uint32 of bytes, then the texts.
const encoding = open(process.argv[2]);
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const head = Buffer.alloc(4);
while (fill(head) === 4) {
  const batch = Buffer.alloc(head.readUInt32LE());
  if (fill(batch) !== batch.length) throw new Error("a batch was cut");
  const counts = [];
  for (let at = 0; at < batch.length; ) {
    const end = at + 4 + batch.readUInt32LE(at);
    counts.push(encoding.encode_ordinary(decoder.decode(batch.subarray(at + 4, end))).length);
    at = end;
  }
  write(counts);
}
