package engine

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestRefusedOriginsAreLogged: one line a minute, which says what to do, and how many there were.
func TestRefusedOriginsAreLogged(t *testing.T) {
	for name, k := range map[string]struct {
		o      Options
		option string
	}{
		"the list":     {Options{}, "option=Options.Origins"},
		"the function": {Options{CheckOrigin: func(*Upgrade) bool { return false }}, "option=Options.CheckOrigin"},
	} {
		t.Run(name, func(t *testing.T) {
			var log logbook
			k.o.Logger = log.logger(slog.LevelWarn)
			r := newTapeRig(t, Funcs{}, k.o)
			refused := func() {
				t.Helper()
				r.connect()
				r.feed([]byte(requestFor("/", "Origin: https://page.example")))
				if !strings.HasPrefix(string(r.sys.out), "HTTP/1.1 403 ") {
					t.Fatalf("%q", r.sys.out)
				}
				r.end()
			}
			wants := func(lines int, parts ...string) {
				t.Helper()
				if n := strings.Count(log.String(), "\n"); n != lines {
					t.Fatalf("%d lines, want %d: %s", n, lines, log.String())
				}
				for _, p := range parts {
					if !strings.Contains(log.String(), p) {
						t.Errorf("no %q in %s", p, log.String())
					}
				}
			}
			refused()
			wants(1, "level=WARN", "page.example", "victim.example", k.option, "refused=1\n")
			for range 50 {
				refused()
			}
			wants(1)
			r.pass(time.Minute)
			wants(1)
			refused()
			wants(2, "refused=51\n")
			for range 2 {
				r.pass(time.Minute)
				refused()
			}
			wants(4, "refused=1\n")
		})
	}
}

// TestRefusedOriginsAtBothDoors share the minute, and what a stranger sends is quoted and cut.
func TestRefusedOriginsAtBothDoors(t *testing.T) {
	for name, build := range map[string]func(testing.TB, Handler, Options) *house{
		"tcp": doorNamed(t, "tcp").build, "pipe": doorNamed(t, "bridged pipe").build, "ServeHTTP": behindHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			var log logbook
			w := build(t, echoHandler, Options{Loops: 2, Logger: log.logger(slog.LevelWarn)})
			head := strings.Replace(requestFor("/", "Origin: https://\x9b31m\"evil "+strings.Repeat("x", 5000)), "victim.example", "a."+strings.Repeat("h", 1000), 1)
			for range 20 {
				if r, _ := answerTo(t, w, head); r.StatusCode != 403 {
					t.Fatal(r.Status)
				}
			}
			got := log.String()
			if strings.Count(got, "\n") != 1 || len(got) > 1000 || strings.Contains(got, "\x9b") || !strings.Contains(got, `\\x9b31m`) {
				t.Errorf("%d bytes: %q", len(got), got)
			}
		})
	}
}

// TestNoOriginIsLoggedThatIsAdmitted: who is let in causes no line.
func TestNoOriginIsLoggedThatIsAdmitted(t *testing.T) {
	var log logbook
	w := doorNamed(t, "tcp").build(t, echoHandler, Options{Loops: 1, Origins: []string{"file://", "null"}, Logger: log.logger(slog.LevelWarn)})
	for _, origin := range []string{"file://", "null", "http://victim.example"} {
		if r, _ := answerTo(t, w, requestFor("/", "Origin: "+origin)); r.StatusCode != 101 {
			t.Error(origin, r.Status)
		}
	}
	if got := log.String(); got != "" {
		t.Error(got)
	}
}

// TestMinutely: the first reason at once, and then one a minute with all that came in between.
func TestMinutely(t *testing.T) {
	var m minutely
	now := time.Now()
	for i, k := range []struct {
		later time.Duration
		want  uint64
	}{{0, 1}, {0, 0}, {time.Minute - 1, 0}, {1, 3}, {time.Hour, 1}, {-time.Second, 0}, {time.Minute, 0}, {time.Second, 3}} {
		now = now.Add(k.later)
		if got := m.due(now); got != k.want {
			t.Errorf("step %d: %d, want %d", i, got, k.want)
		}
	}
}

// TestLoopsHaveOneClock: what is said once a minute is, whichever loop it is about, and where there is none yet.
func TestLoopsHaveOneClock(t *testing.T) {
	near := func(what string, at time.Time) {
		t.Helper()
		if off := time.Since(at); off < 0 || off > timeoutOf(5) {
			t.Errorf("%s is %v behind", what, off)
		}
	}
	near("nobody's loop", new(loop).time())
	for _, name := range []string{"tcp", "bridged pipe"} {
		at := make(chan time.Time, 1)
		h := echoHandler
		h.Open = func(c *Conn) { at <- c.loop.time() }
		w := doorNamed(t, name).build(t, h, Options{Loops: 1, Logger: quietLogger})
		if r, _ := answerTo(t, w, requestFor("/")); r.StatusCode != 101 {
			t.Fatal(r.Status)
		}
		near(name, receive(t, at, "OnOpen"))
	}
}
