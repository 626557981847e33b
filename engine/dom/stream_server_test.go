package dom

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/engine/enginetest"
)

func TestStreamHandler(t *testing.T) {
	for name, k := range map[string]struct {
		serve func(*Stream)
		code  int
	}{
		"it returns":             {func(*Stream) {}, 1000},
		"it has closed":          {func(s *Stream) { _ = s.CloseWith(4000, "") }, 4000},
		"it panics":              {func(*Stream) { panic("on purpose") }, 1011},
		"it ends its goroutine":  {func(*Stream) { runtime.Goexit() }, 1011},
		"it echoes, and returns": {func(s *Stream) { op, p, _ := s.Read(context.Background()); _ = s.Write(context.Background(), op, p) }, 1000},
	} {
		for _, workers := range []int{0, 2} {
			s := enginetest.Serve(t, StreamHandler(k.serve), engine.Options{Workers: workers, Logger: quiet})
			c := s.Dial(t, "/", engine.DialOptions{})
			_ = c.SendText("x")
			if e := c.Closed(t); e.Code != k.code {
				t.Errorf("%s: %+v", name, e)
			}
			if panics := s.Stats().Panics; (panics == 1) != (name == "it panics") {
				t.Errorf("%s: %d panics", name, panics)
			}
		}
	}
}

// A panic is heard of also when the connection has ended before: a function that fails at its last line fails most often there.
func TestStreamHandlerPanicsAtTheEnd(t *testing.T) {
	said := make(chan string, 1)
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(writes(func(p []byte) {
		if bytes.Contains(p, []byte("on purpose")) { // on a busy machine engines of other tests speak as well
			said <- string(p)
		}
	}), nil)))
	for _, workers := range []int{0, 2} {
		s := enginetest.Serve(t, StreamHandler(func(s *Stream) {
			_ = s.Conn().Close()
			s.CloseRead()
			_, _ = s.Wait(context.Background())
			panic("on purpose")
		}), engine.Options{Workers: workers, Logger: quiet})
		s.Dial(t, "/", engine.DialOptions{}).Closed(t)
		if text := receive(t, said, "what was logged"); !strings.Contains(text, "on purpose") || !strings.Contains(text, "TestStreamHandlerPanicsAtTheEnd") {
			t.Error(text)
		}
	}
}

// writes is an io.Writer.
type writes func([]byte)

func (w writes) Write(p []byte) (int, error) { w(p); return len(p), nil }

// guarded is how a program adds OnUpgrade.
type guarded struct{ engine.Handler }

func (guarded) OnUpgrade(u *engine.Upgrade) {
	if u.Header("Authorization") == "" {
		_ = u.Refuse(401, "who are you?")
	}
	u.SetValue("somebody")
}

func TestStreamHandlerEmbedded(t *testing.T) {
	mux := engine.NewMux()
	serve := func(s *Stream) {
		_ = s.Write(context.Background(), engine.OpText, []byte(s.Conn().Value().(string)+s.Conn().Route()))
	}
	if err := mux.Handle("/room/{x}", guarded{StreamHandler(serve)}, engine.Route{}); err != nil {
		t.Fatal(err)
	}
	s := enginetest.Serve(t, mux, engine.Options{})
	if _, err := s.TryDial(t, "/room/1", engine.DialOptions{}); err == nil {
		t.Error("OnUpgrade was not asked")
	}
	c := s.Dial(t, "/room/1", engine.DialOptions{Header: map[string][]string{"Authorization": {"x"}}})
	if m := c.Message(t); string(m.Data) != "somebody/room/{x}" {
		t.Errorf("%s", m.Data)
	}
}

// StreamOf takes a connection over from any handler, whenever that says so.
func TestStreamOf(t *testing.T) {
	streams := make(chan *Stream, 1)
	for name, h := range map[string]engine.Funcs{
		"OnUpgrade": {Upgrade: func(u *engine.Upgrade) { streams <- StreamOf(u.Conn()) }},
		"OnOpen":    {Open: func(c *engine.Conn) { streams <- StreamOf(c) }},
		"OnMessage": {Message: func(c *engine.Conn, m engine.Message) {
			if string(m.Data) != "now" {
				t.Errorf("the handler got %q", m.Data)
			}
			streams <- StreamOf(c)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h.Close = func(*engine.Conn, engine.CloseEvent) { t.Error("the handler hears of the stream's end") }
			s := enginetest.Serve(t, h, engine.Options{})
			c := s.Dial(t, "/", engine.DialOptions{Protocols: nil})
			if name == "OnMessage" {
				_ = c.SendText("now")
			}
			_ = c.SendText("first")
			stream := receive(t, streams, "the stream")
			wantRead(t, stream, engine.OpText, "first")
			if StreamOf(stream.Conn()) != stream {
				t.Error("another stream of the same connection")
			}
			if stream.URL() != s.URL("/") {
				t.Error(stream.URL())
			}
			_ = c.CloseWith(4001, "bye")
			if e, err := stream.Wait(soon(t)); e.Code != 4001 || e.Reason != "bye" || err != nil {
				t.Error(e, err)
			}
			c.Closed(t)
			over := StreamOf(c.Conn) // CLOSED before it was one
			if _, _, err := over.Read(soon(t)); !errors.Is(err, engine.ErrClosed) {
				t.Error(err)
			}
		})
	}
	if _, _, err := StreamOf(new(engine.Conn)).Read(soon(t)); !errors.Is(err, engine.ErrInvalidState) {
		t.Error("of a Conn that is not the engine's:", err)
	}
}

func TestDialStreamFails(t *testing.T) {
	s := enginetest.Serve(t, guarded{StreamHandler(func(*Stream) {})}, engine.Options{})
	client, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{DialContext: s.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var refused *engine.HandshakeError
	if _, err := DialStream(soon(t), s.URL("/"), Options{Client: client}); !errors.As(err, &refused) || refused.Status != 401 {
		t.Error(err)
	}
	for _, o := range []Options{{ReplaceInvalid: true}, {OpenTimeout: -1}, {InboxBytes: -1}, {SecureContext: true}} {
		if _, err := DialStream(soon(t), s.URL("/"), o); !errors.Is(err, engine.ErrSyntax) && !errors.Is(err, engine.ErrSecurity) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	l := enginetest.Listen(t) // nobody accepts
	silent, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{DialContext: l.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := DialStream(shortly(t), "ws://example.test", Options{Client: silent}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := DialStream(soon(t), "ws://example.test", Options{Client: silent, OpenTimeout: 1e7}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// What of NetConn nettest does not look at.
func TestNetConnMessages(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		n := a.NetConn(engine.OpText)
		long := strings.Repeat("€uro", 1<<20) // longer than HighWater: several messages, each whole characters
		go func() {
			_, _ = n.Write(nil)
			if sent, err := n.Write([]byte(long)); sent != len(long) || err != nil {
				t.Error(sent, err)
			}
			if _, err := n.Write([]byte("\xff")); !errors.Is(err, engine.ErrInvalidUTF8) {
				t.Error(err)
			}
			_ = n.Close()
		}()
		var got strings.Builder
		for {
			op, p, err := b.Read(soon(t))
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || op != engine.OpText || len(p) == 0 {
				t.Fatal(op, len(p), err)
			}
			got.Write(p)
		}
		if got.String() != long {
			t.Error("something else came")
		}
		if _, err := n.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || err == io.EOF {
			t.Error(err)
		}
	})
}

func TestNetConnEnds(t *testing.T) {
	for code, eof := range map[int]bool{1000: true, 1001: true, 1005: true, 1011: false, 4000: false} {
		a, b := roads()[0].pair(t)
		n := a.NetConn(engine.OpBinary)
		for _, text := range []string{"", "ab", "", "c"} {
			mustWrite(t, b, engine.OpText, text)
		}
		if code == 1005 {
			_ = b.Conn().CloseNoStatus()
		} else {
			_ = b.CloseWith(code, "")
		}
		p := make([]byte, 10)
		for _, want := range []string{"ab", "c"} { // a message at a time, and no empty one
			if got, err := n.Read(p); string(p[:got]) != want || err != nil {
				t.Error(string(p[:got]), err)
			}
		}
		_, err := n.Read(p)
		var over *StreamClosed
		if (err == io.EOF) != eof || !eof && (!errors.As(err, &over) || over.Code != code) {
			t.Error(code, err)
		}
		if _, err := n.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if n.LocalAddr() == nil || n.RemoteAddr() == nil {
			t.Error("no addresses")
		}
	}
}
