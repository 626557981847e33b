package handshake

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func TestParserIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Parser{}); size > 16 {
		t.Errorf("a Parser takes %d bytes of every connection that is opening", size)
	}
}

// Pipelined frames in the same segment must be kept: what follows the head is not touched, and
// counts for no limit.
func TestEveryCutWithFramesBehind(t *testing.T) {
	frames := bytes.Repeat([]byte{0x81, 0x80, 1, 2, 3, '\n'}, DefaultMaxBytes/4)
	all := append([]byte(browser), frames...)
	for cut := range len(browser) {
		var p Parser
		var r Request
		// A copy, as the bytes may have moved when more have come.
		if n, err := p.Parse(bytes.Clone(all[:cut]), &r, Limits{}); n != 0 || err != nil {
			t.Fatalf("cut at %d: got %d, %v", cut, n, err)
		}
		n, err := p.Parse(all, &r, Limits{})
		if n != len(browser) || err != nil {
			t.Fatalf("cut at %d: got %d, %v, want %d", cut, n, err, len(browser))
		}
		if err := CheckUpgrade(&r); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if p != (Parser{}) {
			t.Fatalf("cut at %d: the parser is not ready for another: %+v", cut, p)
		}
	}
	if !bytes.Equal(all[len(browser):], frames) {
		t.Error("the frames were changed")
	}
}

func TestParserIsReadyAfterARefusal(t *testing.T) {
	var p Parser
	var r Request
	if _, err := p.Parse([]byte("GET / HTTP/1.1\r\nA: b\n"), &r, Limits{}); err == nil {
		t.Fatal("a bare LF is accepted")
	}
	if n, err := p.Parse([]byte(plain), &r, Limits{}); n != len(plain) || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
}

// A refusal comes with the first byte that forces it, not later.
func TestRefusedAtOnce(t *testing.T) {
	line := "GET / HTTP/1.1\r\n"
	for _, c := range []struct {
		name, head string // the last byte is the one that must not be waited past
		l          Limits
		reason     string
	}{
		{"ClientHello", "\x16", Limits{}, "bad-method"},
		{"noise in the method", "GE\x00", Limits{}, "bad-method"},
		{"a method that does not end", strings.Repeat("A", 33), Limits{}, "method-too-long"},
		{"a request line that cannot fit", "GET /" + strings.Repeat("a", 15), Limits{MaxLine: 20}, "request-line-too-long"},
		{"MaxBytes bounds the line too", "GET /" + strings.Repeat("a", 15), Limits{MaxBytes: 20, MaxLine: 40}, "request-line-too-long"},
		{"a head that cannot fit", line + strings.Repeat("a", 14), Limits{MaxBytes: 30}, "head-too-long"},
		{"the third field", line + "a:b\r\na:b\r\na:b\r\n", Limits{MaxHeaders: 2}, "too-many-fields"},
		{"a bare LF", line + "a:b\n", Limits{}, "bare-lf"},
		{"LF as the line's first byte", line + "\n", Limits{}, "bare-lf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Parser
			var r Request
			all := []byte(c.head)
			for i := 1; i < len(all); i++ {
				if n, err := p.Parse(all[:i], &r, c.l); n != 0 || err != nil {
					t.Fatalf("after %d bytes: %d, %v", i, n, err)
				}
			}
			_, err := p.Parse(all, &r, c.l)
			if refused := asRefusal(t, err); refused == nil || refused.Reason != c.reason {
				t.Fatalf("got %v, want %s", err, c.reason)
			}
		})
	}
}

// What is exactly at a limit is accepted, and one more is not.
func TestLimitsAreExact(t *testing.T) {
	count := strings.Count(plain, "\r\n") - 2
	line := strings.Index(plain, "\r\n") + 2
	for _, c := range []struct {
		name   string
		at     Limits
		over   Limits
		status int
	}{
		{"MaxBytes", Limits{MaxBytes: len(plain)}, Limits{MaxBytes: len(plain) - 1}, 431},
		{"MaxLine", Limits{MaxLine: line}, Limits{MaxLine: line - 1}, 414},
		{"MaxHeaders", Limits{MaxHeaders: count}, Limits{MaxHeaders: count - 1}, 431},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, refused := judge(t, plain, c.at); refused != nil {
				t.Errorf("at the limit: %v", refused)
			}
			if _, refused := judge(t, plain, c.over); refused == nil || refused.Status != c.status {
				t.Errorf("over the limit: %v", refused)
			}
		})
	}
	if _, refused := judge(t, adding(fields(DefaultMaxHeaders-count)...), Limits{}); refused != nil {
		t.Errorf("%d fields: %v", DefaultMaxHeaders, refused)
	}
	if _, refused := judge(t, with(t, "chat, superchat", numbered(maxProtocols)), Limits{}); refused != nil {
		t.Errorf("%d protocols: %v", maxProtocols, refused)
	}
}

func TestFewerBytesThanBeforePanics(t *testing.T) {
	var p Parser
	var r Request
	if _, err := p.Parse([]byte("GET / HTTP/1.1\r\n"), &r, Limits{}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() != "handshake: Parse was given fewer bytes than before" {
			t.Error("the panic's message changed")
		}
	}()
	_, _ = p.Parse([]byte("GET /"), &r, Limits{})
	t.Error("no panic")
}

// One byte at a time, a byte late in a long head costs what an early one costs. A parser that
// starts over costs 64 times as much at 64 KiB as at 1 KiB.
func TestDripIsLinear(t *testing.T) {
	shapes := map[string]func(n int) []byte{
		"one long field": func(n int) []byte {
			return append([]byte("GET / HTTP/1.1\r\nA: "), bytes.Repeat([]byte("a"), n)...)
		},
		"many short fields": func(n int) []byte {
			return append([]byte("GET / HTTP/1.1\r\n"), bytes.Repeat([]byte("a: b\r\n"), n/6)...)
		},
		"a long line": func(n int) []byte {
			return append([]byte("GET /"), bytes.Repeat([]byte("a"), n)...)
		},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			short, long := perByteDripped(t, shape(1<<10)), perByteDripped(t, shape(64<<10))
			t.Logf("%v a byte at 1 KiB, %v at 64 KiB", short, long)
			if long > 8*short {
				t.Errorf("a byte costs %v at 1 KiB and %v at 64 KiB", short, long)
			}
		})
	}
}

// perByteDripped is the best of several, because the machine is shared.
func perByteDripped(t *testing.T, head []byte) time.Duration {
	wide := Limits{MaxBytes: 1 << 20, MaxLine: 1 << 20, MaxHeaders: 1 << 20}
	best := time.Duration(1 << 62)
	for range 7 {
		var p Parser
		var r Request
		start := time.Now()
		for i := range head {
			if n, err := p.Parse(head[:i+1], &r, wide); n != 0 || err != nil {
				t.Fatalf("after %d bytes: %d, %v", i+1, n, err)
			}
		}
		best = min(best, time.Since(start))
	}
	return max(best/time.Duration(len(head)), 1)
}

// The whole head at once is linear too, whatever fills it: no shape of 64 KiB takes more than a
// few times as long a byte as a shape of 1 KiB.
func TestWholeIsLinear(t *testing.T) {
	shapes := map[string]func(n int) string{
		"tabs in a value":     func(n int) string { return "X: a" + strings.Repeat("\t", n) + "b\r\n" },
		"trailing spaces":     func(n int) string { return "X: a" + strings.Repeat(" ", n) + "\r\n" },
		"short fields":        func(n int) string { return strings.Repeat("a:b\r\n", n/5) },
		"a list of nothing":   func(n int) string { return "Connection: " + strings.Repeat(",", n) + "\r\n" },
		"protocols of commas": func(n int) string { return "Sec-WebSocket-Protocol: " + strings.Repeat(",", n) + "\r\n" },
		"two-byte protocols":  func(n int) string { return "Sec-WebSocket-Protocol: " + numbered(n/6) + "\r\n" },
		"connection lines":    func(n int) string { return strings.Repeat("Connection: a\r\n", n/15) },
		"colons as a host":    func(n int) string { return "Host: [" + strings.Repeat(":", n) + "]\r\n" },
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			short, long := perKiBWhole(shape(1<<10)), perKiBWhole(shape(64<<10))
			t.Logf("%v a KiB at 1 KiB, %v at 64 KiB", short, long)
			if long > 8*short {
				t.Errorf("a KiB costs %v at 1 KiB and %v at 64 KiB", short, long)
			}
		})
	}
}

func perKiBWhole(lines string) time.Duration {
	wide := Limits{MaxBytes: 1 << 20, MaxLine: 1 << 20, MaxHeaders: 1 << 20}
	head := []byte("GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n")
	best := time.Duration(1 << 62)
	var r Request
	for range 9 {
		var p Parser
		start := time.Now()
		_, _ = p.Parse(head, &r, wide)
		best = min(best, time.Since(start))
	}
	return max(best*1024/time.Duration(len(head)), 100)
}
