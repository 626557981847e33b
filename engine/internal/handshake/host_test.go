package handshake

import (
	"net/netip"
	"strings"
	"testing"
)

func TestValidHost(t *testing.T) {
	for host, want := range map[string]bool{
		"":                true,
		"a":               true,
		"a.b-c_d~e":       true,
		"example.com.":    true,
		"a%2fb":           true,
		"!$&'()*+,;=":     true,
		"127.0.0.1":       true,
		"[::1]":           true,
		"[]":              false,
		"[":               false,
		"[::1":            false,
		"::1":             false,
		"[::1]x":          false,
		"[v1.a]":          false,
		"[fe80::1%25eth]": false,
		"a%2":             false,
		"a%":              false,
		"a%g0":            false,
		"a/b":             false,
		"a\\b":            false,
		"a?b":             false,
		"a#b":             false,
		"a@b":             false,
		"a b":             false,
		"a\"b":            false,
		"<a>":             false,
		"a[b]":            false,
		"\xe4":            false,
		"a\x00":           false,
		"a\x7f":           false,
	} {
		if got := validHost([]byte(host)); got != want {
			t.Errorf("%q: got %v", host, got)
		}
	}
}

// All strings of up to seven pieces, with net/netip as the oracle.
func TestValidIPv6AgainstNetip(t *testing.T) {
	pieces := []string{":", "::", "1", "ffff", "g", ".", "1.2.3.4", ":1:2:3", "12345"}
	var extend func(s string, left int)
	extend = func(s string, left int) {
		checkIPv6(t, s)
		if left == 0 {
			return
		}
		for _, piece := range pieces {
			extend(s+piece, left-1)
		}
	}
	extend("", 5)
	for _, groups := range []int{6, 7, 8, 9} {
		full := strings.TrimSuffix(strings.Repeat("a:", groups), ":")
		for _, s := range []string{full, "::" + full, full + "::", full + ":1.2.3.4", "::" + full + ":1.2.3.4", strings.Replace(full, "a:a", "a::a", 1)} {
			checkIPv6(t, s)
		}
	}
	for _, tail := range []string{"256.0.0.1", "01.2.3.4", "1.2.3", "1.2.3.4.5", "1..2.3", "1.2.3.4:5", "1.2.3.", "255.255.255.255", "a.2.3.4"} {
		checkIPv6(t, "::"+tail)
	}
}

func checkIPv6(t *testing.T, s string) {
	t.Helper()
	addr, err := netip.ParseAddr(s)
	if want := err == nil && addr.Is6(); validIPv6([]byte(s)) != want {
		t.Errorf("%q: want %v", s, want)
	}
}
