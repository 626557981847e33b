package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 1.3
	sampleAnswer = "HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"\r\n"
)

// answerTo reads a whole answer and checks it.
func answerTo(text string, offered ...string) (*Answer, error) {
	var p AnswerParser
	a := new(Answer)
	n, err := p.Parse([]byte(text), a, Limits{})
	if err != nil {
		return a, err
	}
	if n == 0 {
		return a, errors.New("it is not whole")
	}
	return a, CheckAnswer(a, []byte(sampleKey), offered)
}

// answerWith replaces a line of the sample answer, or adds one.
func answerWith(name, value string) string {
	lines := strings.Split(sampleAnswer, "\r\n")
	for i, l := range lines {
		if strings.HasPrefix(l, name+":") {
			lines[i] = name + ": " + value
			return strings.Join(lines, "\r\n")
		}
	}
	return strings.TrimSuffix(sampleAnswer, "\r\n") + name + ": " + value + "\r\n\r\n"
}

func answerWithout(name string) string {
	all := strings.SplitAfter(sampleAnswer, "\r\n")
	return strings.Join(slices.DeleteFunc(all, func(l string) bool { return strings.HasPrefix(l, name+":") }), "")
}

func TestAnswers(t *testing.T) {
	status := func(line string) string {
		return strings.Replace(sampleAnswer, "HTTP/1.1 101 Switching Protocols", line, 1)
	}
	for _, c := range []struct {
		name, answer string
		offered      []string
		fault        string // "": the connection opens
	}{
		{"the sample of RFC 6455", sampleAnswer, nil, ""},
		{"case does not count", strings.NewReplacer("Upgrade: websocket", "uPGRADE: WebSocket", "Connection: Upgrade", "CONNECTION: uPgRaDe",
			"Sec-WebSocket-Accept", "sec-websocket-accept").Replace(sampleAnswer), nil, ""},
		{"white space around values", answerWith("Upgrade", " \twebsocket\t "), nil, ""},
		{"Upgrade among other options", answerWith("Connection", "keep-alive, Upgrade"), nil, ""},
		{"two Connection lines", answerWith("X: y\r\nConnection", "close"), nil, ""},
		{"no reason, and no space before it", status("HTTP/1.1 101"), nil, ""},
		{"no reason", status("HTTP/1.1 101 "), nil, ""},
		{"another reason", status("HTTP/1.1 101 Web Socket Protocol Handshake"), nil, ""},
		{"a later minor version", status("HTTP/1.7 101 x"), nil, ""},
		{"a length that means nothing", answerWith("Content-Length", "0"), nil, ""},
		{"the sub-protocol", answerWith("Sec-WebSocket-Protocol", "b"), []string{"a", "b"}, ""},

		{"200", status("HTTP/1.1 200 OK"), nil, "status"},
		{"100", status("HTTP/1.1 100 Continue"), nil, "status"},
		{"302", status("HTTP/1.1 302 Found"), nil, "status"},
		{"HTTP/1.0", status("HTTP/1.0 101 x"), nil, "http-1.0"},
		{"HTTP/2", status("HTTP/2.0 101 x"), nil, "not-http"},
		{"a lower case version", status("http/1.1 101 x"), nil, "not-http"},
		{"another protocol's greeting", "220 mail.example ESMTP\r\n", nil, "not-http"},
		{"an alert of TLS", "\x15\x03\x01\x00\x02\x02\x16", nil, "tls"},
		{"the first byte of one", "\x15", nil, "tls"},
		{"two digits", status("HTTP/1.1 10 x"), nil, "bad-status-line"},
		{"four digits", status("HTTP/1.1 1010 x"), nil, "bad-status-line"},
		{"a sign", status("HTTP/1.1 +10 x"), nil, "bad-status-line"},
		{"099", status("HTTP/1.1 099 x"), nil, "bad-status-line"},
		{"two spaces", status("HTTP/1.1  101 x"), nil, "bad-status-line"},
		{"a NUL in the reason", status("HTTP/1.1 101 a\x00b"), nil, "bad-status-line"},
		{"a version of letters", status("HTTP/1.x 101 x"), nil, "bad-status-line"},

		{"no Upgrade", answerWithout("Upgrade"), nil, "no-upgrade"},
		{"another Upgrade", answerWith("Upgrade", "h2c"), nil, "no-upgrade"},
		{"Upgrade with a version", answerWith("Upgrade", "websocket/13"), nil, "no-upgrade"},
		{"two in Upgrade", answerWith("Upgrade", "websocket, h2c"), nil, "no-upgrade"},
		{"two Upgrades", answerWith("Upgrade", "websocket\r\nUpgrade: websocket"), nil, "no-upgrade"},
		{"no Connection", answerWithout("Connection"), nil, "no-connection-upgrade"},
		{"Connection: close", answerWith("Connection", "close"), nil, "no-connection-upgrade"},
		{"Connection: Upgraded", answerWith("Connection", "Upgraded"), nil, "no-connection-upgrade"},
		{"no Accept", answerWithout("Sec-WebSocket-Accept"), nil, "no-accept"},
		{"an empty Accept", answerWith("Sec-WebSocket-Accept", ""), nil, "wrong-accept"},
		{"the key itself", answerWith("Sec-WebSocket-Accept", sampleKey), nil, "wrong-accept"},
		{"Accept in another case", answerWith("Sec-WebSocket-Accept", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo="), nil, "wrong-accept"},
		{"Accept with more behind it", answerWith("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=="), nil, "wrong-accept"},
		{"two Accepts", strings.Replace(sampleAnswer, "\r\n\r\n", "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", 1), nil, "repeated-accept"},

		{"none of those offered", sampleAnswer, []string{"a"}, "no-protocol"},
		{"one that nobody offered", answerWith("Sec-WebSocket-Protocol", "a"), nil, "protocol-unasked"},
		{"an empty one that nobody offered", answerWith("Sec-WebSocket-Protocol", ""), nil, "protocol-unasked"},
		{"another one", answerWith("Sec-WebSocket-Protocol", "c"), []string{"a", "b"}, "wrong-protocol"},
		{"in another case", answerWith("Sec-WebSocket-Protocol", "A"), []string{"a"}, "wrong-protocol"},
		{"an empty one", answerWith("Sec-WebSocket-Protocol", ""), []string{"a"}, "wrong-protocol"},
		{"a list", answerWith("Sec-WebSocket-Protocol", "a, b"), []string{"a", "b"}, "repeated-protocol"},
		{"two lines", answerWith("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol", "a"), []string{"a", "b"}, "repeated-protocol"},

		{"a folded field", answerWith("X", "a\r\n b"), nil, "folded-field"},
		{"a bare LF", strings.Replace(sampleAnswer, "\r\n", "\n", 1), nil, "bare-lf"},
		{"a bare CR", answerWith("X", "a\rb"), nil, "bare-cr"},
		{"a NUL", answerWith("X", "a\x00b"), nil, "bad-field-value"},
		{"a name with a space", answerWith("X Y", "a"), nil, "space-before-colon"},
		{"a line without a colon", strings.Replace(sampleAnswer, "\r\n\r\n", "\r\nnothing\r\n\r\n", 1), nil, "bad-field-name"},
		{"too many fields", strings.Replace(sampleAnswer, "\r\n\r\n", "\r\n"+strings.Repeat("a: b\r\n", DefaultMaxHeaders)+"\r\n", 1), nil, "too-many-fields"},
		{"fields without end", sampleAnswer[:len(sampleAnswer)-2] + "X: " + strings.Repeat("a", DefaultMaxBytes), nil, "head-too-long"},
		{"a status line without end", "HTTP/1.1 101 " + strings.Repeat("a", DefaultMaxBytes), nil, "head-too-long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := answerTo(c.answer, c.offered...)
			var f *Fault
			if errors.As(err, &f); c.fault == "" && err != nil || c.fault != "" && (f == nil || f.Reason != c.fault) {
				t.Errorf("got %#v, want %q", err, c.fault)
			}
		})
	}
}

// TestAnswerDripIsLinear: an answer that comes a byte at a time costs no more for a byte the longer it is.
func TestAnswerDripIsLinear(t *testing.T) {
	wide := Limits{MaxBytes: 1 << 20, MaxLine: 1 << 20, MaxHeaders: 1 << 20}
	perByte := func(head []byte) time.Duration {
		best := time.Duration(1 << 62) // of several, because the machine is shared
		for range 7 {
			var p AnswerParser
			var a Answer
			start := time.Now()
			for i := range head {
				if n, err := p.Parse(head[:i+1], &a, wide); n != 0 || err != nil {
					t.Fatalf("after %d bytes: %d, %v", i+1, n, err)
				}
			}
			best = min(best, time.Since(start))
		}
		return max(best/time.Duration(len(head)), 1)
	}
	for _, unit := range []string{"a", "a: b\r\n"} {
		shape := func(n int) []byte {
			return []byte("HTTP/1.1 101 x\r\nA: " + strings.Repeat(unit, n/len(unit)))
		}
		if short, long := perByte(shape(1<<10)), perByte(shape(64<<10)); long > 8*short {
			t.Errorf("%q: a byte costs %v at 1 KiB and %v at 64 KiB", unit, short, long)
		}
	}
}

// TestEveryFault: each value is used by a case above, but for the engine's own.
func TestEveryFault(t *testing.T) {
	reasons := FaultReasons()
	if !slices.IsSorted(reasons) || len(slices.Compact(slices.Clone(reasons))) != len(reasons) {
		t.Errorf("not sorted, or not unique: %q", reasons)
	}
	for _, f := range faults {
		if f.Error() != f.Detail || strings.HasSuffix(f.Detail, ".") || f.Detail[0] < 'a' || f.Detail[0] > 'z' {
			t.Errorf("%+v", f)
		}
	}
	for r, f := range faultOfHead {
		if f == nil || !slices.Contains(faults, f) || !slices.Contains(refusals, r) {
			t.Errorf("%v is %v", r, f)
		}
	}
}

// The verdict is the same wherever the bytes were cut, and what follows the head is left alone.
func TestAnswerEveryCut(t *testing.T) {
	frames := "\x81\x05hello\r\n\r\n"
	all := []byte(sampleAnswer + frames)
	for cut := range len(sampleAnswer) {
		var p AnswerParser
		var a Answer
		if n, err := p.Parse(bytes.Clone(all[:cut]), &a, Limits{}); n != 0 || err != nil {
			t.Fatalf("cut at %d: %d, %v", cut, n, err)
		}
		n, err := p.Parse(all, &a, Limits{})
		if n != len(sampleAnswer) || err != nil || p != (AnswerParser{}) {
			t.Fatalf("cut at %d: %d, %v, %+v", cut, n, err, p)
		}
		if err := CheckAnswer(&a, []byte(sampleKey), nil); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
}

func TestAnswerHeaders(t *testing.T) {
	a, err := answerTo(answerWith("Set-Cookie: a=1\r\nSec-WebSocket-Extensions: x\r\nSet-Cookie: b=2\r\nsec-websocket-extensions", "y, z"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s %q %s", a.Reason, a.Extensions, a.Header("set-cookie")); got != `Switching Protocols ["x" "y, z"] a=1` {
		t.Error(got)
	}
	if len(a.Headers) != 7 || a.Header("nothing") != nil {
		t.Errorf("%q", a.Headers)
	}
	a.Reset()
	if len(a.Headers) != 0 || a.Status != 0 || a.Protocol != nil {
		t.Errorf("after Reset: %+v", a)
	}
}

func TestAnswerMallocs(t *testing.T) {
	text := []byte(answerWith("Sec-WebSocket-Protocol", "b"))
	key, offered := []byte(sampleKey), []string{"a", "b"}
	var p AnswerParser
	var a Answer
	if got := testing.AllocsPerRun(100, func() {
		if n, err := p.Parse(text, &a, Limits{}); n != len(text) || err != nil || CheckAnswer(&a, key, offered) != nil {
			t.Fatal(n, err)
		}
	}); got != 0 {
		t.Errorf("%v mallocs an answer", got)
	}
}

// FuzzAnswer holds the parser to net/http: what it takes, net/http takes and understands alike. Cuts change nothing.
func FuzzAnswer(f *testing.F) {
	f.Add(sampleAnswer, uint16(7))
	f.Add(answerWith("Sec-WebSocket-Protocol", "b"), uint16(70))
	f.Add("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno", uint16(20))
	f.Fuzz(func(t *testing.T, text string, at uint16) {
		b := []byte(text)
		var p AnswerParser
		var a Answer
		n, err := p.Parse(b, &a, Limits{})
		var cut AnswerParser
		var c Answer
		m, cutErr := cut.Parse(b[:int(at)%(len(b)+1)], &c, Limits{})
		if m == 0 && cutErr == nil {
			m, cutErr = cut.Parse(b, &c, Limits{})
		}
		if m != n || cutErr != err {
			t.Fatalf("whole %d, %v; cut at %d: %d, %v", n, err, at, m, cutErr)
		}
		if n == 0 {
			return
		}
		want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text[:n])), nil)
		if err != nil {
			if lenientStatus(text) {
				return
			}
			t.Fatalf("net/http: %v", err)
		}
		want.Body.Close()
		if want.StatusCode != a.Status {
			t.Fatalf("status %d, net/http has %d", a.Status, want.StatusCode)
		}
		for _, h := range a.Headers {
			name := textproto.CanonicalMIMEHeaderKey(string(h.Name))
			if name != "Transfer-Encoding" && name != "Trailer" && !slices.Contains(want.Header[name], string(h.Value)) {
				t.Fatalf("%s: %q, net/http has %q", name, h.Value, want.Header[name])
			}
		}
	})
}

// lenientStatus: net/http refuses framing fields of any status, which mean nothing in a 101.
func lenientStatus(text string) bool {
	lower := strings.ToLower(text)
	return strings.Contains(lower, "content-length") || strings.Contains(lower, "transfer-encoding") || strings.Contains(lower, "trailer")
}

// What AppendAsk makes is a handshake, for our own parser and for net/http.
func TestAsk(t *testing.T) {
	var nonce [16]byte
	copy(nonce[:], "the sample nonce")
	key := AppendKey(nil, &nonce)
	if string(key) != sampleKey {
		t.Fatalf("the key is %s", key)
	}
	ask := Ask{
		Target: "/chat?x=y", Host: "example.com:8080", Key: key, Origin: "https://example.com",
		Protocols: []string{"a", "b"}, Extensions: "permessage-deflate", Extra: []HeaderField{{"Cookie", "a=1"}, {"X-Y", "z"}},
	}
	text := AppendAsk(nil, &ask)
	var p Parser
	var r Request
	if n, err := p.Parse(text, &r, Limits{}); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
	if err := CheckUpgrade(&r); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprintf("%s %s %s %s %q %q", r.Target, r.Host, r.Key, r.Origin, r.Protocols, r.Extensions); got !=
		`/chat?x=y example.com:8080 `+sampleKey+` https://example.com ["a" "b"] ["permessage-deflate"]` {
		t.Error(got)
	}
	h, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	if h.Host != ask.Host || h.Header.Get("X-Y") != "z" || h.Header.Get("Cookie") != "a=1" {
		t.Error(h.Host, h.Header)
	}
	bare := AppendAsk(nil, &Ask{Target: "/", Host: "h", Key: key})
	if want := "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
		sampleKey + "\r\n\r\n"; string(bare) != want {
		t.Errorf("%q", bare)
	}
	room := make([]byte, 0, 1024)
	if got := testing.AllocsPerRun(100, func() { AppendAsk(room, &ask) }); got != 0 {
		t.Errorf("%v mallocs a request", got)
	}
}

func TestValidAskField(t *testing.T) {
	mine := regexp.MustCompile(`response|server's own|handshake:|not allowed`) // a server's words, and this package's
	for _, name := range []string{"Host", "origin", "Upgrade", "Connection", "Content-Length", "transfer-encoding", "Sec-WebSocket-Key", "sec-websocket-x", "a b", "", "a\r\nb"} {
		if err := ValidAskField(name, "x"); !errors.Is(err, ErrField) || mine.MatchString(err.Error()) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := ValidAskField("X", "a\r\nB: c"); !errors.Is(err, ErrField) {
		t.Error(err)
	}
	if err := ValidAskField("Authorization", "Basic x"); err != nil {
		t.Error(err)
	}
}
