// Counts tokens with the tiktoken of npm. Usage: node oracle.mjs FOLDER ENCODING, where FOLDER holds node_modules.
// Reads texts from stdin, each a little-endian uint32 of bytes and the bytes; writes a little-endian uint32 for each.
import { createRequire } from "node:module";
import { readFileSync, writeSync } from "node:fs";
import { resolve } from "node:path";

const require = createRequire(resolve(process.argv[2], "package.json"));
const encoding = require("tiktoken").get_encoding(process.argv[3]);
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const input = readFileSync(0);
const counts = [];
for (let at = 0; at < input.length; ) {
  const end = at + 4 + input.readUInt32LE(at);
  counts.push(encoding.encode_ordinary(decoder.decode(input.subarray(at + 4, end))).length);
  at = end;
}
const out = Buffer.from(Uint32Array.from(counts).buffer);
for (let done = 0; done < out.length; ) done += writeSync(1, out, done);
