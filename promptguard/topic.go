package promptguard

import (
	"fmt"
)

// A Topic is what must not be talked about, told by phrases. It is found where phrases of a sum of at least Threshold
// stand within 2 KiB of each other.
type Topic struct {
	Name      string
	Phrases   []Phrase
	Threshold int // 1 when 0: any phrase will do
}

// A Phrase is a word or words that speak for a topic, and how much: 1 when 0.
type Phrase struct {
	Text   string
	Weight int
}

func topic(t Topic) ([]shared, error) {
	if t.Name == "" || len(t.Phrases) == 0 {
		return nil, fmt.Errorf("a topic has a name and phrases")
	}
	var dets []shared
	for i, p := range t.Phrases {
		d, err := keyword(p.Text)
		if err != nil {
			return nil, fmt.Errorf("phrases[%d]: %w", i, err)
		}
		d.kind, d.label = "Topic/"+t.Name, "TOPIC"
		d.weight, d.group, d.threshold = max(1, p.Weight), d.kind, max(1, t.Threshold)
		dets = append(dets, shared{detector: d})
	}
	return dets, nil
}
