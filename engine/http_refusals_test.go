package engine

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// answerOf asks once, and reads the answer as http.Client does, to the end of the stream.
func answerOf(t *testing.T, w *house, request string) (r *http.Response, body string) {
	t.Helper()
	a := attackerOn(w.call(t))
	a.say(t, request)
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(a.r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(a.r); len(rest) > 0 || isTimeout(err) {
		t.Errorf("behind the answer: %q, %v", rest, err)
	}
	return r, string(all)
}

// TestRefusedAsGiven: what OnUpgrade says is what the client gets, by every door: the status, each field, and the body byte for byte.
func TestRefusedAsGiven(t *testing.T) {
	const text = "text/plain; charset=utf-8"
	type field struct{ Name, Value string }
	for _, k := range []struct {
		name   string
		status int
		body   string
		fields []field
		want   http.Header
		kind   string // Content-Type; "": none
	}{
		{"401", 401, `{"error":"x"}`, []field{{"WWW-Authenticate", `Bearer realm="a"`}, {"WWW-Authenticate", "Basic"}, {"Content-Type", "application/json"}},
			http.Header{"Www-Authenticate": {`Bearer realm="a"`, "Basic"}}, "application/json"},
		{"302", 302, "", []field{{"Location", "https://login.example/?next=%2F"}}, http.Header{"Location": {"https://login.example/?next=%2F"}}, text},
		{"429", 429, "slow down", []field{{"Retry-After", "7"}, {"x-rate-limit", "1"}}, http.Header{"Retry-After": {"7"}, "X-Rate-Limit": {"1"}}, text},
		{"cookies", 403, "no\n", []field{{"Set-Cookie", "a=b; Path=/"}, {"Set-Cookie", "c=d"}}, http.Header{"Set-Cookie": {"a=b; Path=/", "c=d"}}, text},
		{"bytes", 500, "\x00\xff\r\n\r\n.", []field{{"content-type", "application/octet-stream"}}, nil, "application/octet-stream"},
		{"long", 503, strings.Repeat("long ", 20_000), nil, nil, text},
		{"the last type", 400, "<p>", []field{{"Content-Type", "a/b"}, {"Content-Type", "text/html"}}, nil, "text/html"},
		{"unknown status", 499, "gone", nil, nil, text},
		{"304", 304, "never sent", []field{{"ETag", `"1"`}, {"Content-Type", "a/b"}}, http.Header{"Etag": {`"1"`}}, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
				later := strings.Contains(t.Name(), "4_workers")
				w := build(Funcs{Upgrade: func(u *Upgrade) {
					for _, f := range k.fields {
						if err := u.AddHeader(f.Name, f.Value); err != nil {
							t.Error(err)
						}
					}
					if later {
						u.Later()
					}
					if err := u.Refuse(k.status, k.body); err != nil {
						t.Error(err)
					}
					isAll(t, u.AddHeader("X-Late", "1"), ErrInvalidState)
				}}, Options{})
				r, body := answerOf(t, w, requestFor("/"))
				want := k.body
				if k.status == 304 {
					want = ""
				} else if r.ContentLength != int64(len(want)) || len(r.TransferEncoding) > 0 {
					t.Errorf("it has %d bytes and says %d %v", len(want), r.ContentLength, r.TransferEncoding)
				}
				if r.StatusCode != k.status || body != want || !r.Close {
					t.Errorf("%s %.100q, close: %v", r.Status, body, r.Close)
				}
				date, err := http.ParseTime(r.Header.Get("Date"))
				if age := time.Since(date); err != nil || age < -time.Minute || age > time.Hour {
					t.Error(date, err)
				}
				fields := http.Header{}
				for name, values := range k.want {
					fields[name] = values
				}
				if k.kind != "" {
					fields.Set("Content-Type", k.kind)
				}
				if k.kind == text {
					fields.Set("X-Content-Type-Options", "nosniff")
				}
				for _, own := range []string{"Date", "Content-Length", "Connection"} {
					r.Header.Del(own)
				}
				if !reflect.DeepEqual(r.Header, fields) {
					t.Errorf("%v\nwant %v", r.Header, fields)
				}
			})
		})
	}
}

// TestBothDoorsAnswerAlike, whatever they refuse: status, fields and body are the same.
func TestBothDoorsAnswerAlike(t *testing.T) {
	good := requestFor("/")
	h := Funcs{Upgrade: func(u *Upgrade) {
		switch u.Target() {
		case "/panic":
			panic("as planned")
		case "/no":
			_ = u.AddHeader("Set-Cookie", "a=b")
			_ = u.Refuse(403, "no")
		}
	}}
	requests := map[string]string{
		"no upgrade":           "GET / HTTP/1.1\r\nHost: victim.example\r\n\r\n",
		"no upgrade of a HEAD": "HEAD / HTTP/1.1\r\nHost: victim.example\r\n\r\n",
		"POST":                 strings.Replace(good, "GET", "POST", 1),
		"HEAD":                 strings.Replace(good, "GET", "HEAD", 1),
		"version":              strings.Replace(good, "Version: 13", "Version: 12", 1),
		"key":                  strings.Replace(good, attackerKey, "short", 1),
		"origin":               requestFor("/", "Origin: https://evil.example"),
		"panic":                requestFor("/panic"),
		"handler":              requestFor("/no"),
	}
	said := map[string]map[string]string{}
	for door, build := range map[string]func(testing.TB, Handler, Options) *house{"tcp": doorNamed(t, "tcp").build, "ServeHTTP": behindHTTP} {
		t.Run(door, func(t *testing.T) {
			w := build(t, h, Options{Loops: 1, Logger: quietLogger})
			for name, request := range requests {
				r, body := answerOf(t, w, request)
				if r.Header.Get("Date") == "" {
					t.Error(name, "has no Date")
				}
				r.Header.Del("Date")
				var b strings.Builder
				_ = r.Header.Write(&b)
				if said[name] == nil {
					said[name] = map[string]string{}
				}
				said[name][door] = r.Status + "\n" + b.String() + body
			}
		})
	}
	for name, by := range said {
		if by["tcp"] != by["ServeHTTP"] {
			t.Errorf("%s: a loop says\n%s\nand ServeHTTP\n%s", name, by["tcp"], by["ServeHTTP"])
		}
	}
}

// TestSwitchingFields: what AddHeader was given is in the 101 as well, but for what describes content; so is Date.
func TestSwitchingFields(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		w := build(Funcs{Upgrade: func(u *Upgrade) {
			for _, f := range [][2]string{{"Content-Type", "application/json"}, {"Set-Cookie", "a=b"}, {"Set-Cookie", "c=d"}, {"WWW-Authenticate", "Basic"}} {
				if err := u.AddHeader(f[0], f[1]); err != nil {
					t.Error(err)
				}
			}
			for _, name := range []string{"Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Upgrade", "Keep-Alive", "Sec-WebSocket-Protocol"} {
				isAll(t, u.AddHeader(name, "1"), ErrSyntax)
			}
		}}, Options{})
		a := attackerOn(w.call(t))
		a.say(t, requestFor("/"))
		r := a.expectStatus(t, 101)
		if _, err := http.ParseTime(r.Header.Get("Date")); err != nil {
			t.Error(err)
		}
		r.Header.Del("Date")
		want := http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
			"Set-Cookie": {"a=b", "c=d"}, "Www-Authenticate": {"Basic"},
		}
		if !reflect.DeepEqual(r.Header, want) {
			t.Errorf("%v\nwant %v", r.Header, want)
		}
	})
}

// TestRefusedWhenTheRequestHasEnded: what OnUpgrade refuses never opens, though its request was cancelled meanwhile: a middleware's
// deadline does that, and a client that ends its half of the stream, and reads on.
func TestRefusedWhenTheRequestHasEnded(t *testing.T) {
	for _, deadline := range []bool{true, false} {
		h := Funcs{Upgrade: func(u *Upgrade) {
			receive(t, u.Context().Done(), "the request's end")
			if err := u.Refuse(401, "no"); err != nil {
				t.Error(err)
			}
		}, Open: func(*Conn) { t.Error("it opened") }}
		w := behindMiddleware(t, h, Options{Loops: 1, Logger: quietLogger}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				if deadline {
					cancel()
				}
				next.ServeHTTP(w, r.WithContext(ctx))
			})
		}, (*httptest.Server).Start)
		a := attackerOn(w.call(t))
		a.say(t, requestFor("/"))
		if !deadline {
			a.halfClose(t)
		}
		a.expectStatus(t, 401)
		if st := w.Stats(); st.Opened != 0 || st.Refusals["handler"] != 1 {
			t.Error(st.Opened, st.Refusals)
		}
	}
}

// behindMiddleware is a door through net/http with something in front of ServeHTTP.
func behindMiddleware(t testing.TB, h Handler, o Options, front func(http.Handler) http.Handler, start func(*httptest.Server)) *house {
	n := innOn(t, h, o, false, func(s *httptest.Server) {
		s.Config.Handler = front(s.Config.Handler)
		start(s)
	})
	return &house{Server: n.Server, knock: func() (net.Conn, error) { return n.call(t), nil }}
}
