package redis

// A group is one run of the script: accounts with their reports, and requests in their buckets. In a cluster every account
// has a group of its own, because a script may not reach two slots; a request is then several, and the lane gives back what
// was granted if one is refused.
type group struct {
	accounts []*account
	reports  []*report // nil: the account is only looked at
	requests [][]*ask
	of       []int // the account of each ask, in their order

	err    error
	now    int64 // the store's, in milliseconds
	left   int64 // when it was sent
	answer []int64
}

// An answer is what the store says about one bucket.
type answer struct{ head, total, reset, lease int64 }

const (
	perRequest = 3
	perAccount = 4
)

// A sorter sorts what one exchange is about into groups.
type sorter struct {
	l      *Limiter
	now    int64
	groups []*group
	of     map[*account]position
}

type position struct {
	g *group
	i int
}

func (n *lane) sort(requests []*request, reports []*account) []*group {
	s := sorter{l: n.l, now: n.l.now(), of: make(map[*account]position)}
	for _, r := range requests {
		s.request(r)
	}
	for _, a := range reports {
		a.mu.Lock()
		a.queued = false
		change := a.change
		a.mu.Unlock()
		if change {
			s.account(a, false)
		}
	}
	return s.groups
}

func (s *sorter) request(r *request) {
	var last *group
	for i := range r.asks {
		k := &r.asks[i]
		p := s.account(k.a, !k.peek)
		if k.peek {
			continue
		}
		if p.g != last {
			p.g.requests = append(p.g.requests, nil)
			last = p.g
		}
		end := len(p.g.requests) - 1
		p.g.requests[end] = append(p.g.requests[end], k)
		p.g.of = append(p.g.of, p.i)
	}
}

// account finds an account's place, or makes it.
func (s *sorter) account(a *account, asked bool) position {
	if p, is := s.of[a]; is {
		return p
	}
	if len(s.groups) == 0 || s.l.cluster != nil {
		s.groups = append(s.groups, &group{})
	}
	g := s.groups[len(s.groups)-1]
	var r *report
	if !a.visitor {
		a.mu.Lock()
		r = a.prepare(s.l, asked, s.now)
		a.mu.Unlock()
	}
	g.accounts = append(g.accounts, a)
	g.reports = append(g.reports, r)
	s.of[a] = position{g, len(g.accounts) - 1}
	return s.of[a]
}

// encode writes the script's numbers.
func (g *group) encode(l *Limiter) numbers {
	n := newNumbers(make(numbers, 0, 256))
	n.add(l.options.TTL.Milliseconds(), share)
	now := l.storeTime(l.now())
	from, to := int64(0), int64(exact)
	for _, a := range g.accounts {
		if a.width == 0 {
			a.calendar.turn(a.bucket.Window, now)
			from, to = max(from, a.calendar[0]), min(to, a.calendar[3])
		}
	}
	n.add(from, to)
	for i, a := range g.accounts {
		n.add(a.limit(), a.width, a.count)
		if a.width == 0 {
			n.add(a.calendar[:]...)
		}
		g.reports[i].encode(&n, a.term)
	}
	n.add(int64(len(g.requests)))
	next := 0
	for _, asks := range g.requests {
		n.add(int64(len(asks)))
		for _, k := range asks {
			n.add(int64(g.of[next])+1, k.amount)
			next++
		}
	}
	return n
}

// encode writes a report; without one the bucket is only looked at.
func (r *report) encode(n *numbers, term int64) {
	if r == nil {
		n.add(0, 0, 0, 0)
		return
	}
	n.add(r.sequence, term/1e6, r.want, r.least, r.lease, r.held, r.used, int64(len(r.slots)))
	for _, s := range r.slots {
		n.add(s.number, s.held, s.used)
	}
}

// read takes the script's reply apart as far as its length goes.
func (g *group) read(reply string) error {
	values, err := decode(reply)
	if err != nil {
		return err
	}
	if len(values) == 0 || len(values) > 1 && len(values) != 1+perRequest*len(g.requests)+perAccount*len(g.accounts) {
		return errReply
	}
	g.now, g.answer = values[0], values[1:]
	return nil
}

// finish tells the accounts and the asks what the store answered, or that it did not.
func (g *group) finish(l *Limiter) {
	if g.err != nil {
		g.fail()
		return
	}
	rest := g.answer[perRequest*len(g.requests):]
	for i, a := range g.accounts {
		v := rest[perAccount*i:]
		a.mu.Lock()
		over := a.acknowledge(g.reports[i], answer{v[0], v[1], v[2], v[3]}, g.left)
		limited := a.bucket
		a.mu.Unlock()
		if over > 0 {
			l.counts.overshot.Add(1)
			l.options.Overshoot(limited, over)
		}
	}
	next := 0
	for i, asks := range g.requests {
		v := g.answer[perRequest*i:]
		for _, k := range asks {
			if v[0] == 0 {
				k.grant(g.left)
			} else if int(v[0]) == g.of[next]+1 {
				k.lacks, k.left, k.after = true, v[1], v[2]
			}
			next++
		}
	}
}

// fail keeps the reports for later.
func (g *group) fail() {
	for i, a := range g.accounts {
		if g.reports[i] != nil {
			a.mu.Lock()
			a.fail()
			a.mu.Unlock()
		}
	}
	for _, asks := range g.requests {
		for _, k := range asks {
			k.err = g.err
		}
	}
}

func (k *ask) grant(now int64) {
	k.a.mu.Lock()
	defer k.a.mu.Unlock()
	k.a.refs++
	k.a.demand.add(k.amount, now)
	k.cell = k.a.cellOf(k.a.head)
	k.cell.held += k.amount
}
