package simulator

import (
	"net"
	"time"
)

// watch notices that the client of a call leaves while the answer waits. It begins with the first wait, so an answer without
// delays pays nothing; there a failing write tells. The zero value is ready.
type watch struct {
	conn    net.Conn
	gone    chan struct{}
	stopped chan struct{}
}

// sleep waits for d; an error says that the client left or that the server was shut down.
func (w *watch) sleep(c *call, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	w.start(c)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-w.gone:
		return errGone
	case <-c.s.done:
		return errCut
	}
}

// silence waits until the client leaves or the server begins to shut down.
func (w *watch) silence(c *call) error {
	w.start(c)
	select {
	case <-w.gone:
		return errGone
	case <-c.s.draining:
		return errCut
	}
}

func (w *watch) start(c *call) {
	if w.gone != nil {
		return
	}
	w.gone, w.stopped, w.conn = make(chan struct{}), make(chan struct{}), c.ctx.Conn()
	go func(conn net.Conn, gone, stopped chan struct{}) {
		defer close(stopped)
		if left(conn) {
			close(gone)
		}
	}(w.conn, w.gone, w.stopped)
}

// stop ends the watching and gives the connection back as it was.
func (w *watch) stop() {
	if w.gone == nil {
		return
	}
	w.conn.SetReadDeadline(time.Unix(1, 0))
	<-w.stopped
	w.conn.SetReadDeadline(time.Time{})
}
