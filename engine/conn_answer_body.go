package engine

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// The body of an answer that opens no WebSocket. Its beginning is for a person, so it is waited for, but not long.

const (
	// bodyKept is how much of it is kept for HandshakeError.
	bodyKept = 1 << 10
	// bodyTime is how long it may take to come.
	bodyTime = time.Second
	// bodyRead is how much is read of one in chunks, whose sizes take room as well.
	bodyRead = 4 * bodyKept
	// bodyLooks is in how many pieces a body may come, and be looked at from its beginning each time. One that comes in more is
	// looked at whenever it has grown by a sixteenth, so that a drip costs nothing to speak of.
	bodyLooks = 64
)

// answerBody is where a body ends (RFC 9112 6.3).
type answerBody struct {
	length  int  // of it, or so much of it as is wanted
	chunked bool // it says itself where it ends
}

func bodyOf(a *handshake.Answer) answerBody {
	if a.Status < 200 || a.Status == http.StatusNoContent || a.Status == http.StatusNotModified {
		return answerBody{}
	}
	if coding := a.Header("Transfer-Encoding"); coding != nil {
		return answerBody{bodyRead, bytes.EqualFold(coding, []byte("chunked"))}
	}
	n, err := strconv.ParseUint(string(a.Header("Content-Length")), 10, 63)
	if err != nil { // until the stream ends
		return answerBody{length: bodyKept}
	}
	return answerBody{length: int(min(n, bodyKept))}
}

// cut is the beginning of the body that begins with raw, and whether there is no more to wait for.
func (k answerBody) cut(raw []byte) (body []byte, whole bool) {
	if !k.chunked {
		return raw[:min(len(raw), k.length, bodyKept)], len(raw) >= k.length
	}
	body = make([]byte, 0, bodyKept)
	r := httputil.NewChunkedReader(bytes.NewReader(raw))
	for len(body) < bodyKept {
		n, err := r.Read(body[len(body):bodyKept])
		body = body[:len(body)+n]
		if err != nil {
			return body, err != io.ErrUnexpectedEOF || len(raw) >= bodyRead
		}
	}
	return body, true
}

// looksAt tells whether a body of which n bytes are there is looked at.
func (s *answerState) looksAt(n int) bool {
	if s.looks > bodyLooks && n < s.next {
		return false
	}
	s.looks++
	s.next = n + n/16
	return true
}

// awaitBody fails the connection when as much of the body is there as is wanted.
func (c *Conn) awaitBody() {
	o := c.opening
	s := &o.dial.answer
	raw := o.buf.B[s.refused:]
	if !s.looksAt(len(raw)) {
		return
	}
	if _, whole := s.body.cut(raw); whole {
		c.failRefused()
		return
	}
	if s.due == 0 {
		s.due = c.loop.now + bodyTime
		c.wake(bodyTime)
	}
}

// failRefused fails the connection whose answer refuses, with what of its body is there.
func (c *Conn) failRefused() {
	o := c.opening
	s := &o.dial.answer
	var a handshake.Answer
	var again handshake.AnswerParser
	if _, err := again.Parse(o.buf.B, &a, c.loop.engine.conf.headLimits()); err != nil {
		c.failAnswer(&a, nil, err)
		return
	}
	body, _ := s.body.cut(o.buf.B[s.refused:])
	c.failAnswer(&a, bytes.Clone(body), handshake.CheckAnswer(&a, o.dial.key[:], nil))
}
