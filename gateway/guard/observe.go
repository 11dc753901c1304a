package guard

import "time"

// Side is what a text is part of.
type Side uint8

// The sides.
const (
	Request Side = iota
	Response
)

func (s Side) String() string {
	if s == Response {
		return "response"
	}
	return "request"
}

// Observer makes the instruments of rules while a table is compiled, so that labels are bounded by the configuration.
type Observer interface {
	// Rule is for a rule by its policy ("<ns>/<name>"), name and action; monitor says that it has no consequences.
	Rule(policy, rule, action string, monitor bool) Meter
	// Refused counts a request or an answer that did not go on: blocked, unscannable or unavailable.
	Refused(reason string, s Side)
	// Webhook is for a rule that asks a service.
	Webhook(policy, rule string) WebhookMeter
}

// Meter counts what a rule finds. It is called by many requests at once.
type Meter interface {
	// Found counts findings.
	Found(s Side, n int)
}

// WebhookMeter records the questions to a service. It is called by many requests at once.
type WebhookMeter interface {
	// Asked counts a question and its outcome: ok, failed or timeout. took includes the wait for a turn.
	Asked(outcome string, took time.Duration)
	// Waiting moves the number of questions that are under way or wait for their turn.
	Waiting(delta int)
}

// Nowhere is the Observer of those who want none.
type Nowhere struct{}

type nowhere struct{}

var (
	_ Observer     = Nowhere{}
	_ Meter        = nowhere{}
	_ WebhookMeter = nowhere{}
)

// Rule implements Observer.
func (Nowhere) Rule(string, string, string, bool) Meter { return nowhere{} }

// Refused implements Observer.
func (Nowhere) Refused(string, Side) {}

// Webhook implements Observer.
func (Nowhere) Webhook(string, string) WebhookMeter { return nowhere{} }

func (nowhere) Found(Side, int)             {}
func (nowhere) Asked(string, time.Duration) {}
func (nowhere) Waiting(int)                 {}
