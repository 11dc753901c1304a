package redis

import (
	"context"
	"strings"
	"sync/atomic"
	"time"
)

// A nodes says which lane a cluster's slots go to: one per node, so that what a node is asked goes into few pipelines and
// one node's trouble is not another's. It is a matter of speed only: every exchange finds its nodes by itself.
type nodes struct {
	lane    [clusterSlots]atomic.Uint32
	known   map[string]int // lane by address
	learned time.Time
}

const relearn = 10 * time.Second

// learn asks the cluster for its slots, at most every ten seconds. It belongs to the ticker's goroutine.
func (s *nodes) learn(l *Limiter) {
	if l.cluster == nil || time.Since(s.learned) < relearn {
		return
	}
	s.learned = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), l.options.Timeout)
	defer cancel()
	ranges, err := l.cluster.ClusterSlots(ctx).Result()
	if err != nil {
		return // exchanges will tell
	}
	for _, r := range ranges {
		if len(r.Nodes) == 0 {
			continue
		}
		lane := s.of(r.Nodes[0].Addr)
		for slot := max(0, r.Start); slot <= min(r.End, clusterSlots-1); slot++ {
			s.lane[slot].Store(uint32(lane))
		}
	}
}

func (s *nodes) of(addr string) int {
	lane, is := s.known[addr]
	if !is {
		if s.known == nil || len(s.known) > 1000 { // nodes come and go
			s.known = make(map[string]int)
		}
		lane = len(s.known) % lanes
		s.known[addr] = lane
	}
	return lane
}

// lane is where a key's exchanges go.
func (l *Limiter) lane(key string) *lane {
	if l.cluster == nil {
		return l.lanes[0]
	}
	return l.lanes[l.nodes.lane[hashSlot(key)].Load()]
}

const clusterSlots = 16384

// hashSlot is the slot of a key in a cluster. Source: redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec.
func hashSlot(key string) uint16 {
	if _, rest, open := strings.Cut(key, "{"); open {
		if tag, _, closed := strings.Cut(rest, "}"); closed && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % clusterSlots
}
