package engine

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// A client's opening handshake: the server's answer, and what it is good for (RFC 6455 4.1). A body that comes with it is in
// conn_answer_body.go.

// answerState is how far an answer has come. On the loop.
type answerState struct {
	body    answerBody    // of an answer that refuses; see refused
	refused int           // bytes of its head, which is kept; 0: there is none
	looks   int           // how often its body was looked at
	next    int           // how long it has to be to be looked at again, after bodyLooks
	lost    error         // the request could not be sent: what the server said before is heard first
	due     time.Duration // what is waited for has to be there; 0: HandshakeTimeout alone counts
}

// feedAnswer takes bytes of the server's answer. It returns what came behind it: the first frames, if the
// connection is OPEN now.
func (c *Conn) feedAnswer(b []byte) []byte {
	o := c.opening
	if c.ending != nil && c.ending.last != nil { // it has failed, and whoever has the lock holds that up
		return nil
	}
	if o.buf != nil {
		c.keepHead(b)
		b = o.buf.B
	}
	if o.dial.answer.refused > 0 {
		c.awaitBody()
		return nil
	}
	a := &c.loop.answer
	a.Reset() // what is refused at its first byte says nothing of its fields
	n, err := o.dial.answers.Parse(b, a, c.loop.engine.conf.headLimits())
	switch {
	case err != nil:
		c.failAnswer(a, nil, err)
	case n == 0:
		c.keepAnswer(b)
	case a.Status != http.StatusSwitchingProtocols:
		o.dial.answer.body = bodyOf(a)
		c.keepAnswer(b)
		o.dial.answer.refused = n
		c.awaitBody()
	case o.dial.answer.lost != nil: // it answers what it did not get
		c.answerEnds(io.EOF)
	default:
		if c.openAnswered(a) {
			return b[n:]
		}
	}
	return nil
}

// keepAnswer keeps what was fed, for when there is more of it.
func (c *Conn) keepAnswer(b []byte) {
	if c.opening.buf == nil && len(b) > 0 {
		c.keepHead(b)
	}
}

// answerEnds: the stream has ended, or broke, in the middle of the answer, or that took too long.
func (c *Conn) answerEnds(err error) {
	if c.ReadyState() != Connecting {
		return // closed meanwhile, and its end is on its way
	}
	s := &c.opening.dial.answer
	if s.refused > 0 {
		c.failRefused()
		return
	}
	h := &HandshakeError{Reason: "connection-lost", Err: c.lostAnswer(err)}
	switch {
	case s.lost != nil:
		h.Err = s.lost
	case err == io.EOF:
		h.Err = c.lostAnswer(nil)
	case err == ErrHandshakeTimeout:
		h.Reason, h.Err = "timeout", errNoAnswer
	}
	c.failDial(h)
}

func (c *Conn) lostAnswer(cause error) error {
	return &lostAnswer{cause, c.opening.buf == nil && c.flags&overTLS == 0}
}

// loseAnswer: the request could not be sent. What the server said before that comes first: it may say why.
func (c *Conn) loseAnswer(err error) {
	s := &c.opening.dial.answer
	if s.lost == nil {
		if errors.Is(err, ErrAbnormal) {
			err = nil // which says no more
		}
		s.lost = c.lostAnswer(err)
		s.due = c.loop.now + hearTime
	}
	c.flags &^= writeWanted
	c.wake(hearTime)
	c.watch()
}

// failAnswer ends a connection that the server has answered, and that was not opened.
func (c *Conn) failAnswer(a *handshake.Answer, body []byte, err error) {
	h := &HandshakeError{Reason: "other", Status: a.Status, Body: body, Err: err}
	var f *handshake.Fault
	var x deflate.Error
	switch {
	case errors.As(err, &f):
		h.Reason = f.Reason
	case errors.As(err, &x):
		h.Reason = handshake.ErrExtension.Reason
	}
	if a.Status != 0 {
		h.Header = headerOf(a)
		c.opening.dial.keepCookies(h.Header)
	}
	c.flags |= sawEnd // nobody waits for more of it, and it is no reason to reset the connection
	c.finish(closing{code: StatusAbnormalClosure, err: &CloseError{StatusAbnormalClosure, h}})
}

// openAnswered checks an answer, and opens the connection.
func (c *Conn) openAnswered(a *handshake.Answer) bool {
	d := c.opening.dial
	err := handshake.CheckAnswer(a, d.key[:], d.Protocols)
	var agreed deflate.Agreement
	if err == nil {
		agreed, err = c.acceptExtensions(a)
	}
	if err != nil {
		c.failAnswer(a, nil, err)
		return false
	}
	if d.Jar != nil || d.KeepHeader {
		h := headerOf(a)
		d.keepCookies(h)
		if d.KeepHeader {
			c.lock()
			c.extrasOf().header = h
			c.unlock()
		}
	}
	c.deflates = agreed != (deflate.Agreement{})
	was := c.agreed.Value()
	was.protocol, was.deflate = string(a.Protocol), agreed
	return c.becomeOpen(was, nil, nil)
}

// acceptExtensions reads what the server says to our offer.
func (c *Conn) acceptExtensions(a *handshake.Answer) (deflate.Agreement, error) {
	x := c.loop.engine.conf.deflate
	if x == nil {
		for _, line := range a.Extensions {
			if len(bytes.Trim(line, ", \t")) > 0 {
				return deflate.Agreement{}, handshake.ErrExtension
			}
		}
		return deflate.Agreement{}, nil
	}
	agreed, _, err := x.Accept(a.Extensions)
	return agreed, err
}

func headerOf(a *handshake.Answer) http.Header {
	h := make(http.Header, len(a.Headers))
	for _, f := range a.Headers {
		h.Add(string(f.Name), string(f.Value))
	}
	return h
}

// keepCookies gives the jar, which is the user's code, the answer's cookies.
func (d *dialState) keepCookies(h http.Header) {
	if d.Jar == nil {
		return
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		r := recover()
		d.conn.loop.engine.blamedFor("DialOptions.Jar", "it may lack the answer's cookies", r)
		if r == nil { // it ended the goroutine, and nobody is left to go on with the answer
			d.conn.loop.exits(d.conn)
			d.conn.failDial(newDialError("dial", d.authority, errDialExit))
		}
	}()
	if cookies := (&http.Response{Header: h}).Cookies(); len(cookies) > 0 {
		d.Jar.SetCookies(d.httpURL(), cookies)
	}
	returned = true
}
