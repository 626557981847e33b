package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/gannet-ws/gannet/engine"
)

// asMain makes the test binary behave as gannet itself.
const asMain = "GANNET_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// serving runs gannet serve on a unix socket until the test ends.
func serving(t *testing.T, flags ...string) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	args := append([]string{"gannet", "serve", "--addr", "", "--unix", socket, "--log", "error"}, flags...)
	go func() { ended <- command().Run(ctx, args) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error("serve:", err)
		}
	})
	untilServed(t, socket)
	return socket
}

// untilServed waits until somebody listens: the file alone is there a moment before.
func untilServed(t *testing.T, socket string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func dial(t *testing.T, socket string) net.Conn {
	t.Helper()
	d := ws.Dialer{NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}
	c, early, _, err := d.Dial(context.Background(), "ws://gannet/")
	if err != nil {
		t.Fatal(err)
	}
	if early != nil {
		t.Fatal("frames before anything was said")
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close() })
	return c
}

func overUnix(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
}

func stats(t *testing.T, socket string) (s engine.Stats) {
	t.Helper()
	web := overUnix(socket)
	defer web.CloseIdleConnections()
	r, err := web.Get("http://gannet/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServeEcho(t *testing.T) {
	socket := serving(t)
	c := dial(t, socket)
	for _, text := range []string{"hello", "", strings.Repeat("ä", 100_000)} {
		go wsutil.WriteClientText(c, []byte(text))
		got, op, err := wsutil.ReadServerData(c)
		if err != nil || op != ws.OpText || string(got) != text {
			t.Fatal(len(got), op, err)
		}
	}
	s := stats(t, socket)
	for end := time.Now().Add(time.Minute); s.MessagesIn < 3 && time.Now().Before(end); s = stats(t, socket) {
		time.Sleep(time.Millisecond) // a turn is counted when it ends: its echoes may have left before
	}
	if s.Open != 1 || s.MessagesIn != 3 {
		t.Errorf("%+v", s)
	}
}

func TestServeBroadcast(t *testing.T) {
	socket := serving(t, "--mode", "broadcast", "--loops", "2")
	all := []net.Conn{dial(t, socket), dial(t, socket), dial(t, socket)}
	if err := wsutil.WriteClientText(all[1], []byte("to all")); err != nil {
		t.Fatal(err)
	}
	for i, c := range all {
		if got, _, err := wsutil.ReadServerData(c); err != nil || string(got) != "to all" {
			t.Error(i, string(got), err)
		}
	}
}

func TestServeDiscard(t *testing.T) {
	socket := serving(t, "--mode", "discard", "--max-message", "10")
	c := dial(t, socket)
	if err := wsutil.WriteClientText(c, []byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); stats(t, socket).MessagesIn != 1; {
		if time.Now().After(end) {
			t.Fatal("the message was not counted")
		}
	}
	if err := wsutil.WriteClientText(c, []byte("0123456789x")); err != nil {
		t.Fatal(err)
	}
	_, _, err := wsutil.ReadServerData(c)
	if closed, ok := err.(wsutil.ClosedError); !ok || closed.Code != ws.StatusMessageTooBig {
		t.Error("over --max-message:", err)
	}
}

// TestServePages: only / is the page and /stats the figures; a mistyped path is told so.
func TestServePages(t *testing.T) {
	socket := serving(t)
	web := overUnix(socket)
	defer web.CloseIdleConnections()
	for request, want := range map[string]int{
		"GET /": 200, "HEAD /": 200, "GET /?x=1": 200, "GET /stats": 200, "HEAD /stats": 200, "GET /ws": 426,
		"GET /elsewhere": 404, "GET /index.html": 404, "GET /stats/": 404, "GET /ws/": 404, "GET /favicon.ico": 404, "POST /elsewhere": 404,
		"POST /": 405, "DELETE /stats": 405, "PUT /ws": 405,
	} {
		method, path, _ := strings.Cut(request, " ")
		ask, err := http.NewRequest(method, "http://gannet"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := web.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != want || (len(body) == 0) != (method == "HEAD") {
			t.Error(request, r.Status, len(body), err)
		}
		if isPage := strings.HasPrefix(r.Header.Get("Content-Type"), "text/html"); isPage != (want == 200 && !strings.Contains(path, "stats")) {
			t.Error(request, r.Header)
		}
	}
}

// TestServeAnyPath: a WebSocket may be opened on any path, and is answered with the reason of its Close.
func TestServeAnyPath(t *testing.T) {
	socket := serving(t)
	for _, path := range []string{"/", "/ws", "/stats", "/elsewhere?x=1"} {
		d := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }}
		c, _, _, err := d.Dial(context.Background(), "ws://gannet"+path)
		if err != nil {
			t.Fatal(path, err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if err := wsutil.WriteClientMessage(c, ws.OpClose, ws.NewCloseFrameBody(3000, "bye")); err != nil {
			t.Fatal(err)
		}
		f, err := readFrame(c)
		if code, reason := ws.ParseCloseFrameData(f.Payload); err != nil || f.Header.OpCode != ws.OpClose || code != 3000 || reason != "bye" {
			t.Error(path, f, err)
		}
		c.Close()
	}
}

func TestServeRefusesBadFlags(t *testing.T) {
	for _, k := range []struct{ flags, want string }{
		{"--mode parrot", "--mode"},
		{"--log loud", "--log"},
		{"--loops 100000", "Loops"},
		{"--max-message -1", "MaxMessageSize"},
		{"--max-message 0", "--max-message"},
		{"--idle 0", "--idle"},
		{"--shutdown-time 0", "--shutdown-time"},
		{"--shutdown-time -1s", "--shutdown-time"},
		{"--mode echo --mode discard", "mode"},
		{"--unix /nowhere/at/all", "--unix"},
		{"--origin https://*.*.com", "Origins"},
		{"--addr 256.0.0.1:http", "256.0.0.1"},
	} {
		args := append([]string{"gannet", "serve", "--addr", "127.0.0.1:0"}, strings.Fields(k.flags)...)
		err := command().Run(context.Background(), args)
		if err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v", k.flags, err)
		}
	}
	if err := command().Run(context.Background(), []string{"gannet", "serve", "--addr", ""}); err == nil {
		t.Error("served nowhere")
	}
}
