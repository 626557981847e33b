package codec

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// The codes that a peer may put in a Close frame, as a list: 1000-1003, 1007-1014, 3000-4999.
func codesOnWire() map[int]bool {
	m := map[int]bool{1000: true, 1001: true, 1002: true, 1003: true, 1007: true, 1008: true, 1009: true, 1010: true,
		1011: true, 1012: true, 1013: true, 1014: true}
	for code := 3000; code < 5000; code++ {
		m[code] = true
	}
	return m
}

func TestParseCloseOfEveryCode(t *testing.T) {
	legal := codesOnWire()
	for code := range 1 << 16 {
		body := binary.BigEndian.AppendUint16(nil, uint16(code))
		got, err := ParseClose(append(body, "bye"...))
		switch {
		case legal[code] && (err != nil || got != CloseBody{StatusCode(code), "bye"}):
			t.Errorf("%d: %+v, %v", code, got, err)
		case !legal[code] && (err != ErrCloseCode || got != CloseBody{}):
			t.Errorf("%d: %+v, %v; want %v", code, got, err, ErrCloseCode)
		}
	}
}

// gobwas/ws as oracle. It knows no code that IANA registered after the RFC, and calls undefined what is above 4999 only
// where the RFC's own ranges end, at 2999.
func TestCloseCodesAgainstGobwas(t *testing.T) {
	differences := 0
	for code := range 1 << 16 {
		_, ours := ParseClose(binary.BigEndian.AppendUint16(nil, uint16(code)))
		theirs := ws.CheckCloseFrameData(ws.StatusCode(code), "")
		switch {
		case (ours == nil) == (theirs == nil):
		case 1012 <= code && code <= 1014 && ours == nil: // gobwas refuses them
			differences++
		case 5000 <= code && ours != nil: // gobwas accepts them
			differences++
		default:
			t.Errorf("%d: we say %v, gobwas says %v", code, ours, theirs)
		}
	}
	if want := 3 + 1<<16 - 5000; differences != want {
		t.Errorf("%d differences, want %d", differences, want)
	}
}

func TestParseCloseBodies(t *testing.T) {
	longest := strings.Repeat("é", 61) + "." // 123 bytes
	for _, c := range []struct {
		name string
		body string
		want CloseBody
		err  error
	}{
		{"empty", "", CloseBody{Code: 1005}, nil},
		{"one byte", "\x03", CloseBody{}, ErrCloseBody},
		{"code only", "\x03\xe8", CloseBody{Code: 1000}, nil},
		{"reason", "\x03\xe8done", CloseBody{1000, "done"}, nil},
		{"longest reason", "\x0f\xa0" + longest, CloseBody{4000, longest}, nil},
		{"a byte too many", "\x0f\xa0" + longest + ".", CloseBody{}, ErrControlLength},
		{"a reason cut inside a character", "\x03\xe8\xc3", CloseBody{}, ErrCloseReason},
		{"a surrogate", "\x03\xe8\xed\xa0\x80", CloseBody{}, ErrCloseReason},
		{"overlong", "\x03\xe8\xc0\xaf", CloseBody{}, ErrCloseReason},
		{"past U+10FFFF", "\x03\xe8\xf4\x90\x80\x80", CloseBody{}, ErrCloseReason},
		{"a noncharacter and a NUL", "\x03\xe8\xef\xbf\xbf\x00", CloseBody{1000, "\uffff\x00"}, nil},
		{"bad code before bad reason", "\x03\xed\xff", CloseBody{}, ErrCloseCode},
	} {
		if got, err := ParseClose([]byte(c.body)); got != c.want || err != c.err {
			t.Errorf("%s: %+v, %v; want %+v, %v", c.name, got, err, c.want, c.err)
		}
	}
}

// The reason is a copy: the body may be overwritten by the next read.
func TestCloseReasonIsKept(t *testing.T) {
	body := []byte("\x03\xe8kept")
	got, err := ParseClose(body)
	clear(body)
	if err != nil || got.Reason != "kept" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCheckSendCode(t *testing.T) {
	server := map[int]bool{1000: true, 1001: true, 1002: true, 1003: true, 1007: true, 1008: true, 1009: true, 1011: true,
		1012: true, 1013: true, 1014: true}
	client := map[int]bool{1000: true}
	for code := 3000; code <= 4999; code++ {
		server[code], client[code] = true, true
	}
	codes := []int{-1 << 31, -64536, 1<<31 - 1, 66536, -1000}
	for code := -10; code < 140_000; code++ {
		codes = append(codes, code)
	}
	for _, code := range codes {
		for role, allowed := range map[Role]map[int]bool{RoleServer: server, RoleClient: client} {
			want := error(ErrSendCode)
			if allowed[code] {
				want = nil
			}
			if err := CheckSendCode(code, role); err != want {
				t.Errorf("code %d, role %d: %v, want %v", code, role, err, want)
			}
		}
	}
}

func TestCheckSendReason(t *testing.T) {
	for reason, want := range map[string]error{
		"":                                    nil,
		strings.Repeat("x", 123):              nil,
		strings.Repeat("x", 124):              ErrSendReason,
		strings.Repeat("é", 61):               nil,
		strings.Repeat("é", 62):               ErrSendReason, // 62 characters, 124 bytes
		"\xff":                                ErrSendReasonUTF8,
		strings.Repeat("x", 122) + "\xc3":     ErrSendReasonUTF8,
		strings.Repeat("x", 123) + "\xc3":     ErrSendReason,
		"\U0001f44b " + string(rune(0x10fff)): nil,
	} {
		if err := CheckSendReason(reason); err != want {
			t.Errorf("%q: %v, want %v", reason, err, want)
		}
	}
}

func TestAppendCloseBody(t *testing.T) {
	for code := range codesOnWire() {
		body := AppendCloseBody([]byte("kept"), code, "é")
		if !bytes.HasPrefix(body, []byte("kept")) {
			t.Fatalf("%d: lost what was there: %q", code, body)
		}
		if got, err := ParseClose(body[4:]); err != nil || got != (CloseBody{StatusCode(code), "é"}) {
			t.Errorf("%d: %x reads as %+v, %v", code, body, got, err)
		}
	}
	if body := AppendCloseBody([]byte("kept"), int(StatusNoStatusRcvd), ""); string(body) != "kept" {
		t.Errorf("1005 is the empty body, not %q", body)
	}
}

func TestAppendCloseBodyPanics(t *testing.T) {
	for _, code := range []int{-1, 0, 999, 1004, 1006, 1015, 2999, 5000, 65535, 66536} {
		mustPanic(t, "codec: close code that must not be sent", func() { AppendCloseBody(nil, code, "") })
	}
	mustPanic(t, "codec: close code that must not be sent", func() { AppendCloseBody(nil, 1005, "reason") })
	mustPanic(t, "codec: unchecked close reason", func() { AppendCloseBody(nil, 1000, strings.Repeat("x", 124)) })
	mustPanic(t, "codec: unchecked close reason", func() { AppendCloseBody(nil, 1000, "\xff") })
}

func FuzzCloseBody(f *testing.F) {
	for _, s := range []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xed", "\x0f\xa0\xff", "\x13\x88"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := ParseClose(body)
		if err != nil {
			if e := err.(Error); e.Code() != 1002 && e.Code() != 1007 || got != (CloseBody{}) {
				t.Fatalf("%x: %+v, %v with code %d", body, got, err, e.Code())
			}
			return
		}
		if !utf8.ValidString(got.Reason) {
			t.Fatalf("%x: reason %q", body, got.Reason)
		}
		if again := AppendCloseBody(nil, int(got.Code), got.Reason); !bytes.Equal(again, body) {
			t.Fatalf("%x reads as %+v and is written as %x", body, got, again)
		}
	})
}
