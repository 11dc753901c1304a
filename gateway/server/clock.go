package server

import (
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// dateField is the value of the Date field, made once a second.
type dateField struct{ last atomic.Pointer[datedText] }

type datedText struct {
	second int64
	text   []byte
}

var now dateField

func (d *dateField) get() []byte {
	t := time.Now()
	if l := d.last.Load(); l != nil && l.second == t.Unix() {
		return l.text
	}
	l := &datedText{second: t.Unix(), text: fasthttp.AppendHTTPDate(nil, t)}
	d.last.Store(l)
	return l.text
}
