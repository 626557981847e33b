package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

// serve starts an echo server and dials it.
func serve(t *testing.T, p *deflate.Policy) net.Conn {
	t.Helper()
	s, err := engine.NewServer(engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }}, engine.Options{Deflate: p, Loops: 1})
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
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestAsk(t *testing.T) {
	for name, c := range map[string]struct {
		policy deflate.Policy
		mode   string
		answer string
		keeps  bool
	}{
		"takeover":   {deflate.Policy{}, "deflate", "permessage-deflate; client_no_context_takeover", true},
		"12 bits":    {deflate.Policy{SendWindowBits: 12}, "deflate", "permessage-deflate; client_no_context_takeover; server_max_window_bits=12", true},
		"none asked": {deflate.Policy{}, "deflate-nct", "permessage-deflate; server_no_context_takeover; client_no_context_takeover", false},
		"none given": {deflate.Policy{Takeover: deflate.NoTakeover}, "deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover", false},
	} {
		a, err := ask(serve(t, &c.policy), offers[c.mode], 1024)
		if err != nil || a.Answer != c.answer {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		if (a.BytesAgain < 40) != c.keeps || a.BytesAnew < 100 || a.BytesAnew > 500 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestAskWhoDoesNotCompress(t *testing.T) {
	if _, err := ask(serve(t, nil), offers["deflate"], 1024); err == nil || !strings.Contains(err.Error(), "declined") {
		t.Errorf("got %v", err)
	}
	// What is never compressed is found out too.
	if _, err := ask(serve(t, &deflate.Policy{MinSize: 1 << 20}), offers["deflate"], 1024); err == nil || !strings.Contains(err.Error(), "no whole, compressed") {
		t.Errorf("got %v", err)
	}
}

// cellNamed is one of echoCells.
func cellNamed(t *testing.T, name string) echoCell {
	t.Helper()
	i := slices.IndexFunc(echoCells, func(c echoCell) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no cell %s", name)
	}
	return echoCells[i]
}

// TestDeflateCellsSayWhatTheyCompare: for each server what it was started with, what it answered, and what it keeps.
func TestDeflateCellsSayWhatTheyCompare(t *testing.T) {
	answers := map[string]string{"deflate": "permessage-deflate; client_no_context_takeover", "deflate-12": "permessage-deflate; server_max_window_bits=12",
		"deflate-nct": "permessage-deflate; server_no_context_takeover; client_no_context_takeover"}
	for name, wanted := range map[string][]string{
		"deflate": {
			"| gannet | `--deflate shared --deflate-window 15` | `permessage-deflate; client_no_context_takeover` | a history of 2048 bytes | 9 | 222 |",
			"| gws | `-deflate takeover -window 15` | `permessage-deflate; client_no_context_takeover` | all of the window: 32768 bytes | 9 | 222 |",
			"gorilla cannot take part",
		},
		"deflate-12": {
			"| gannet | `--deflate shared --deflate-window 12` | `permessage-deflate; server_max_window_bits=12` | a history of 2048 bytes | 9 | 222 |",
			"| gws | `-deflate takeover -window 12` | `permessage-deflate; server_max_window_bits=12` | all of the window: 4096 bytes | 9 | 222 |",
			"gorilla cannot take part",
		},
		"deflate-nct": {
			"| gannet | `--deflate shared --deflate-window 15` | `permessage-deflate; server_no_context_takeover; client_no_context_takeover` | nothing | 9 | 222 |",
			"| gws | `-deflate nct -window 15` |",
			"| gorilla | `-deflate nct -window 15` |",
			"uWebSockets 15.5 us",
		},
	} {
		cell := cellNamed(t, name)
		b := scripted(9, 0, map[string]float64{"gannet": 8, "gws": 20, "gorilla": 24}, steady)
		b.ask = func(_ context.Context, c echoCell, s server) (agreement, error) {
			return agreement{Answer: answers[c.Name], BytesAgain: 9, BytesAnew: 222}, nil
		}
		result, err := b.measure(t.Context(), cell)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		result.markdown(&out)
		for _, line := range wanted {
			if !strings.Contains(out.String(), line) {
				t.Errorf("%s: the report lacks %q:\n%s", name, line, out.String())
			}
		}
		if verdicts := judgeEcho(result); len(verdicts) != 1 || verdicts[0].Outcome != met || verdicts[0].Bar != 0.85 {
			t.Errorf("%s: %+v", name, verdicts)
		}
		b.ask = func(context.Context, echoCell, server) (agreement, error) { return agreement{}, errors.New("declined") }
		if _, err := b.measure(t.Context(), cell); err == nil {
			t.Errorf("%s: measured though the servers do not compress", name)
		}
	}
}
