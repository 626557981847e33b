package load

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

func recipe(t *testing.T, p Plan) *Recipe {
	t.Helper()
	p.Complete()
	m, err := NewRecipe(&p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPayloads(t *testing.T) {
	file := t.TempDir() + "/message"
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := Mark{Conn: 7, Seq: 42, Left: 1234567890123456789}
	for _, c := range []struct{ payload, want string }{
		{"a {{.Seq}} b {{ .Conn }}{{.Now}}", "a 42 b 71234567890123456789"}, {"plain", "plain"}, {"{{/* nothing */}}x", "x"},
	} {
		if got := string(recipe(t, Plan{Payload: Payload{Template: c.payload}}).Append(nil, &k)); got != c.want {
			t.Errorf("%q: %q, want %q", c.payload, got, c.want)
		}
	}
	if got := string(recipe(t, Plan{Payload: Payload{File: file}}).Append(nil, &k)); got != "from a file" {
		t.Error(got)
	}
	if got := string(recipe(t, Plan{Payload: Payload{Text: "{{.Seq}}"}}).Append(nil, &k)); got != "{{.Seq}}" {
		t.Error("a text is no template:", got)
	}
	missing := Plan{Payload: Payload{File: file + "x"}}
	if _, err := NewRecipe(&missing); !errors.Is(err, ErrPlan) || !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestPayloadSize: each kind makes messages of the size, and the seed decides which.
func TestPayloadSize(t *testing.T) {
	for _, size := range []int{1, 11, 128, 5000} {
		for _, k := range []struct {
			kind   string
			binary bool
		}{{"letters", false}, {"letters", true}, {"noise", true}, {"zero", false}, {"zero", true}, {"json", false}} {
			if k.kind == "json" && size < 11 {
				continue
			}
			p := Plan{Binary: k.binary, Payload: Payload{Size: size, Kind: k.kind}}
			one, again := recipe(t, p), recipe(t, p)
			p.Seed = 9
			other := recipe(t, p)
			differ := 0
			for seq := range uint32(100) {
				mark := &Mark{Conn: 3, Seq: seq}
				b := one.Append(nil, mark)
				if len(b) != size || !k.binary && !utf8.Valid(b) || k.kind == "json" && !json.Valid(b) {
					t.Fatalf("%s %d: %q", k.kind, size, b)
				}
				if d, _ := again.Same(b, nil, mark); d != "" {
					t.Fatalf("%s %d: %s in the same message", k.kind, size, d)
				}
				if d, _ := other.Same(b, nil, mark); d != "" {
					differ++
				}
			}
			if size >= 128 && k.kind != "zero" && differ < 90 {
				t.Errorf("%s %d: another seed made only %d of 100 others", k.kind, size, differ)
			}
		}
	}
}

// TestSame finds every byte that differs.
func TestSame(t *testing.T) {
	m := recipe(t, Plan{})
	k := &Mark{Conn: 1, Seq: 2}
	b := m.Append(nil, k)
	for i := range b {
		b[i] ^= 1
		if d, _ := m.Same(b, nil, k); d != "other bytes" {
			t.Fatalf("byte %d: %q", i, d)
		}
		b[i] ^= 1
	}
	if d, _ := m.Same(b[1:], nil, k); d != "127 bytes instead of 128" {
		t.Error(d)
	}
}

// TestMark: what a fan-out's message carries is found again, wherever it stands.
func TestMark(t *testing.T) {
	k := Mark{Conn: 0xffffffff, Seq: 3, Due: 1234567890123456789, Left: -1}
	for _, p := range []Plan{{Scenario: Fanout}, {Scenario: Fanout, Binary: true}, {Scenario: Fanout, Payload: Payload{Template: `~{"~~":"{{.Stamp}}"}`}}} {
		b := recipe(t, p).Append([]byte("~before"), &k)
		if got, ok := FindMark(b); !ok || got != k {
			t.Errorf("%+v in %q", got, b)
		}
	}
	for _, b := range []string{"", "~", strings.Repeat("~", 200), "x" + strings.Repeat("0", 100), "~" + strings.Repeat("0", 47)} {
		if k, ok := FindMark([]byte(b)); ok {
			t.Errorf("%+v in %q", k, b)
		}
	}
}

func TestAppendMallocs(t *testing.T) {
	for _, p := range []Plan{{}, {Scenario: Fanout}, {Payload: Payload{Template: "{{.Seq}} {{.Conn}} {{.Now}} {{.Stamp}}"}}} {
		m, room := recipe(t, p), make([]byte, 0, 1000)
		k := &Mark{Conn: 1 << 20, Seq: 1 << 20, Left: 1 << 60}
		if n := testing.AllocsPerRun(100, func() { room = m.Append(room[:0], k) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func TestSourceAddrs(t *testing.T) {
	all, err := SourceAddrs([]string{"127.0.0.1-127.0.0.20", "10.0.0.255 - 10.0.1.1", "::1"})
	if err != nil || len(all) != 24 || all[0].String() != "127.0.0.1" || all[19].String() != "127.0.0.20" || all[22].String() != "10.0.1.1" {
		t.Error(all, err)
	}
	for _, wrong := range []string{"", "x", "127.0.0.1-", "127.0.0.2-127.0.0.1", "127.0.0.1-::1", "10.0.0.0-11.0.0.0", "127.0.0.1:80"} {
		if _, err := SourceAddrs([]string{wrong}); !errors.Is(err, ErrPlan) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
