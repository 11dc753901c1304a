package anthropic

import "testing"

func TestGeneration(t *testing.T) {
	f := func(model string, want int) {
		t.Helper()
		if got := generation(model); got != want {
			t.Errorf("%s: got %d, want %d", model, got, want)
		}
	}
	f("claude-3-haiku-20240307", 3_000)
	f("claude-3-5-sonnet-v2@20241022", 3_005)
	f("anthropic.claude-3-7-sonnet-20250219-v1:0", 3_007)
	f("claude-opus-4-20250514", 4_000)
	f("claude-opus-4-1", 4_001)
	f("claude-sonnet-4-5-20250929", 4_005)
	f("anthropic/claude-sonnet-4.5", 4_005)
	f("claude-haiku-4-5@20251001", 4_005)
	f("us.anthropic.claude-opus-4-6-v1:0", 4_006)
	f("claude-opus-4-8[1m]", 4_008)
	f("claude-sonnet-5", 5_000)
	f("anthropic.claude-sonnet-5-v1:0", 5_000)
	f("claude-fable-5-1", 5_001)
	f("claude-mythos-preview", newest)
	f("claude-", newest)
	f("smart", newest)
}

func TestUnsampled(t *testing.T) {
	f := func(model string, want bool) {
		t.Helper()
		if got := unsampled(model); got != want {
			t.Errorf("%s: got %v, want %v", model, got, want)
		}
	}
	f("claude-sonnet-4-5", false)
	f("claude-opus-4-7", true)
	f("claude-sonnet-5", true)
	f("my-proxy-alias", false)
	f("claude-latest", false)
}
