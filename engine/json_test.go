package engine

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

type order struct {
	ID    int    `json:"id"`
	Title string `json:"title,omitempty"`
}

// rawJSON is a value whose encoding is what it says.
type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

type panicsInJSON struct{}

func (panicsInJSON) MarshalJSON() ([]byte, error) { panic("in MarshalJSON") }

type failsInJSON struct{}

func (failsInJSON) MarshalJSON() ([]byte, error) { return nil, io.ErrNoProgress }

// One value is one text message, in encoding/json's form, without a line end, and with <, > and & as they are.
func TestSendJSON(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		long := strings.Repeat("long ", 100_000)
		for _, k := range []struct {
			v    any
			want string
		}{
			{order{1, "<b>&</b>"}, `{"id":1,"title":"<b>&</b>"}`},
			{&order{ID: 2}, `{"id":2}`},
			{nil, `null`},
			{"line\n", `"line\n"`},
			{json.RawMessage("[1,\n2]\n"), `[1,2]`},
			{map[string]any{"b": 1, "a": []int{}}, `{"a":[],"b":1}`},
			{order{3, long}, `{"id":3,"title":"` + long + `"}`},
		} {
			sent := make(chan error, 1)
			go func() { sent <- c.SendJSON(k.v) }()
			f.wants(ws.OpText, k.want)
			if err := receive(t, sent, "SendJSON's answer"); err != nil {
				t.Fatalf("%.50q: %v", k.want, err)
			}
		}
	})
}

// What cannot be encoded sends nothing, says why, and takes no buffer with it.
func TestSendJSONOfWhatIsNone(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{}) // at its end no buffer may be out
	f := dialForeign(t, s, 0)
	c := d.conn()
	for _, v := range []any{make(chan int), math.NaN(), func() {}, failsInJSON{}, rawJSON("{"), map[string]any{"deep": []any{1, math.Inf(1)}}} {
		err := c.SendJSON(v)
		isAll(t, err, ErrSyntax)
		if err != nil && !strings.Contains(err.Error(), "SendJSON of a ") {
			t.Errorf("%T: %v", v, err)
		}
	}
	var unsupported *json.UnsupportedValueError
	if err := c.SendJSON(math.NaN()); !errors.As(err, &unsupported) {
		t.Error(err)
	}
	isAll(t, c.SendJSON(failsInJSON{}), io.ErrNoProgress)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a MarshalJSON's panic is the caller's")
			}
		}()
		_ = c.SendJSON(panicsInJSON{})
	}()
	if _, ok := errors.AsType[*UTF8Error](c.SendJSON(rawJSON("\"\xff\""))); !ok {
		t.Error("what is not UTF-8 is no text message")
	}
	_ = c.SendJSON("the next")
	f.wants(ws.OpText, `"the next"`)
}

// In the other states SendJSON answers, and counts, as Send does.
func TestSendJSONInEveryState(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{Upgrade: func(u *Upgrade) {
		isAll(t, u.Conn().SendJSON(1), ErrInvalidState)
	}}), Options{})
	f := dialForeign(t, s, 0)
	c := d.conn()
	_ = c.Close()
	isAll(t, c.SendJSON("1234"), ErrClosed)
	if n := c.BufferedAmount(); n != 6 {
		t.Errorf("bufferedAmount %d", n)
	}
	f.wantsClose(StatusNormalClosure, "")
	isAll(t, new(Conn).SendJSON(1), ErrInvalidState)
}

// SendJSON takes the options of Send.
func TestSendJSONTakesOptions(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), deflating(Options{}))
	f := dialFlate(t, s, justDeflate)
	c := d.conn()
	v := strings.Repeat("x", 1000)
	_ = c.SendJSON(v)
	if m := f.wants(OpText, []byte(`"`+v+`"`)); !m.compressed {
		t.Error("not compressed")
	}
	_ = c.SendJSON(v, NoCompress)
	if m := f.wants(OpText, []byte(`"`+v+`"`)); m.compressed {
		t.Error("compressed")
	}
}

func TestMessageJSON(t *testing.T) {
	for _, op := range []Opcode{OpText, OpBinary} {
		var o order
		if err := (Message{Op: op, Data: []byte(" {\"id\":7,\"title\":\"t\"}\r\n")}).JSON(&o); err != nil || o != (order{7, "t"}) {
			t.Errorf("%v: %+v, %v", op, o, err)
		}
	}
	for _, text := range []string{"", " ", "{", "{} {}", "{}x", "nul", `{"id":"7"}`, "[1]", "\xff"} {
		var o order
		err := (Message{Op: OpText, Data: []byte(text)}).JSON(&o)
		if err == nil || !strings.Contains(err.Error(), "*engine.order") || errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v", text, err)
		}
	}
	var syntax *json.SyntaxError
	if err := (Message{Data: []byte("{]")}).JSON(new(any)); !errors.As(err, &syntax) {
		t.Error(err)
	}
	var kind *json.UnmarshalTypeError
	if err := (Message{Data: []byte(`{"id":"7"}`)}).JSON(new(order)); !errors.As(err, &kind) || kind.Field != "id" {
		t.Error(err)
	}
	for _, v := range []any{nil, order{}, (*order)(nil)} {
		isAll(t, (Message{Data: []byte(`{}`)}).JSON(v), ErrSyntax)
	}
	// What was decoded is the caller's, whatever becomes of the message.
	data := []byte(`["kept"]`)
	var kept []json.RawMessage
	if err := (Message{Data: data}).JSON(&kept); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if string(kept[0]) != `"kept"` {
		t.Errorf("%q", kept[0])
	}
}

// A clone is its owner's: what becomes of the message does not touch it, whichever way that arrived.
func TestMessageClone(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		clones := make(chan Message, 2)
		s := m.start(t, d.handler(Funcs{Message: func(c *Conn, m Message) {
			clones <- m.Clone()
			clear(m.Data)
		}}), Options{})
		f := dialForeign(t, s, 0)
		long := strings.Repeat("0123456789", 20_000)
		f.text("short")
		f.text(long)
		for _, want := range []string{"short", long} {
			k := receive(t, clones, "a clone")
			if k.Op != OpText || string(k.Data) != want {
				t.Errorf("%v, %.30q", k.Op, k.Data)
			}
			if b := k.Clone().Retain(); string(b.B) != want || &b.B[0] == &k.Data[0] {
				t.Error("a clone can be retained and cloned")
			} else {
				b.Release()
			}
		}
	})
}
