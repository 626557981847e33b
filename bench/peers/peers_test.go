package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// all are the names of all servers, those not written in Go too.
func all() []string {
	return append(slices.Sorted(maps.Keys(peers)), slices.Sorted(maps.Keys(foreigners))...)
}

// dial connects to a server, with small frames, so that long messages from Writer are fragmented.
func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{WriteBufferSize: 1024, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // it has signed itself
	conn, _, err := dialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// sizes are around each change of a frame's header, of usual buffers, and up to 1 MiB; a short one comes last again.
var sizes = []int{0, 1, 125, 126, 4095, 4096, 4097, 65535, 65536, 1 << 20, 3}

// sizesFor leaves out the empty message for nbio, whose parser calls nobody for it.
func sizesFor(name string, sizes []int) []int {
	return slices.DeleteFunc(slices.Clone(sizes), func(size int) bool { return name == "nbio" && size == 0 })
}

func payload(size int) []byte { return bytes.Repeat([]byte("gannet!"), size/7+1)[:size] }

func TestEcho(t *testing.T) {
	for _, name := range all() {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, "ws://"+startPeer(t, name)+"/ws")
			for _, size := range sizesFor(name, sizes) {
				echoes(t, conn, websocket.TextMessage, payload(size))
				echoes(t, conn, websocket.BinaryMessage, payload(size))
			}
			echoesFragments(t, conn)
		})
	}
}

func TestElsewhere(t *testing.T) {
	for _, name := range all() {
		t.Run(name, func(t *testing.T) {
			if name == "node" {
				t.Skip("JavaScript has no other thread to send from")
			}
			conn := dial(t, "ws://"+startPeer(t, name, "mode", "elsewhere")+"/ws")
			for _, size := range sizesFor(name, sizes) {
				echoes(t, conn, websocket.BinaryMessage, payload(size))
			}
			echoesFragments(t, conn)
		})
	}
}

// TestBroadcast: what one says comes to all, and whoever has left is no hindrance.
func TestBroadcast(t *testing.T) {
	for _, name := range all() {
		t.Run(name, func(t *testing.T) {
			url := "ws://" + startPeer(t, name, "mode", "broadcast") + "/ws"
			var conns []*websocket.Conn
			for range 5 {
				conns = append(conns, dial(t, url))
				// The server has let it in when it hears itself; the others hear it too.
				echoes(t, conns[len(conns)-1], websocket.BinaryMessage, []byte("here"))
				for _, earlier := range conns[:len(conns)-1] {
					receives(t, earlier, websocket.BinaryMessage, []byte("here"))
				}
			}
			conns[0].Close()
			for _, size := range sizesFor(name, []int{0, 128, 70000}) {
				if err := conns[1].WriteMessage(websocket.TextMessage, payload(size)); err != nil {
					t.Fatal(err)
				}
				for _, c := range conns[1:] {
					receives(t, c, websocket.TextMessage, payload(size))
				}
			}
		})
	}
}

// TestDiscard: messages get no answer, pings do.
func TestDiscard(t *testing.T) {
	for _, name := range all() {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, "ws://"+startPeer(t, name, "mode", "discard")+"/ws")
			var ponged []string
			conn.SetPongHandler(func(p string) error {
				ponged = append(ponged, p)
				return io.EOF // ReadMessage returns it
			})
			if err := conn.WriteMessage(websocket.BinaryMessage, payload(70000)); err != nil {
				t.Fatal(err)
			}
			if err := conn.WriteMessage(websocket.PingMessage, []byte("still there")); err != nil {
				t.Fatal(err)
			}
			if _, p, err := conn.ReadMessage(); err != io.EOF || !slices.Equal(ponged, []string{"still there"}) {
				t.Fatalf("a message of %d bytes and %v came, pongs %q", len(p), err, ponged)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	for _, name := range all() {
		t.Run(name, func(t *testing.T) {
			if name == "gnet" || name == "gobwas" {
				t.Skip("has no TLS on a poller; TestSettingsAreRefused")
			}
			conn := dial(t, "wss://"+startPeer(t, name, "cert", cert, "key", key)+"/ws")
			for _, size := range sizesFor(name, sizes) {
				echoes(t, conn, websocket.BinaryMessage, payload(size))
			}
		})
	}
}

func echoes(t *testing.T, conn *websocket.Conn, kind int, want []byte) {
	t.Helper()
	if err := conn.WriteMessage(kind, want); err != nil {
		t.Fatal(err)
	}
	receives(t, conn, kind, want)
}

func receives(t *testing.T, conn *websocket.Conn, kind int, want []byte) {
	t.Helper()
	got, p, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	if got != kind || !bytes.Equal(p, want) {
		t.Fatalf("%d bytes came back as opcode %d with %d bytes", len(want), got, len(p))
	}
}

// echoesFragments sends a message in four fragments, with a ping between them.
func echoesFragments(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	var ponged string
	conn.SetPongHandler(func(p string) error {
		ponged = p
		return nil
	})
	w, err := conn.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	whole := payload(3500)
	for _, part := range [][]byte{whole[:1500], whole[1500:]} {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := conn.WriteControl(websocket.PingMessage, []byte("between"), time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	receives(t, conn, websocket.TextMessage, whole)
	echoes(t, conn, websocket.TextMessage, []byte("after")) // a pong that was put off has come before this
	if ponged != "between" {
		t.Errorf("the pong said %q", ponged)
	}
}

// TestDeflate: those that compress here do, and give back what they got.
func TestDeflate(t *testing.T) {
	for _, name := range []string{"coder", "gorilla", "gws"} {
		t.Run(name, func(t *testing.T) {
			dialer := websocket.Dialer{EnableCompression: true}
			conn, response, err := dialer.Dial("ws://"+startPeer(t, name, "deflate", "nct")+"/ws", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if extension := response.Header.Get("Sec-WebSocket-Extensions"); !strings.Contains(extension, "permessage-deflate") {
				t.Fatalf("it answered %q", extension)
			}
			for _, size := range sizesFor(name, sizes) {
				echoes(t, conn, websocket.BinaryMessage, payload(size))
			}
		})
	}
}

// TestTakeoverAnswer checks what gws agrees to when a client offers what wsblast's mode "deflate" offers. The
// handshake is what is compared: gorilla's client cannot inflate with a kept context. bench/deflatemem can.
func TestTakeoverAnswer(t *testing.T) {
	for mode, serverResets := range map[deflateMode]bool{deflateTakeover: false, deflateNCT: true} {
		handler, err := newGws(settings{mode: echo, deflate: mode, level: 1, windowBits: 15, readBufSize: 4096})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(handler)
		extension := offer(t, server.URL, "permessage-deflate; client_no_context_takeover")
		server.Close()
		if !strings.Contains(extension, "client_no_context_takeover") {
			t.Errorf("%s: %q lacks client_no_context_takeover", mode, extension)
		}
		if got := strings.Contains(extension, "server_no_context_takeover"); got != serverResets {
			t.Errorf("%s: %q: server_no_context_takeover is %v, want %v", mode, extension, got, serverResets)
		}
	}
}

// TestWindowAnswer checks what is agreed on when a client offers what bench/deflatemem offers.
func TestWindowAnswer(t *testing.T) {
	for _, c := range []struct {
		peer       string
		bits       int
		offer      string
		wantAnswer string
	}{
		{"gws", 9, "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
			"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"},
		{"gws", 15, "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15", "permessage-deflate"},
		{"coder", 15, "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15", "permessage-deflate"},
		{"coder", 15, "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9", ""},
	} {
		build := map[string]func(settings) (http.Handler, error){"gws": newGws, "coder": newCoder}[c.peer]
		handler, err := build(settings{mode: echo, deflate: deflateBoth, level: 1, windowBits: c.bits, readBufSize: 4096})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(handler)
		if got := offer(t, server.URL, c.offer); got != c.wantAnswer {
			t.Errorf("%s, offered %q: %q, want %q", c.peer, c.offer, got, c.wantAnswer)
		}
		server.Close()
	}
}

func offer(t *testing.T, url, extension string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions": extension,
	} {
		request.Header.Set(k, v)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", response.StatusCode)
	}
	return response.Header.Get("Sec-WebSocket-Extensions")
}

func TestSettingsAreRefused(t *testing.T) {
	for _, line := range []string{
		"-peer nobody",
		"-peer gorilla -deflate takeover",
		"-peer gws -deflate some",
		"-peer gws -level 0",
		"-peer gws -level 10",
		"-peer gws -readbuf 16",
		"-peer gws -window 7",
		"-peer gws -window 16",
		"-peer gorilla -deflate both",
		"-peer gorilla -window 14",
		"-peer coder -window 14",
		"-peer coder -level 2",
		"-peer coder -readbuf 8192",
		"-peer gws stray",
		"-peer gws -cert a.pem",
		"-peer gws -key a.pem",
		"-peer gws -addr 127.0.0.1:0 -cert /no/such.pem -key /no/such.pem",
		"-peer gws -addr 127.0.0.1:notaport",
		"-peer gws -mode shout",
		"-peer gnet -cert a.pem -key a.pem",
		"-peer gobwas -cert a.pem -key a.pem",
		"-peer nbio -cert /no/such.pem -key /no/such.pem",
		"-peer nbio -deflate nct",
		"-peer gnet -deflate nct",
		"-peer gobwas -readbuf 8192",
		"-peer fasthttp -deflate nct",
	} {
		if err := run(strings.Fields(line), io.Discard, io.Discard); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}
