// Package rules holds the project's rules that a program can check, as tests: which package may reach which, and how long
// a function may be. It has no code of its own.
package rules
