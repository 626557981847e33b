package connect

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

func pretty(p string) string {
	var b bytes.Buffer
	prettyJSON([]byte(p), func(piece []byte) { b.Write(piece) })
	return b.String()
}

// TestPrettyJSON: what encoding/json indents, we do in the same way; names and numbers are as they came.
func TestPrettyJSON(t *testing.T) {
	for _, p := range []string{
		`1`, `-0.10e+05`, `123456789012345678901234567890.10`, `"a\"b\\"`, `null`, `true`, ` [ ] `, `{}`, `[[],{}]`, `{"b":1,"a":2,"b":3}`,
		`{"z":[1,2,{"y":"\u00e9 é"}],"a":{"b":{}}}`, "[\n\t1 ,\r\n2 ]", `"{[,:]}"`, `{"a" : "x:y,z" , "b":[ { } , [ ] ]}`,
	} {
		var want bytes.Buffer
		if err := json.Indent(&want, []byte(strings.TrimSpace(p)), "", "  "); err != nil {
			t.Fatal(p, err)
		}
		if got := pretty(p); got != want.String() {
			t.Errorf("%s:\n%s\nwant\n%s", p, got, want.String())
		}
	}
}

// TestPrettyJSONRandom: the same with 2,000 values made by chance.
func TestPrettyJSONRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		p := string(randomJSON(r, nil, 6))
		var want bytes.Buffer
		if err := json.Indent(&want, []byte(p), "", "  "); err != nil {
			t.Fatal(p, err)
		}
		if got := pretty(p); got != want.String() {
			t.Fatalf("%s:\n%s\nwant\n%s", p, got, want.String())
		}
	}
}

func randomJSON(r *rand.Rand, b []byte, depth int) []byte {
	switch n := r.IntN(8); {
	case depth == 0 || n < 4:
		return append(b, []string{`0`, `1.50`, `"a,\"]"`, `null`, `false`, `""`}[r.IntN(6)]...)
	case n < 6:
		b = append(b, '[')
		for i := range r.IntN(4) {
			if i > 0 {
				b = append(b, ", "[:1+r.IntN(2)]...)
			}
			b = randomJSON(r, b, depth-1)
		}
		return append(b, ']')
	default:
		b = append(b, '{')
		for i := range r.IntN(4) {
			if i > 0 {
				b = append(b, ',')
			}
			b = randomJSON(r, append(b, `"k":`...), depth-1)
		}
		return append(b, '}')
	}
}

// TestPrettyJSONIsBounded: a few bytes of brackets do not become gigabytes of blanks.
func TestPrettyJSONIsBounded(t *testing.T) {
	p := strings.Repeat("[", 9999) + "1" + strings.Repeat(",1", 100_000) + strings.Repeat("]", 9999)
	if !json.Valid([]byte(p)) {
		t.Fatal("not JSON")
	}
	written, most := 0, 0
	prettyJSON([]byte(p), func(piece []byte) { written += len(piece); most = max(most, len(piece)) })
	if written > (2+2*deepest)*len(p) || most > 1+2*deepest {
		t.Errorf("%d bytes became %d, a piece of %d among them", len(p), written, most)
	}
}
