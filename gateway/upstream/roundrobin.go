package upstream

import "sync/atomic"

// roundRobin takes the endpoints in turn.
type roundRobin struct{ next atomic.Uint64 }

var _ Picker = (*roundRobin)(nil)

// Pick implements Picker. An endpoint that is to get less than a whole share lets some of its turns pass.
func (r *roundRobin) Pick(s *Set, w *wish) *Endpoint {
	n := uint64(len(s.fit))
	if now, uneven := s.uneven(); uneven {
		for range maxLots {
			i := int(r.next.Add(1) % n)
			if s.lot(i, w.rules, now) && w.take(s.fit[i]) {
				return s.fit[i]
			}
		}
	}
	return w.walk(s, int(r.next.Add(1)%n))
}

// maxLots bounds the draws for one request; after so many it goes wherever there is room.
const maxLots = 32
