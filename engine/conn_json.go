package engine

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gannet-ws/gannet/pool"
)

// SendJSON sends v as JSON in one text message. It does not block but in v's own MarshalJSON, and keeps nothing of v.
//
// It is encoding/json's form without the line end that json.Encoder adds, and without its escapes for pages: <, > and &
// stand as they are, since a message is no part of a page; the value that the peer decodes is the same. Of a v that
// cannot be encoded nothing is sent: the error is ErrSyntax and encoding/json's own, which says why. Other errors: see
// SendText; *UTF8Error is what a MarshalJSON has written that is not UTF-8.
func (c *Conn) SendJSON(v any, opts ...SendOption) error {
	b, err := c.marshal(v)
	if err != nil {
		return err
	}
	return c.SendOwned(OpText, b, opts...)
}

// marshal is v as JSON, in a buffer that the caller releases.
func (c *Conn) marshal(v any) (*pool.Buffer, error) {
	w := jsonWriter{pool: pool.Default}
	if l := c.home(); l != nil {
		w.pool = l.engine.pool
	}
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	switch {
	case err == nil:
		return w.buf, nil
	case w.buf != nil:
		w.buf.Release()
	}
	if errors.Is(err, ErrMessageTooBig) {
		return nil, ErrMessageTooBig
	}
	return nil, misused("SendJSON of a %T: %w", v, err)
}

// jsonWriter takes what json.Encoder writes: the whole value at once, when there was no error, and a line end behind it.
// So the buffer is taken when its length is known, and not at all for what cannot be encoded.
type jsonWriter struct {
	pool *pool.Pool
	buf  *pool.Buffer
}

func (w *jsonWriter) Write(p []byte) (int, error) {
	n := len(p)
	if n > 0 && p[n-1] == '\n' { // JSON needs none, and has none in its strings
		p = p[:n-1]
	}
	if len(p) > MaxMessage {
		return 0, ErrMessageTooBig
	}
	if w.buf == nil {
		w.buf = w.pool.Get(len(p))
	}
	w.buf.Append(p)
	return n, nil
}

// JSON decodes the message into v, a pointer, as json.Unmarshal does: one JSON value and nothing behind it but white
// space. Text and binary messages are taken alike, for there are clients that send JSON as binary. v keeps nothing of
// Data. The error says what it was to be, and is encoding/json's as well: *json.SyntaxError, for instance, for
// errors.As. With a v that is no pointer it is ErrSyntax, too.
func (m Message) JSON(v any) error {
	err := json.Unmarshal(m.Data, v)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*json.InvalidUnmarshalError](err); ok {
		return misused("Message.JSON needs a pointer to decode into: %w", err)
	}
	return fmt.Errorf("gannet: a message of %d bytes is not the JSON of a %T: %w", len(m.Data), v, err)
}
