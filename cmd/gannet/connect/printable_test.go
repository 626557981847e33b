package connect

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPrintable: nothing that steers a terminal is left, and text is as it was.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "äöü € 日本語 👩‍👩‍👧": "äöü € 日本語 👩‍👩‍👧", "tab\there": "tab\there", `back\slash`: `back\slash`,
		"\x1b[31mred": `\x1b[31mred`, "\x1b]0;title\a": `\x1b]0;title\a`, "nul\x00": `nul\x00`, "del\x7f": `del\x7f`, "\b\v\f": `\b\v\f`,
		"c1\u009b31m": `c1\u009b31m`, "\u0085": `\u0085`, "\u202eevil": `\u202eevil`, "\u2066x": `\u2066x`, "line\u2028sep": `line\u2028sep`,
		"tag\U000e0041": `tag\U000e0041`, "\x9b31m": `\x9b31m`, "cut \xe2\x82": `cut \xe2\x82`, "\ufffd": "\ufffd",
		"one\ntwo": "one\n  two", "one\r\ntwo": "one\n  two", "over\rwrite": `over\rwrite`, "end\n": "end\n  ", "\r": `\r`, "\r\r\n": "\\r\n  ",
	} {
		if got := string(appendPrintable(nil, []byte(text), "  ")); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		writePrintable(w, []byte(text), "  ")
		w.Flush()
		if out.String() != want {
			t.Errorf("written, %q: %q, want %q", text, out.String(), want)
		}
	}
}

// TestPrintableInSteps: a long message is written in steps, none of which cuts a character or the end of a line.
func TestPrintableInSteps(t *testing.T) {
	for _, unit := range []string{"日本語", "\r\n", "a\r\nbc", "\x1b[2J", "\n"} {
		for shift := range 4 {
			text := []byte(strings.Repeat("x", shift) + strings.Repeat(unit, 3*stepBytes/len(unit)))
			var out bytes.Buffer
			w := bufio.NewWriter(&out)
			writePrintable(w, text, " ")
			w.Flush()
			if want := appendPrintable(nil, text, " "); !bytes.Equal(out.Bytes(), want) {
				t.Errorf("%q shifted by %d differs", unit, shift)
			}
		}
	}
}

// FuzzPrintable: whatever comes, only new lines and tabs of all control characters go through, and the text stays UTF-8.
func FuzzPrintable(f *testing.F) {
	f.Add([]byte("\x1b[31m\xff\r\n\u202e"))
	f.Fuzz(func(t *testing.T, p []byte) {
		got := appendPrintable(nil, p, "")
		if !utf8.Valid(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		for _, r := range string(got) {
			if isHarmful(r) && r != '\n' && r != '\t' {
				t.Errorf("%q has %U", got, r)
			}
		}
	})
}
