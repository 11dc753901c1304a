// Package upstream is a model provider that costs next to nothing: it speaks the chat protocols of OpenAI and Anthropic,
// whole and streamed, and echoes everything else. Answers are made once; what is left is to read and to write.
//
// It is no simulator (nantian simulate is): it takes the compact JSON that the benchmark and the gateway write, looks for
// two members in it, and believes the rest.
package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds a request body.
const maxBody = 16 << 20

// Serve answers the connections of ln until it is closed.
func Serve(ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// request is what a connection is asked for.
type request struct {
	path string
	body []byte
}

// serve answers the requests of a connection until it breaks.
func serve(c net.Conn) {
	br := bufio.NewReaderSize(c, 64<<10)
	var r request
	var out []byte
	for {
		if err := r.read(br); err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintf(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nX-Reason: %s\r\nConnection: close\r\n\r\n", err)
			}
			return
		}
		var err error
		if out, err = r.answer(c, out[:0]); err != nil {
			return
		}
	}
}

// read reads one request; io.EOF between two.
func (r *request) read(br *bufio.Reader) error {
	line, err := br.ReadSlice('\n')
	if err != nil {
		return err
	}
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return errors.New("malformed request line")
	}
	r.setPath(fields[1])
	length, err := readFields(br)
	if err != nil {
		return err
	}
	if length > maxBody {
		return errors.New("body too large")
	}
	if cap(r.body) < length {
		r.body = make([]byte, length)
	}
	r.body = r.body[:length]
	_, err = io.ReadFull(br, r.body)
	return err
}

// setPath keeps the string of the request before where it is the same.
func (r *request) setPath(p []byte) {
	if r.path != string(p) {
		r.path = string(p)
	}
}

// readFields reads the header fields and gives the length of the body.
func readFields(br *bufio.Reader) (length int, err error) {
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || length < 0 {
				return 0, errors.New("malformed Content-Length")
			}
		case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return 0, errors.New("only bodies with a Content-Length are taken")
		}
	}
}

// answer writes the answer of a request; out is memory for it.
func (r *request) answer(w io.Writer, out []byte) ([]byte, error) {
	d := dialectOf(r.path)
	if d == nil {
		out = appendWhole(out, "application/octet-stream", r.body)
		_, err := w.Write(out)
		return out, err
	}
	if !bytes.Contains(r.body, []byte(`"stream":true`)) {
		_, err := w.Write(d.whole)
		return out, err
	}
	plan, err := planOf(r.body)
	if err != nil {
		return out, err
	}
	return d.stream(w, out, plan)
}

func appendWhole(dst []byte, contentType string, body []byte) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: "...)
	dst = append(dst, contentType...)
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

// plan is what a stream is to be.
type plan struct {
	events int
	pace   time.Duration // from one event to the next; 0: as fast as they can be written
}

// planOf reads the plan from the name of the model: "stream-50-10ms", with or without "vendor/" before it.
func planOf(body []byte) (plan, error) {
	_, rest, _ := bytes.Cut(body, []byte(`"model":"`))
	name, _, _ := bytes.Cut(rest, []byte{'"'})
	model := string(name[bytes.LastIndexByte(name, '/')+1:])
	parts := strings.Split(model, "-")
	if len(parts) != 3 || parts[0] != "stream" {
		return plan{}, fmt.Errorf("model %q: want stream-<events>-<pace>", model)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 1 {
		return plan{}, fmt.Errorf("model %q: want a number of events", model)
	}
	pace, err := time.ParseDuration(parts[2])
	return plan{events: n, pace: pace}, err
}
