package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/gannet-ws/gannet/bench/load"
)

// TestTextHarmless: no control character of a peer, and none that turns the direction of writing, reaches a terminal.
func TestTextHarmless(t *testing.T) {
	var out bytes.Buffer
	if err := Text(&out, hostile(), 0); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%q came through", r)
		}
	}
	r := canned()
	r.Warnings = []string{strings.Repeat("warning ", 50) + "end"} // of ours: whole
	r.Errors = []load.ErrorCount{{Class: load.Closed, What: strings.Repeat("x", 1<<20), Count: 1}}
	out.Reset()
	if err := Text(&out, r, 0); err != nil || out.Len() > 10_000 || !strings.Contains(out.String(), "end\n") {
		t.Errorf("%d bytes, %v: %s", out.Len(), err, out.String()[:min(out.Len(), 10_000)])
	}
}

// TestTextOfNonePlain: only a terminal gets escape sequences.
func TestTextOfNonePlain(t *testing.T) {
	for width, want := range map[int]bool{0: false, 80: true} {
		var out bytes.Buffer
		if err := Text(&out, canned(), width); err != nil || strings.Contains(out.String(), "\x1b[") != want {
			t.Errorf("width %d: %v, %q", width, err, out.String())
		}
	}
}

// TestAdvice: each class says what to do, in its own words.
func TestAdvice(t *testing.T) {
	seen := map[string]load.Class{}
	for _, c := range []load.Class{
		load.Refused, load.TimedOut, load.Unreachable, load.TLSFailed, load.Handshake, load.Closed, load.Verify, load.Unasked, load.Exhausted, load.Lost, "new",
	} {
		a := advice(c)
		if other, ok := seen[a]; ok || a == "" {
			t.Errorf("%s says what %s does: %q", c, other, a)
		}
		seen[a] = c
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{percent(0, 0), "0 %"}, {percent(0, 5), "0 %"}, {percent(1, 1e6), "< 0.01 %"}, {percent(5, 1000), "0.50 %"},
		{percent(1, 2), "50.0 %"}, {percent(9999, 10_000), "99.99 %"}, {percent(999_999, 1e6), "100 %"}, {percent(3, 2), "150 %"},
		{milliseconds(0.0123), "0.012"}, {milliseconds(1.234), "1.23"}, {milliseconds(45.67), "45.7"}, {milliseconds(3_600_000), "3,600,000"},
		{rate(0.5), "0.5"}, {rate(1234.5), "1,235"}, {plural(1, "error", "errors"), "1 error"}, {bytesOf(-1), "0 B"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestProseWraps(t *testing.T) {
	tt := &text{width: 40}
	tt.prose("! ", fmt.Sprint(strings.Repeat("word ", 20), strings.Repeat("x", 60)))
	for line := range strings.SplitSeq(strings.TrimSpace(tt.String()), "\n") {
		if len(line) > 40 && !strings.Contains(line, "xxx") {
			t.Errorf("%d characters: %q", len(line), line)
		}
	}
}
