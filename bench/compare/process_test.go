package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// serverPort in the environment turns the test binary into a server under test: it answers the handshake with 101
// and gives the requests that follow back as frames of 128 zero bytes, which is what echoOnce asks for.
const serverPort = "GANNET_COMPARE_TEST_SERVER"

func TestMain(m *testing.M) {
	if port := os.Getenv(serverPort); port != "" {
		fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(answerEchoes)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func answerEchoes(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	for request := make([]byte, len(echoRequest)); ; {
		if _, err := io.ReadFull(rw, request); err != nil {
			return
		}
		if _, err := conn.Write(echoAnswer); err != nil {
			return
		}
	}
}

// startSelf starts the test binary as a server.
func startSelf(t *testing.T) (*rig.Process, int) {
	t.Helper()
	port, err := rig.NewPorts().Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(serverPort, strconv.Itoa(port))
	p, err := rig.Start(t.Context(), []string{os.Args[0]}, port)
	if err != nil {
		t.Fatal(err)
	}
	return p, port
}

func TestHolder(t *testing.T) {
	p, port := startSelf(t)
	defer p.Stop()
	var h holder
	defer h.close()
	if err := h.grow(t.Context(), 20, port, idleCell{Echoes: 2, Mode: "ws"}); err != nil {
		t.Fatal(err)
	}
	if len(h.conns) != 20 {
		t.Fatalf("holds %d connections", len(h.conns))
	}
}
