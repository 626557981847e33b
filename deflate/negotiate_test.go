package deflate

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws/wsflate"
)

// offerCase is one line of testdata/offers.txt.
type offerCase struct {
	line                   int
	policy                 Policy
	fields                 []string
	answer, section, field string
}

func offerCases(tb testing.TB) (cases []offerCase) {
	tb.Helper()
	b, err := os.ReadFile("testdata/offers.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var policy Policy
	for i, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "policy"); ok {
			policy = parsePolicy(tb, rest)
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 || line[0] == '#' {
			continue
		}
		var fields []string
		for _, f := range strings.Split(parts[0], " && ") {
			fields = append(fields, unescape(tb, f))
		}
		cases = append(cases, offerCase{i + 1, policy, fields, strings.TrimPrefix(parts[1], "-"), parts[2], parts[0]})
	}
	return cases
}

func parsePolicy(tb testing.TB, s string) (p Policy) {
	tb.Helper()
	for _, word := range strings.Fields(s) {
		name, number, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(number)
		switch name {
		case "s":
			p.SendWindowBits = n
		case "r":
			p.ReceiveWindowBits = n
		case "notakeover":
			p.Takeover = NoTakeover
		case "peernotakeover":
			p.PeerNoTakeover = true
		default:
			tb.Fatal("policy", s)
		}
	}
	return p
}

// unescape resolves \t, \r, \n and \xNN; any other backslash is the field's own.
func unescape(tb testing.TB, s string) string {
	s = strings.NewReplacer(`\t`, "\t", `\r`, "\r", `\n`, "\n").Replace(s)
	for {
		i := strings.Index(s, `\x`)
		if i < 0 {
			return s
		}
		n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
		if err != nil {
			tb.Fatal(err)
		}
		s = s[:i] + string([]byte{byte(n)}) + s[i+4:]
	}
}

func lines(fields ...string) (b [][]byte) {
	for _, f := range fields {
		b = append(b, []byte(f))
	}
	return b
}

// The table: what is answered to what, and which section says so.
func TestOffers(t *testing.T) {
	cases := offerCases(t)
	if len(cases) < 150 {
		t.Errorf("%d cases, there should be 150", len(cases))
	}
	for _, c := range cases {
		x, err := New(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		a, ok := x.Negotiate(lines(c.fields...))
		if a.String() != c.answer || ok != (c.answer != "") {
			t.Errorf("offers.txt:%d: %s\nanswer %q\nwant   %q (%s)", c.line, c.field, a.String(), c.answer, c.section)
		}
		if ok {
			checkAgreement(t, c, a)
		}
	}
}

// checkAgreement holds an agreement to its own answer and to the policy.
func checkAgreement(t *testing.T, c offerCase, a Agreement) {
	t.Helper()
	x, _ := New(c.policy)
	p := x.Policy()
	sends := a.Send.WindowBits >= minWindowBits && int(a.Send.WindowBits) <= p.SendWindowBits
	receives := a.Receive.WindowBits >= minWindowBits && (!a.Receive.Takeover || int(a.Receive.WindowBits) <= p.ReceiveWindowBits)
	takeover := a.Send.Takeover == !strings.Contains(c.answer, serverNoTakeoverName) &&
		a.Receive.Takeover == !strings.Contains(c.answer, clientNoTakeoverName)
	if !sends || !receives || !takeover {
		t.Errorf("offers.txt:%d: %+v", c.line, a)
	}
}

// Negotiating allocates nothing, whatever is offered.
func TestOffersMallocs(t *testing.T) {
	var all [][]byte
	for _, c := range offerCases(t) {
		all = append(all, lines(c.fields...)...)
	}
	x, _ := New(Policy{})
	if n := testing.AllocsPerRun(100, func() {
		for i := range all {
			x.Negotiate(all[i : i+1])
		}
	}); n != 0 {
		t.Error(n, "allocations")
	}
}

// gobwas's reading of the same offers. It knows one configuration, so only which offers it declines is compared, and the
// lines where it is wrong are listed: a new one would show up here.
func TestOffersBesideGobwas(t *testing.T) {
	known := map[string]string{ // by what the section says
		"leading zeros":                   "reads them",
		"twice":                           "accepts client_max_window_bits again when one has no value",
		"8 to 15":                         "lets numbers wrap around 2^64; takes an escape for the value's end",
		"one token":                       "drops what follows a value",
		"nothing follows a value":         "drops what follows a value",
		"a token after the sign":          "takes it for no value",
		"unescaped it is a token":         "takes an empty string for no value",
		"after unescaping":                "does not unescape",
		"a parameter after the semicolon": "ignores a semicolon at the end",
	}
	differ := map[string]int{}
	for _, c := range offerCases(t) {
		if c.policy != (Policy{}) || len(c.fields) > 1 || strings.Contains(c.field, ", ") {
			continue
		}
		// A field that is not the grammar's ends the upgrade there; here it declines the offer.
		options, wellFormed := httphead.ParseOptions([]byte(c.fields[0]), nil)
		if !wellFormed || len(options) != 1 || string(options[0].Name) != wsflate.ExtensionName {
			continue
		}
		var p wsflate.Parameters
		theirs := p.Parse(options[0]) == nil
		ours := c.answer != ""
		if theirs == ours {
			continue
		}
		explained := false
		for what := range known {
			if strings.HasSuffix(c.section, what) {
				differ[what]++
				explained = true
			}
		}
		if !explained {
			t.Errorf("offers.txt:%d: %s: gobwas %v, ours %v (%s)", c.line, c.field, theirs, ours, c.section)
		}
	}
	for what := range known {
		if differ[what] == 0 {
			t.Errorf("gobwas no longer differs: %s", known[what])
		}
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, c := range offerCases(f) {
		f.Add([]byte(strings.Join(c.fields, ",")))
	}
	x, _ := New(Policy{})
	f.Fuzz(func(t *testing.T, field []byte) {
		before := bytes.Clone(field)
		a, ok := x.Negotiate([][]byte{field})
		if !bytes.Equal(before, field) {
			t.Fatal("the field was written")
		}
		if !ok {
			return
		}
		// What we answer, we read, and a client of ours may have offered it.
		s := scanner{text: []byte(a.String())}
		e, more := s.next()
		if !more || e.malformed || e.invalid || e.parameters != a.answer {
			t.Fatalf("answer %q", a.String())
		}
		if !bytes.Contains(field, []byte(extensionName)) {
			t.Fatal("accepted what was not offered")
		}
	})
}
