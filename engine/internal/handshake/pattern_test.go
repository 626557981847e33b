package handshake

import (
	"errors"
	"testing"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{"*", []string{"http://a", "null", "app://x", "anything at all"}, nil},
		{"null", []string{"null"}, []string{"NULL", "", "http://null", "null "}},
		{"https://example.com",
			[]string{"https://example.com", "https://EXAMPLE.com", "https://example.com:443"},
			[]string{"http://example.com", "https://example.com:444", "https://www.example.com", "https://example.com.",
				"https://example.com/", "https://example.comx", "https://xexample.com", "null", "", "https://",
				"https://example.com https://example.com", "https://example.com\x00", " https://example.com"}},
		{"https://example.com:8443",
			[]string{"https://example.com:8443"},
			[]string{"https://example.com", "https://example.com:443", "https://example.com:84430"}},
		{"https://example.com:*",
			[]string{"https://example.com", "https://example.com:1", "https://example.com:65535"},
			[]string{"https://example.com:65536", "https://example.com:", "https://example.com:x", "http://example.com:443",
				"https://example.com:1.evil.example"}},
		{"https://*.example.com",
			[]string{"https://a.example.com", "https://a.b.example.com", "https://A.EXAMPLE.COM:443", "https://a_b-c.example.com"},
			[]string{"https://example.com", "https://evil-example.com", "https://.example.com", "https://a..example.com",
				"https://..example.com", "https://a.example.com.evil.example", "https://evil.example/a.example.com",
				"https://evil.example?a.example.com", "https://evil.example#.example.com", "https://evil.example%2f.example.com",
				"https://evil.example:80@a.example.com", "https://evil!.example.com", "https://a.example.com:444", "http://a.example.com",
				"https://[::1].example.com", "https://aexample.com"}},
		{"https://*.example.com:*",
			[]string{"https://a.example.com:1", "https://a.example.com"},
			[]string{"https://example.com:1", "https://evil.example:1.example.com"}},
		{"http://*.localhost:3000", []string{"http://a.localhost:3000"}, []string{"http://localhost:3000", "http://a.localhost"}},
		{"https://*", []string{"https://a", "https://[::1]", "https://a.b:443"}, []string{"http://a", "https://a:1", "https://", "null"}},
		{"http://*:8080", []string{"http://a:8080"}, []string{"http://a", "http://a:80"}},
		{"http://*:*", []string{"http://a:8080", "http://a"}, []string{"https://a"}},
		{"http://[::1]:*", []string{"http://[::1]", "http://[::1]:9"}, []string{"http://[::2]", "http://[::1"}},
		{"chrome-extension://abcdef", []string{"chrome-extension://abcdef"}, []string{"chrome-extension://abcdeg", "chrome-extension://abcdef:1"}},
		{"capacitor://localhost:*", []string{"capacitor://localhost", "capacitor://localhost:1"}, []string{"http://localhost"}},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, origin := range c.yes {
			if !p.Match([]byte(origin)) {
				t.Errorf("%s does not match %q", c.pattern, origin)
			}
		}
		for _, origin := range c.no {
			if p.Match([]byte(origin)) {
				t.Errorf("%s matches %q", c.pattern, origin)
			}
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for _, s := range []string{
		"", "example.com", "*.example.com", "**", "https://", "https://:443", "://a", "1http://a", "https:/a", "*://a",
		"https://a/", "https://a/path", "https://a?", "https://a#", "https://u@a", "https://a b", "https://\xe4.example",
		"https://ex*mple.com", "https://a.*.com", "https://*example.com", "https://*.*.com", "https://*.", "https://*..com", "https://.*",
		"https://*.com.", "https://*.[::1]", "https://**", "https://a:*:1", "https://a:1:*", "https://*:1:*", "https://a:", "https://a:x",
		"https://a:65536", "https://a:1*", "https://[::1", "https://[::g]", "https://a,https://b", " *", "NULL",
		"https://\u212aelvin.example",
	} {
		if p, err := ParsePattern(s); !errors.Is(err, ErrPattern) || p != (Pattern{}) {
			t.Errorf("%q: got %+v, %v", s, p, err)
		}
	}
}

func TestPatternList(t *testing.T) {
	ps, err := ParsePatterns("https://a.example", "null")
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]bool{"https://a.example": true, "null": true, "https://b.example": false} {
		if ps.Match([]byte(origin)) != want {
			t.Errorf("%s: want %v", origin, want)
		}
	}
	if _, err := ParsePatterns("*", "nonsense"); !errors.Is(err, ErrPattern) {
		t.Errorf("got %v", err)
	}
	if (Patterns{}).Match([]byte("null")) || (Pattern{}).Match(nil) {
		t.Error("nothing matches something")
	}
}
