package handshake

import (
	"net/netip"
	"strings"
	"testing"
)

// forwardedRequest has the lines as its fields.
func forwardedRequest(name string, lines ...string) *Request {
	r := new(Request)
	for _, l := range lines {
		r.Headers = append(r.Headers, Field{[]byte("Other"), []byte("203.0.113.1")}, Field{[]byte(name), []byte(l)})
	}
	return r
}

// in10 trusts 10.0.0.0/8 and fd00::/8.
func in10(a netip.Addr) bool {
	return netip.MustParsePrefix("10.0.0.0/8").Contains(a) || netip.MustParsePrefix("fd00::/8").Contains(a)
}

// What each header, of a request that came from a trusted proxy, says; "" where it names nobody.
var forwardedCases = []struct {
	name  string
	field ForwardedField
	lines []string
	want  string
}{
	{"one", XForwardedFor, []string{"192.0.2.1"}, "192.0.2.1:0"},
	{"past a trusted one", XForwardedFor, []string{"192.0.2.1, 10.0.0.7"}, "192.0.2.1:0"},
	{"past several", XForwardedFor, []string{"192.0.2.1,10.0.0.7,fd00::1 ,\t10.9.9.9"}, "192.0.2.1:0"},
	{"several lines are one list", XForwardedFor, []string{"203.0.113.9", "192.0.2.1", "10.0.0.7"}, "192.0.2.1:0"},
	{"the client's own comes first", XForwardedFor, []string{"127.0.0.1, 192.0.2.1"}, "192.0.2.1:0"},
	{"the client claims to be a proxy", XForwardedFor, []string{"10.0.0.1, 192.0.2.1"}, "192.0.2.1:0"},
	{"the client claims many", XForwardedFor, []string{strings.Repeat("10.0.0.1,", 1000) + "192.0.2.1"}, "192.0.2.1:0"},
	{"the client writes garbage", XForwardedFor, []string{`"<script>, \, 192.0.2.1`}, "192.0.2.1:0"},
	{"the client writes a line of its own", XForwardedFor, []string{"10.0.0.1", "192.0.2.1"}, "192.0.2.1:0"},
	{"all trusted: the farthest", XForwardedFor, []string{"10.0.0.1, 10.0.0.2"}, "10.0.0.1:0"},
	{"garbage behind a trusted one", XForwardedFor, []string{"192.0.2.1, rubbish, 10.0.0.2"}, "10.0.0.2:0"},
	{"more than we follow", XForwardedFor, []string{"192.0.2.1," + strings.Repeat("10.0.0.1,", 40)}, "10.0.0.1:0"},
	{"empty elements", XForwardedFor, []string{" , ,192.0.2.1,, ", "", " , "}, "192.0.2.1:0"},
	{"empty", XForwardedFor, []string{""}, ""},
	{"only commas", XForwardedFor, []string{",,,"}, ""},
	{"none", XForwardedFor, nil, ""},
	{"the other field", XForwardedFor, []string{"for=192.0.2.1"}, ""},
	{"unknown", XForwardedFor, []string{"192.0.2.1, unknown"}, ""},
	{"a name", XForwardedFor, []string{"localhost"}, ""},
	{"a port", XForwardedFor, []string{"192.0.2.1:4711"}, "192.0.2.1:4711"},
	{"port 0", XForwardedFor, []string{"192.0.2.1:0"}, "192.0.2.1:0"},
	{"no port behind the colon", XForwardedFor, []string{"192.0.2.1:"}, ""},
	{"a port over 65535", XForwardedFor, []string{"192.0.2.1:65536"}, ""},
	{"a port that is none", XForwardedFor, []string{"192.0.2.1:80x"}, ""},
	{"two ports", XForwardedFor, []string{"192.0.2.1:1:2"}, ""},
	{"IPv6", XForwardedFor, []string{"2001:db8::1"}, "[2001:db8::1]:0"},
	{"IPv6 in brackets", XForwardedFor, []string{"[2001:db8::1]"}, "[2001:db8::1]:0"},
	{"IPv6 and a port", XForwardedFor, []string{"[2001:db8::1]:4711"}, "[2001:db8::1]:4711"},
	{"IPv6 with a zone", XForwardedFor, []string{"fe80::1%eth0"}, "[fe80::1]:0"},
	{"IPv6 with a zone in brackets", XForwardedFor, []string{"[fe80::1%25eth0]:9"}, "[fe80::1]:9"},
	{"a trusted one with a zone", XForwardedFor, []string{"192.0.2.1, fd00::1%eth0"}, "192.0.2.1:0"},
	{"IPv4 in IPv6", XForwardedFor, []string{"::ffff:192.0.2.1"}, "192.0.2.1:0"},
	{"a trusted IPv4 in IPv6", XForwardedFor, []string{"192.0.2.1, ::ffff:10.0.0.1"}, "192.0.2.1:0"},
	{"brackets that do not end", XForwardedFor, []string{"[2001:db8::1"}, ""},
	{"brackets with something behind", XForwardedFor, []string{"[2001:db8::1]x"}, ""},
	{"IPv4 in brackets", XForwardedFor, []string{"[192.0.2.1]"}, ""},
	{"leading zeros", XForwardedFor, []string{"010.0.0.1"}, ""},
	{"a number", XForwardedFor, []string{"3221225985"}, ""},
	{"too short", XForwardedFor, []string{"192.0.2"}, ""},
	{"nobody", XForwardedFor, []string{"0.0.0.0"}, ""},
	{"everybody", XForwardedFor, []string{"ff02::1"}, ""},
	{"quoted", XForwardedFor, []string{`"192.0.2.1"`}, ""},
	{"as long as a head", XForwardedFor, []string{strings.Repeat("1", 16<<10)}, ""},

	{"one", Forwarded, []string{"for=192.0.2.1"}, "192.0.2.1:0"},
	{"the parameters around it", Forwarded, []string{`proto=https;For="192.0.2.1:4711";by=203.0.113.43;host="a, b"`}, "192.0.2.1:4711"},
	{"white space where none belongs", Forwarded, []string{`for = 192.0.2.1 ; proto = https`}, "192.0.2.1:0"},
	{"IPv6", Forwarded, []string{`for="[2001:db8:cafe::17]:4711"`}, "[2001:db8:cafe::17]:4711"},
	{"IPv6 without quotes", Forwarded, []string{`for=[2001:db8::1]`}, "[2001:db8::1]:0"},
	{"past trusted ones", Forwarded, []string{`for=192.0.2.1, for="10.0.0.1:99";proto=http`, `for="[fd00::1]"`}, "192.0.2.1:0"},
	{"escapes", Forwarded, []string{`host="\",for=203.0.113.5,\\";for="192\.0.2.1"`}, "192.0.2.1:0"},
	{"the client opens a quote", Forwarded, []string{`for=", for=192.0.2.1`}, "192.0.2.1:0"},
	{"the client opens a quote before a quoted one", Forwarded, []string{`for=", for="[2001:db8::1]:4711"`}, "[2001:db8::1]:4711"},
	{"the client opens a quote and escapes", Forwarded, []string{`for="\, for="192.0.2.1"`}, "192.0.2.1:0"},
	{"the client opens a quote in a line of its own", Forwarded, []string{`for="10.0.0.1`, `for=192.0.2.1`}, "192.0.2.1:0"},
	{"unknown", Forwarded, []string{"for=192.0.2.1, for=unknown"}, ""},
	{"obfuscated", Forwarded, []string{`for=192.0.2.1, for="_gazonk"`}, ""},
	{"an obfuscated one behind a trusted one", Forwarded, []string{`for=192.0.2.1, for=_hidden, for=10.0.0.1`}, "10.0.0.1:0"},
	{"an obfuscated port", Forwarded, []string{`for="192.0.2.1:_p.1-x"`}, "192.0.2.1:0"},
	{"an obfuscated port that is none", Forwarded, []string{`for="192.0.2.1:_"`}, ""},
	{"no for", Forwarded, []string{"for=192.0.2.1, proto=https"}, ""},
	{"for twice", Forwarded, []string{"for=192.0.2.1;for=192.0.2.2"}, ""},
	{"no value", Forwarded, []string{"for"}, ""},
	{"an empty value", Forwarded, []string{"for="}, ""},
	{"an empty quoted value", Forwarded, []string{`for=""`}, ""},
	{"something behind the quotes", Forwarded, []string{`for="192.0.2.1"x`}, ""},
	{"an escape at the end", Forwarded, []string{`for="192.0.2.1\`}, ""},
	{"the other field", Forwarded, []string{"192.0.2.1"}, ""},
	{"empty elements", Forwarded, []string{", for=192.0.2.1 ,, "}, "192.0.2.1:0"},
}

func TestForwardedClient(t *testing.T) {
	for _, c := range forwardedCases {
		for _, name := range []string{c.field.String(), strings.ToUpper(c.field.String())} {
			got := ""
			if a := forwardedRequest(name, c.lines...).Client(c.field, in10); a.IsValid() {
				got = a.String()
			}
			if got != c.want {
				t.Errorf("%s, %s: %q is %q, want %q", name, c.name, c.lines, got, c.want)
			}
		}
	}
}

func TestForwardedScheme(t *testing.T) {
	for _, c := range []struct {
		lines     []string
		tls, said bool
	}{
		{nil, false, false},
		{[]string{"https"}, true, true},
		{[]string{"WSS"}, true, true},
		{[]string{"http"}, false, true},
		{[]string{"ws"}, false, true},
		{[]string{"https, http"}, false, true},
		{[]string{"http", "https"}, true, true},
		{[]string{"https", " , "}, true, true},
		{[]string{"https", "gopher"}, false, false},
		{[]string{""}, false, false},
		{[]string{`"https"`}, false, false},
		{[]string{"https://"}, false, false},
	} {
		if tls, said := forwardedRequest("x-forwarded-proto", c.lines...).ForwardedTLS(); tls != c.tls || said != c.said {
			t.Errorf("%q: %v %v", c.lines, tls, said)
		}
	}
}

// FuzzForwarded: whatever is in front of what the nearest proxy has appended, its word counts.
func FuzzForwarded(f *testing.F) {
	for _, c := range forwardedCases {
		f.Add(strings.Join(c.lines, ","))
	}
	f.Fuzz(func(t *testing.T, theirs string) {
		for _, c := range []struct {
			field ForwardedField
			ours  string
		}{{XForwardedFor, "192.0.2.1"}, {Forwarded, "for=192.0.2.1"}, {Forwarded, `by="[fd00::1]";for="192.0.2.1:0";proto=https`}} {
			for _, r := range []*Request{
				forwardedRequest(c.field.String(), theirs+", "+c.ours),
				forwardedRequest(c.field.String(), theirs, c.ours),
				forwardedRequest(c.field.String(), theirs+","+c.ours, strings.TrimPrefix(strings.Replace(c.ours, "192.0.2.1", "10.0.0.1", 1), " ")),
			} {
				if got := r.Client(c.field, in10); got.String() != "192.0.2.1:0" {
					t.Fatalf("%v of %q: %v", c.field, r.Headers[len(r.Headers)-1].Value, got)
				}
			}
			r := forwardedRequest(c.field.String(), theirs)
			if a := r.Client(c.field, in10); a.IsValid() && (a.Addr().Zone() != "" || a.Addr().Is4In6()) {
				t.Fatal(a)
			}
		}
	})
}
