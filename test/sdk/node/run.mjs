// Runs the official Node SDKs against the gateway. Exit code 1: a test failed.

import * as anthropic from "./anthropic_suite.mjs";
import * as openai from "./openai_suite.mjs";
import { run } from "./suite.mjs";

const failed = (await run("openai", { ...openai })) + (await run("anthropic", { ...anthropic }));
console.log(`failed: ${failed}`);
process.exit(failed > 0 ? 1 : 0);
