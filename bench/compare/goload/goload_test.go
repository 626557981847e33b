package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// serve starts a server that does the same with each message, and answers where it listens.
func serve(t *testing.T, message func(s *engine.Server, c *engine.Conn, m engine.Message)) string {
	t.Helper()
	var s *engine.Server
	s, err := engine.NewServer(engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { message(s, c, m) }}, engine.Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = s.Serve(listener)
		close(ended)
	}()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
	return listener.Addr().String()
}

// tell pings the one who speaks first, as a server does that wants to know who is still there.
func tell(s *engine.Server, c *engine.Conn, m engine.Message) {
	_ = c.Ping([]byte("still there?"))
	if p, err := engine.Prepare(m.Op, m.Data); err == nil {
		s.Broadcast(p, nil)
	}
}

func echo(_ *engine.Server, c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }

// figures reads a line's names and values.
func figures(t *testing.T, line string) map[string]float64 {
	t.Helper()
	fields, got := strings.Fields(line), map[string]float64{}
	for i := 0; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(strings.TrimSuffix(fields[i+1], "%"), 64)
		if err != nil {
			t.Fatal(err)
		}
		got[fields[i]] = value
	}
	return got
}

func TestLoads(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	for _, args := range [][]string{
		{"broadcast", serve(t, tell), "40", "200", "0.2", pid},
		{"connect", serve(t, echo), "4", "-", "0.2", pid},
	} {
		o, err := parse(args)
		if err != nil {
			t.Fatal(err)
		}
		line, err := run(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", o.kind, err)
		}
		got := figures(t, line)
		for _, name := range []string{"msgs/s", "srv_cpu_us/msg", "p50_us", "p99_us", "p999_us", "rss_kb"} {
			if got[name] <= 0 {
				t.Errorf("%s: %q has no %s", o.kind, line, name)
			}
		}
		if got["p999_us"] < got["p50_us"] {
			t.Errorf("%s: %q", o.kind, line)
		}
	}
}

// TestPingsAreAnswered: what comes before a message is answered in full, and the message is left.
func TestPingsAreAnswered(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	go func() {
		theirs.Write([]byte{0x89, 2, 'h', 'i', 0x89, 0, 0x82, 0})
	}()
	pongs := make(chan []byte)
	go func() {
		got := make([]byte, 14)
		io.ReadFull(theirs, got)
		pongs <- got
	}()
	r := bufio.NewReader(ours)
	if err := answerPings(ours, r); err != nil {
		t.Fatal(err)
	}
	want := []byte{0x8a, 0x82, 0, 0, 0, 0, 'h', 'i', 0x8a, 0x80, 0, 0, 0, 0}
	if got := <-pongs; !bytes.Equal(got, want) {
		t.Errorf("pongs % x", got)
	}
	if rest, err := r.Peek(2); err != nil || rest[0] != 0x82 {
		t.Errorf("left % x, %v", rest, err)
	}
}

// TestTooFewAreNoticed: a server that does not tell all of them is not measured as if it did.
func TestTooFewAreNoticed(t *testing.T) {
	addr := serve(t, echo)
	a := &audience{want: answer(1), reached: make(chan struct{}, 1), failed: make(chan error, 1)}
	defer a.leave()
	for range 2 {
		if err := a.join(addr); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range a.conns {
		go a.read(conn)
	}
	if err := a.say(t.Context(), request(1), 50*time.Millisecond); !errors.Is(err, errTooFew) {
		t.Fatalf("got %v", err)
	}
}

func TestWrongAnswersAreNoticed(t *testing.T) {
	addr := serve(t, func(_ *engine.Server, c *engine.Conn, m engine.Message) { _ = c.SendText("x") })
	o, err := parse([]string{"broadcast", addr, "1", "1", "0.1", strconv.Itoa(os.Getpid())})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "not what was sent") {
		t.Fatalf("got %v", err)
	}
}

func TestOrdersAreRefused(t *testing.T) {
	for _, line := range []string{
		"", "shout 127.0.0.1:1 1 1 1 1", "broadcast 127.0.0.1:1 0 1 1 1", "broadcast 127.0.0.1:1 1 65536 1 1", "broadcast 127.0.0.1:1 1 1 0 1",
		"broadcast 127.0.0.1:1 1 1 NaN 1", "connect 127.0.0.1:1 1 - 1 0",
	} {
		if _, err := parse(strings.Fields(line)); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}
