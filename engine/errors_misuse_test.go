package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/pool"
)

// What a call refuses says what it was given, and what to give or to call instead.
func TestErrorsSayWhatToDo(t *testing.T) {
	d := newDiary(t)
	checked := make(chan struct{})
	s := startServer(t, d.handler(Funcs{Upgrade: func(u *Upgrade) {
		defer close(checked)
		for name, k := range map[string]misuseCase{
			"SetProtocol": {u.SetProtocol("chat"), ErrSyntax, []string{`"chat"`, `"soap"`, `"wamp"`}},
			"AddHeader":   {u.AddHeader("a b", "c"), ErrSyntax, []string{"AddHeader", `"a b"`, "token"}},
			"own header":  {u.AddHeader("Upgrade", "c"), ErrSyntax, []string{"AddHeader", "Upgrade"}},
			"bad value":   {u.AddHeader("A", "c\r\nB: d"), ErrSyntax, []string{"AddHeader", "A", "control"}},
			"Refuse":      {u.Refuse(200, ""), ErrSyntax, []string{"Refuse", "200", "300 to 599"}},
		} {
			k.check(t, name)
		}
	}}), Options{})
	dialForeign(t, s, 0, "soap", "wamp")
	receive(t, checked, "OnUpgrade")
	c := d.conn()
	sends := func(op Opcode) []error {
		_, writes := c.NewWriter(op).Write([]byte("x"))
		b := pool.Get(1)
		_, prepares := Prepare(op, nil)
		return []error{c.Send(op, nil), c.Send(op, []byte("x"), NoCompress), c.SendOwned(op, b), writes, c.NewWriter(op).Close(), prepares}
	}
	for op, want := range map[Opcode]string{
		OpPing: "Ping", OpPong: "answers pings", OpClose: "CloseWith", codec.OpContinuation: "NewWriter", 3: "no such opcode", 15: "no such opcode", 200: "no such opcode",
	} {
		for _, err := range sends(op) {
			misuseCase{err, ErrSyntax, []string{"OpText or OpBinary", want}}.check(t, "opcode")
		}
	}
	for name, k := range map[string]misuseCase{
		"Ping":              {c.Ping(make([]byte, 126)), ErrSyntax, []string{"125", "126"}},
		"a code":            {c.CloseWith(999, ""), ErrInvalidAccess, []string{"999", "1000 to 1003", "3000 to 4999"}},
		"no code":           {c.CloseWith(1005, ""), ErrInvalidAccess, []string{"1005", "CloseNoStatus", "3000 to 4999"}},
		"abnormal":          {c.CloseWith(1006, ""), ErrInvalidAccess, []string{"1006", "Terminate", "3000 to 4999"}},
		"codec's":           {c.CloseWith(1015, ""), codec.ErrSendCode, []string{"1015"}},
		"a long reason":     {c.CloseWith(1000, strings.Repeat("ä", 62)), ErrSyntax, []string{"123", "124"}},
		"a bad reason":      {c.CloseWith(1000, "abc\xff"), ErrSyntax, []string{"UTF-8", "byte 3"}},
		"a cut reason":      {c.CloseWith(1000, "abc\xc3"), ErrInvalidUTF8, []string{"UTF-8", "byte 4"}},
		"a long bad reason": {c.CloseWith(1000, strings.Repeat("\xff", 200)), ErrSyntax, []string{"123", "200"}},
		"Post":              {c.Post(nil), ErrSyntax, []string{"Post", "nil"}},
		"SendOwned":         {c.SendOwned(OpText, nil), ErrSyntax, []string{"SendOwned", "pool.Get"}},
		"SendPrepared":      {c.SendPrepared(nil), ErrSyntax, []string{"Prepare"}},
		"SetLimits":         {c.SetLimits(Limits{MaxFragments: -1}), ErrSyntax, []string{"MaxFragments", "-1", "at least 1"}},
		"Serve":             {s.Serve(nil), ErrSyntax, []string{"Serve", "net.Listener"}},
		"a zero Server":     {new(Server).ListenAndServe("tcp", "127.0.0.1:0"), ErrSyntax, []string{"NewServer"}},
	} {
		k.check(t, name)
	}
	if c.ReadyState() != Open {
		t.Error("an error leaves the state as it was:", c.ReadyState())
	}
}

type misuseCase struct {
	err  error
	is   error
	says []string
}

func (k misuseCase) check(t *testing.T, name string) {
	t.Helper()
	if !errors.Is(k.err, k.is) {
		t.Errorf("%s: %v is not %v", name, k.err, k.is)
		return
	}
	text := k.err.Error()
	for _, part := range k.says {
		if !strings.Contains(text, part) {
			t.Errorf("%s: %q does not say %q", name, text, part)
		}
	}
	if !strings.HasPrefix(text, "gannet: ") || strings.Contains(text, "\n") {
		t.Errorf("%s: %q", name, text)
	}
}
