package dom

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/pool"
)

// jsonLimit is the default of SetJSONLimit: what is decoded may take many times as much.
const jsonLimit = 1 << 20

// SetJSONLimit sets how long a message of ReadJSON and WriteJSON may be, in bytes, from 1 to 2147483647. Default 1 MiB. It is
// there besides SetReadLimit, because a value may take many times the memory of its JSON.
func (s *Stream) SetJSONLimit(n int64) error {
	if n < 1 || n > engine.MaxMessage {
		return misused("SetJSONLimit: %d is no length of messages", n)
	}
	s.json.Store(n)
	return nil
}

func (s *Stream) jsonMost() int64 {
	if n := s.json.Load(); n != 0 {
		return n
	}
	return jsonLimit
}

// ReadJSON decodes the next message, text or binary, into v, as json.Unmarshal does. Errors: see Read; ErrTooLarge for a message over
// SetJSONLimit, which is left behind; encoding/json's for one that is not the JSON of v. After the last two the stream goes on.
func (s *Stream) ReadJSON(ctx context.Context, v any) error {
	if err := s.beginReading(ctx); err != nil {
		return err
	}
	_, p, err := s.readTo(ctx, nil, s.jsonMost())
	s.endReading()
	if err != nil {
		return err
	}
	return engine.Message{Data: p}.JSON(v)
}

// WriteJSON sends v as JSON in one text message, in the form of engine.Conn.SendJSON. Errors: see Write; ErrMessageTooBig for what is longer
// than SetJSONLimit, encoding/json's for what cannot be encoded; nothing is sent then.
func (s *Stream) WriteJSON(ctx context.Context, v any) error {
	w := jsonBuffer{most: s.jsonMost()}
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("gannet: WriteJSON of a %T: %w", v, err)
	}
	defer w.buf.Release()
	return s.Write(ctx, engine.OpText, w.buf.B)
}

// jsonBuffer takes what json.Encoder writes: the whole value at once, and a line end, which a message does not need.
type jsonBuffer struct {
	buf  *pool.Buffer
	most int64
}

func (w *jsonBuffer) Write(p []byte) (int, error) {
	n := len(p)
	if n > 0 && p[n-1] == '\n' {
		p = p[:n-1]
	}
	if int64(len(p)) > w.most {
		return 0, fmt.Errorf("%d bytes, SetJSONLimit allows %d: %w", len(p), w.most, engine.ErrMessageTooBig)
	}
	w.buf = pool.Get(len(p))
	w.buf.B = append(w.buf.B, p...)
	return n, nil
}
