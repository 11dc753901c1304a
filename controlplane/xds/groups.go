package xds

import "time"

// hold gives the group of a name, which stays until it is let go of as often.
func (s *Server) hold(name string) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		g = newGroup(name, s.o)
		s.groups[name] = g
	}
	g.holders++
	return g
}

// letGo forgets a group that is not set and that nobody holds: those that were asked for in vain must not add up.
func (s *Server) letGo(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.holders--
	if g.holders == 0 && !g.isKnown() {
		delete(s.groups, g.name)
	}
}

func (g *group) isKnown() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known
}

// open makes the stream of an identity; it holds its group.
func (s *Server) open(id Identity) (*stream, error) {
	s.mu.Lock()
	s.streams++
	n := s.streams
	s.mu.Unlock()
	st := &stream{
		server: s, group: s.hold(id.Group), cursors: map[string]*cursor{}, sent: map[string]*sent{},
		about: DataPlane{Stream: n, Group: id.Group, Since: time.Now()},
	}
	if err := st.group.join(st, s.o.MaxDataPlanes); err != nil {
		s.letGo(st.group)
		return nil, err
	}
	return st, nil
}

func (s *Server) close(st *stream) {
	st.group.leave(st)
	s.letGo(st.group)
	if st.view != nil && s.o.Observer != nil {
		s.o.Observer.Gone(st.about)
	}
}
