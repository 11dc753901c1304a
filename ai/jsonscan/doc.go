// Package jsonscan reads and writes JSON (RFC 8259) on the data path without building values and without allocating.
//
// Valid checks a text once, strictly. The readers (Fields, Elems, Get, Text ...) then cut raw values out of it and never
// check again; on text that Valid would refuse they return something short and meaningless, but never panic or hang.
// The writers append to a slice. A raw value is a subslice of the input without surrounding space; nil means absent.
//
// Every function is safe for concurrent use. The package imports nothing but the standard library.
package jsonscan
