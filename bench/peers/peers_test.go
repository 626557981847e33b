package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// start serves one peer and dials it, offering deflate as wsblast does when the peer is to compress.
func start(t *testing.T, name string, s settings) (*websocket.Conn, *http.Response) {
	t.Helper()
	handler, err := newPeer(name, s)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	dialer := websocket.Dialer{EnableCompression: s.deflate != deflateNone}
	conn, response, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, response
}

func TestEcho(t *testing.T) {
	for name := range peers {
		for _, mode := range []deflateMode{deflateNone, deflateNCT} {
			t.Run(name+"/"+string(mode), func(t *testing.T) {
				conn, response := start(t, name, settings{deflate: mode, level: 1, windowBits: 15, readBufSize: 4096})
				extension := response.Header.Get("Sec-WebSocket-Extensions")
				if got, want := strings.Contains(extension, "permessage-deflate"), mode != deflateNone; got != want {
					t.Fatalf("deflate negotiated: %v, want %v (%q)", got, want, extension)
				}
				for _, size := range []int{0, 1, 125, 126, 4095, 4096, 4097, 65535, 65536, 1 << 20, 3} {
					echo(t, conn, bytes.Repeat([]byte("gannet!"), size/7+1)[:size])
				}
			})
		}
	}
}

func echo(t *testing.T, conn *websocket.Conn, want []byte) {
	t.Helper()
	if err := conn.WriteMessage(websocket.BinaryMessage, want); err != nil {
		t.Fatal(err)
	}
	op, got, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	if op != websocket.BinaryMessage || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes came back as opcode %d with %d bytes", len(want), op, len(got))
	}
}

// TestTakeoverAnswer checks what gws agrees to when a client offers what wsblast's mode "deflate" offers. The
// handshake is what is compared: gorilla's client cannot inflate with a kept context. bench/deflatemem can.
func TestTakeoverAnswer(t *testing.T) {
	for mode, serverResets := range map[deflateMode]bool{deflateTakeover: false, deflateNCT: true} {
		handler, err := newGws(settings{deflate: mode, level: 1, windowBits: 15, readBufSize: 4096})
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
		handler, err := newPeer(c.peer, settings{deflate: deflateBoth, level: 1, windowBits: c.bits, readBufSize: 4096})
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
	} {
		if err := run(strings.Fields(line), io.Discard); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}
