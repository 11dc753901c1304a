// Package tokens compares the tokenizer's counts with those of npm's tiktoken, the original compiled to WebAssembly, which
// runs under node as a child process. Run: make test-tokens
package tokens
