package engine

import (
	"errors"
	"strings"
	"testing"
)

// TestDialTLSOnLoops: wss goes natively where nothing stands between, and what goes through a proxy or DialContext is bridged. TLSTimeout bounds the
// handshake on both.
func TestDialTLSOnLoops(t *testing.T) {
	s := startServerTLS(t, echoHandler, Options{Logger: quietLogger})
	heard := make(chan string, 1)
	c := newClient(t, Funcs{Message: func(_ *Conn, m Message) { heard <- string(m.Data) }}, ClientOptions{Resolver: names{"h": addrs("127.0.0.9", "127.0.0.1")}})
	for _, url := range []string{"wss://" + s.Addr().String(), "wss://h:" + port(t, s.Addr().String())} {
		conn, err := c.Dial(t.Context(), url, DialOptions{TLSConfig: guestTLS()})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(conn.URL(), "wss://") || conn.RemoteAddr().String() != s.Addr().String() || conn.LocalAddr() == nil {
			t.Error(conn.URL(), conn.RemoteAddr(), conn.LocalAddr())
		}
		if err := conn.SendText("hello"); err != nil || receive(t, heard, "an echo") != "hello" {
			t.Error(err)
		}
	}
	if st := c.Stats(); st.Open != 2 || st.Bridged != 0 || st.TLS.Conns != 2 || st.TLS.Handshakes != 2 {
		t.Errorf("%+v", st)
	}
	silent, _ := silentServer(t)
	for way, set := range waysToTransport {
		k := newClient(t, Funcs{}, ClientOptions{TLSTimeout: aliveWithin() / 4})
		set(k)
		_, err := k.Dial(t.Context(), "wss://"+silent, DialOptions{})
		if d := new(DialError); !errors.As(err, &d) || d.Op != "tls" || d.Reason != "timeout" || !strings.Contains(err.Error(), "TLSTimeout") {
			t.Errorf("%s: %v", way, err)
		}
		if st := k.Stats(); way == "native" && st.TLS.Failed["timeout"] != 1 {
			t.Errorf("%+v", st.TLS)
		}
		nothingLeft(t, k)
	}
}
