package upstream

// leastRequest takes the less busy of two endpoints drawn at random: nearly as good as the least busy of all, and it looks at
// two, and does not send everybody to the same one (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001).
type leastRequest struct{}

var _ Picker = leastRequest{}

// Pick implements Picker. Endpoints that are to get less than a whole share are drawn less often.
func (leastRequest) Pick(s *Set, w *wish) *Endpoint {
	n := len(s.fit)
	if n == 1 {
		return w.walk(s, 0)
	}
	i := w.draw(s)
	j := w.draw(s)
	for tries := 0; j == i && tries < 2; tries++ {
		j = w.draw(s)
	}
	if s.fit[j].inFlight.Load() < s.fit[i].inFlight.Load() {
		i, j = j, i
	}
	if w.take(s.fit[i]) {
		return s.fit[i]
	}
	if w.take(s.fit[j]) {
		return s.fit[j]
	}
	return w.walk(s, draw(n))
}
