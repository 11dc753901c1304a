// Package docs keeps the documentation true, by tests: references are generated from the code and compared with what is
// committed (-update writes them), the commands of pages are run and their output compared, YAML on pages is that of the
// examples, and links lead somewhere. It has no code of its own.
package docs
