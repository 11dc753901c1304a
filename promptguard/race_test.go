//go:build race

package promptguard_test

const raceEnabled = true
