package ai

import "testing"

func TestEffortAndBudget(t *testing.T) {
	f := func(budget int, want string) {
		t.Helper()
		if got := Effort(budget); got != want {
			t.Errorf("Effort(%d) = %q, want %q", budget, got, want)
		}
	}
	f(0, "none")
	f(1, "low")
	f(1024, "low")
	f(1025, "medium")
	f(24576, "high")
	f(30000, "xhigh")
	f(1<<20, "max")
	for _, e := range []string{"low", "medium", "high", "xhigh", "max"} {
		f(Budget(e), e)
	}
}
