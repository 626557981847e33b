package engine

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// Stats, to the unit, and what is logged.

// A day in the life: every counter has the value that the scene accounts for.
func TestStatsExactly(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{
			Upgrade: func(u *Upgrade) {
				if u.Header("X-No") != "" {
					_ = u.Refuse(403, "no")
				}
			},
			Message: func(c *Conn, msg Message) {
				switch string(msg.Data) {
				case "panic":
					panic("meant")
				case "close":
					_ = c.CloseWith(3001, "")
				default:
					_ = c.Send(msg.Op, msg.Data)
				}
			},
		}), Options{Limits: Limits{MaxMessageSize: 100}})

		talk := dialForeign(t, s, 0)
		d.conn()
		for _, p := range []string{"", "a", "four", strings.Repeat("x", 100)} {
			talk.text(p)
			talk.wants(ws.OpText, p)
		}
		talk.send(ws.OpText, false, "in ")
		talk.send(ws.OpPing, true, "between")
		talk.wants(ws.OpPong, "between")
		talk.send(ws.OpContinuation, true, "two")
		talk.wants(ws.OpText, "in two")
		talk.send(ws.OpPong, true, "")

		end := func(act func(f *foreign)) {
			f := dialForeign(t, s, 0)
			d.conn()
			act(f)
			d.end()
			f.Close()
		}
		end(func(f *foreign) { f.closeWith(1000, "") })
		end(func(f *foreign) { f.closeWith(1000, "") })
		end(func(f *foreign) { f.send(ws.OpClose, true, "") })
		end(func(f *foreign) { f.text("close"); f.wantsClose(3001, ""); f.closeWith(3001, "") })
		end(func(f *foreign) { f.text("\xff") })                          // 1007
		end(func(f *foreign) { f.text(strings.Repeat("x", 101)) })        // 1009
		end(func(f *foreign) { f.text("panic") })                         // 1011
		end(func(f *foreign) { f.write([]byte{0xc1, 0x80, 0, 0, 0, 0}) }) // 1002
		end(func(f *foreign) { f.send(ws.OpClose, true, "\x03") })        // 1002
		end(func(f *foreign) { f.reset() })                               // lost: no failure of ours
		for _, headers := range []string{"X-No: 1\r\n", "Origin: http://evil.example\r\n"} {
			nc := rawRequest(t, s, headers)
			_ = readAll(nc)
			nc.Close()
		}

		within(t, timeoutOf(5), "everything counted", func() bool {
			st := s.Stats()
			return st.MessagesIn == 7 && st.MessagesOut == 5 && st.PongsIn == 1 && st.Connecting == 0 && st.Closing == 0 && st.Bridged < 2
		})
		st := s.Stats()
		if !maps.Equal(st.Closes, map[int]uint64{1000: 2, 1005: 1, 3001: 1, 1006: 6}) {
			t.Error("closes:", st.Closes)
		}
		if !maps.Equal(st.Failures, map[int]uint64{1002: 2, 1007: 1, 1009: 1, 1011: 1}) {
			t.Error("failures:", st.Failures)
		}
		if !maps.Equal(st.Refusals, map[string]uint64{"handler": 1, "origin": 1}) {
			t.Error("refusals:", st.Refusals)
		}
		if len(st.Causes) != 0 {
			t.Error("causes:", st.Causes)
		}
		if st.Accepted != 13 || st.Opened != 11 || st.Open != 1 || st.Panics != 1 {
			t.Errorf("accepted %d, opened %d, open %d, panics %d", st.Accepted, st.Opened, st.Open, st.Panics)
		}
		if st.MessagesIn != 7 || st.BytesIn != 0+1+4+100+6+5+5 || st.MessagesOut != 5 || st.BytesOut != 0+1+4+100+6 {
			t.Errorf("in %d, %d bytes; out %d, %d bytes", st.MessagesIn, st.BytesIn, st.MessagesOut, st.BytesOut)
		}
		if st.PingsIn != 1 || st.PongsIn != 1 || st.Pauses != 0 || st.MessagesDropped != 0 || st.AcceptErrors != 0 || st.InboundBytes != 0 {
			t.Errorf("%+v", st)
		}
		if bridged := map[bool]int64{true: 1}[m.bridged]; st.Bridged != bridged {
			t.Errorf("bridged %d, want %d", st.Bridged, bridged)
		}
		b, err := json.Marshal(st)
		if err != nil || !bytes.Contains(b, []byte(`"closes":{"1000":2,"1005":1,"1006":6,"3001":1}`)) {
			t.Errorf("%s %v", b, err)
		}
		st.Closes[1000] = 99 // a copy
		if s.Stats().Closes[1000] != 2 {
			t.Error("Stats lends its maps")
		}
	})
}

// logbook is a slog handler that keeps what it is told.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logbook) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
}

// What peers do is no news: at level info a normal life, and a hostile one, log nothing but that a browser was
// refused, which may be our own mistake. At level debug each end and each refusal is a line.
func TestLogging(t *testing.T) {
	live := func(t *testing.T, m mode, level slog.Level) (string, string) {
		book := new(logbook)
		d := newDiary(t)
		s := m.start(t, d.handler(echoHandler), Options{Logger: book.logger(level)})
		f := dialForeign(t, s, 0)
		f.text("hello")
		f.wants(ws.OpText, "hello")
		f.closeWith(3000, "so long")
		f.wantsClose(3000, "")
		d.end()
		for _, bad := range []func(f *foreign){
			func(f *foreign) { f.text("\xff") },
			func(f *foreign) { f.write([]byte{0xff, 0xff}) },
			func(f *foreign) { f.reset() },
			func(f *foreign) { _ = f.Close() },
		} {
			bad(dialForeign(t, s, 0))
			d.end()
		}
		nc := rawRequest(t, s, "Origin: http://evil.example\r\n")
		_ = readAll(nc)
		nc.Close()
		settled(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		return book.String(), f.raw.LocalAddr().String()
	}
	inEveryMode(t, func(t *testing.T, m mode) {
		if got, _ := live(t, m, slog.LevelInfo); strings.Count(got, "\n") != 1 || !strings.Contains(got, "an origin was refused") {
			t.Errorf("at level info:\n%s", got)
		}
		got, remote := live(t, m, slog.LevelDebug)
		for _, want := range []string{"gannet: closed", "code=3000", `reason="so long"`, "remote=" + remote, "gannet: handshake refused", "reason=origin"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q at level debug:\n%s", want, got)
			}
		}
		if n := strings.Count(got, "gannet: closed"); n != 5 {
			t.Errorf("%d ends are logged, of 5:\n%s", n, got)
		}
	})
}

// A handler's panic is an error in the log, with where it was.
func TestLogsPanics(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		book := new(logbook)
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Message: func(*Conn, Message) { panic("what went wrong") }}), Options{Logger: book.logger(slog.LevelInfo)})
		f := dialForeign(t, s, 0)
		f.text("go")
		f.wantsClose(1011, "")
		isAll(t, d.end().Err, ErrHandlerPanic)
		got := book.String()
		for _, want := range []string{"level=ERROR", "what went wrong", "TestLogsPanics", f.raw.LocalAddr().String()} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
		if n := strings.Count(got, "\n"); n != 1 {
			t.Errorf("%d lines for one panic", n)
		}
	})
}
