package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// TestWrapListenerHTTP2: where the config offers h2, pages come over HTTP/2, and a WebSocket on a connection of its own, which moves to a loop.
func TestWrapListenerHTTP2(t *testing.T) {
	s := bare(t, echoHandler, Options{Loops: 1}, false)
	mux := http.NewServeMux()
	mux.Handle("/chat", s)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	front := httptest.NewUnstartedServer(mux)
	config := houseTLS()
	config.NextProtos = []string{"h2", "http/1.1"}
	wrapping(config)(front)
	defer front.Close()
	transport := &http.Transport{TLSClientConfig: guestTLS(), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	at := front.Listener.Addr().String()
	for path, want := range map[string]string{"/": "200 HTTP/2.0", "/chat": "505 "} {
		r, err := (&http.Client{Transport: transport}).Get("https://" + at + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if got := r.Status[:4] + string(b); r.ProtoMajor != 2 || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, %q", path, r.Proto, got)
		}
	}
	nc, err := tls.Dial("tcp", at, guestTLS())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	a := attackerOn(nc)
	a.say(t, requestFor("/chat"))
	a.expect101(t)
	g := &guest{a.Conn, a.r}
	g.say(t, ws.OpText, []byte("hello"))
	g.hear(t, ws.OpText, []byte("hello"))
	if st := s.Stats(); st.Bridged != 0 || st.TLS.Conns != 1 {
		t.Errorf("%d bridged, %+v", st.Bridged, st.TLS)
	}
	g.sayClose(t, 1000, "")
	g.hearClose(t, 1000, "")
	if n, err := g.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Error("behind the Close frame:", n, err)
	}
}

// TestWrapListenerNeedsACertificate: what can never work is told when somebody accepts.
func TestWrapListenerNeedsACertificate(t *testing.T) {
	for _, config := range []*tls.Config{nil, {}} {
		ln, _ := listenTCP(t)
		w := WrapListener(ln, config)
		defer w.Close()
		if _, err := w.Accept(); !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), "certificate") {
			t.Error(err)
		}
	}
}
