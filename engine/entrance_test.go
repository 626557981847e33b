package engine

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// answerTo sends a head through a house's door and reads the answer, with the body of a refusal.
func answerTo(t testing.TB, w *house, head string) (r *http.Response, body string) {
	t.Helper()
	a := attackerOn(w.call(t))
	defer a.Close()
	go a.try([]byte(head))
	r, err := http.ReadResponse(a.r, nil)
	if err != nil {
		t.Fatalf("%.80q: %v", head, err)
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%.80q: %v", head, err)
		}
		body = string(b)
	}
	return r, body
}

// bothDoors runs a test behind our own listener, on a loop and bridged, and behind net/http.
func bothDoors(t *testing.T, h Handler, o Options, test func(t *testing.T, w *house)) {
	o.Logger = quietLogger
	for name, build := range map[string]func(testing.TB, Handler, Options) *house{
		"tcp": doorNamed(t, "tcp").build, "pipe": doorNamed(t, "bridged pipe").build, "ServeHTTP": behindHTTP,
	} {
		t.Run(name, func(t *testing.T) { test(t, build(t, h, o)) })
	}
}

// TestProtocolsPickThemselves: the server's order decides, with a hook and without, and where nothing can be agreed on, the
// policy.
func TestProtocolsPickThemselves(t *testing.T) {
	ours := []string{"v2.chat", "v1.chat"}
	for _, k := range []struct {
		name   string
		policy ProtocolPolicy
		offers []string // the values of Sec-WebSocket-Protocol lines; nil: there is none
		status int
		want   string
	}{
		{"the server prefers", 0, []string{"v1.chat, v2.chat"}, 101, "v2.chat"},
		{"the only one in common", 0, []string{"x, v1.chat"}, 101, "v1.chat"},
		{"over several lines", ProtocolRequired, []string{"x", "", "v1.chat"}, 101, "v1.chat"},
		{"case counts", 0, []string{"V2.chat"}, 101, ""},
		{"none in common", 0, []string{"x, y"}, 101, ""},
		{"none in common, the default said aloud", ProtocolOptional, []string{"x"}, 101, ""},
		{"none in common", ProtocolMatching, []string{"x, y"}, 400, ""},
		{"none in common", ProtocolRequired, []string{"x, y"}, 400, ""},
		{"none offered", 0, nil, 101, ""},
		{"none offered", ProtocolMatching, nil, 101, ""},
		{"none offered", ProtocolRequired, nil, 400, ""},
	} {
		var head []string
		for _, v := range k.offers {
			head = append(head, "Sec-WebSocket-Protocol: "+v)
		}
		for hook, h := range map[string]Funcs{"no hook": echoHandler, "a hook": hooked(func(*Upgrade) {}), "later": hooked(func(u *Upgrade) {
			u.Later()
			go func() { _ = u.Accept() }()
		})} {
			t.Run(k.name+"/"+hook, func(t *testing.T) {
				bothDoors(t, h, Options{Loops: 1, Protocols: ours, ProtocolPolicy: k.policy}, func(t *testing.T, w *house) {
					r, body := answerTo(t, w, requestFor("/", head...))
					if got := r.Header.Get("Sec-WebSocket-Protocol"); r.StatusCode != k.status || got != k.want {
						t.Errorf("policy %d: status %d, protocol %q; want %d, %q", k.policy, r.StatusCode, got, k.status, k.want)
					}
					if k.status != 101 && (!strings.Contains(body, "v2.chat, v1.chat") || w.Stats().Refusals["protocol"] != 1) {
						t.Errorf("%q, %v", body, w.Stats().Refusals)
					}
				})
			})
		}
	}
}

func hooked(f func(*Upgrade)) Funcs {
	h := echoHandler
	h.Upgrade = f
	return h
}

// TestSetProtocolOverrides: the hook sees what was picked, and its word counts, "none" too.
func TestSetProtocolOverrides(t *testing.T) {
	picked := make(chan string, 10)
	h := hooked(func(u *Upgrade) {
		picked <- u.Protocol()
		switch u.Target() {
		case "/other":
			if err := u.SetProtocol("b"); err != nil {
				t.Error(err)
			}
		case "/none":
			_ = u.SetProtocol("")
		case "/bad":
			if err := u.SetProtocol("zebra"); !errors.Is(err, ErrSyntax) {
				t.Error(err)
			}
		}
	})
	bothDoors(t, h, Options{Loops: 1, Protocols: []string{"a"}, ProtocolPolicy: ProtocolRequired}, func(t *testing.T, w *house) {
		for _, k := range []struct {
			path, offer, picked string
			status              int
			want                string
		}{
			{"/", "b, a", "a", 101, "a"},
			{"/other", "a, b", "a", 101, "b"},
			{"/other", "b", "", 101, "b"},
			{"/none", "a", "a", 101, ""},
			{"/none", "b", "", 101, ""},
			{"/bad", "a", "a", 101, "a"},
			{"/bad", "b", "", 400, ""},
		} {
			r, _ := answerTo(t, w, requestFor(k.path, "Sec-WebSocket-Protocol: "+k.offer))
			if got := r.Header.Get("Sec-WebSocket-Protocol"); r.StatusCode != k.status || got != k.want {
				t.Errorf("%+v: status %d, protocol %q", k, r.StatusCode, got)
			}
			if got := receive(t, picked, "the hook"); got != k.picked {
				t.Errorf("%+v: picked %q", k, got)
			}
		}
	})
}

// TestBadProtocolOptions: what no handshake could agree on is refused at once, and what says nothing.
func TestBadProtocolOptions(t *testing.T) {
	many := make([]string, 65)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	for _, o := range []Options{
		{Protocols: []string{""}},
		{Protocols: []string{"a, b"}},
		{Protocols: []string{"a b"}},
		{Protocols: []string{"a", "b", "a"}},
		{Protocols: []string{"ä"}},
		{Protocols: []string{"a\r\nX: y"}},
		{Protocols: many},
		{Protocols: []string{"a"}, ProtocolPolicy: ProtocolRequired + 1},
		{ProtocolPolicy: ProtocolRequired},
	} {
		if _, err := NewServer(Funcs{}, o); !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), "Protocol") {
			t.Errorf("%q, %d: %v", o.Protocols, o.ProtocolPolicy, err)
		}
	}
}
