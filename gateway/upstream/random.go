package upstream

// random takes any endpoint.
type random struct{}

var _ Picker = random{}

// Pick implements Picker.
func (random) Pick(s *Set, w *wish) *Endpoint {
	for range 3 { // a walk would give the one behind a full endpoint all of its share
		if e := s.fit[w.draw(s)]; w.take(e) {
			return e
		}
	}
	return w.walk(s, draw(len(s.fit)))
}

// draw is the index of an endpoint of fit, at random by their shares.
func (w *wish) draw(s *Set) int {
	i := draw(len(s.fit))
	now, uneven := s.uneven()
	for lots := 1; uneven && lots < maxLots && !s.lot(i, w.rules, now); lots++ {
		i = draw(len(s.fit))
	}
	return i
}
