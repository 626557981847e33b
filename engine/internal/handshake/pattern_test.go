package handshake

import (
	"errors"
	"strings"
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
		{"file://", []string{"file://", "FILE://"}, []string{"file:///", "file://a", "file:", "file://*", "null", "", "files://", "http://"}},
		{"qrc://", []string{"qrc://"}, []string{"qrc://a", "qrc://:1", "qrc:///"}},
		{"app://*", []string{"app://a"}, []string{"app://", "app://a:1"}},
		{"HTTPS://EXAMPLE.COM:443", []string{"https://example.com", "https://example.com:443"}, []string{"http://example.com", "https://example.com:444"}},
		{"https://example.com:0443", []string{"https://example.com"}, []string{"https://example.com:444"}},
		{"https://example.com.", []string{"https://example.com."}, []string{"https://example.com"}},
		{"https://xn--bcher-kva.example", []string{"https://xn--bcher-kva.example"}, []string{"https://b\xfccher.example"}},
		{"http://[0:0:0:0:0:0:0:1]", []string{"http://[::1]"}, []string{"http://[::2]"}},
		{"http://[2001:DB8:0:0:1:0:0:1]:8080", []string{"http://[2001:db8::1:0:0:1]:8080"}, []string{"http://[2001:db8::1:0:0:1]"}},
		{"http://[::ffff:192.0.2.1]", []string{"http://[::ffff:c000:201]"}, []string{"http://192.0.2.1"}},
		{"http://127.0.0.1:*", []string{"http://127.0.0.1:3000"}, []string{"http://127.0.0.11:3000"}},
		{"http://1.example", []string{"http://1.example"}, nil},
		{"wss://a.example", []string{"wss://a.example"}, []string{"https://a.example"}}, // some apps do send that
		{"*", []string{"", "file://"}, nil},
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
		// what no browser sends
		"http://", "ws://", "file://*", "file:///", "file:///android_asset", "file://localhost", "file://:*", "file:", "file:*", "qrc://:80", "qrc://:*",
		"https://a:0", "https://a:00", "https://a:-1", "https://a:+1", "https://a:99999999999", "qrc://a:0", "https://a:443:443", "https://a:80/", "https://*:0",
		"https://a.example/", "https://a.example//", "https://*.a.example/", "https://*/", "https://a\\b", "https://a.example/*", "https://a.example:*/",
		"https://user:secret@a.example", "https://user@*.a.example", "https://*@a.example", "https://a..b", "https://.a", "https://.", "https://..",
		"https://::1", "https://2001:db8::1", "https://2001:db8::1:443", "https://[1.2.3.4]", "https://[fe80::1%25eth0]", "https://[::1]x", "https://[]", "https://[::1]:0",
		"https://b\u00fccher.example", "https://*.b\u00fccher.example", "https://b%C3%BCcher.example", "https://\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444", "https://a%20b", "https://a,b", "https://a;b", "https://a!",
		"http://127.1", "http://2130706433", "http://0x7f.0.0.1", "http://0x7f000001", "http://127.0.0.01", "http://127.0.0.1.", "http://256.0.0.1", "http://1.2.3.4.5", "http://a.1", "http://*.0.0.1", "http://*.127.0.0.1", "http://*.1",
		"https://" + strings.Repeat("a", 64) + ".example", "https://" + strings.Repeat("a.", 127) + "example",
		"about://blank", "data://x", "blob://a.example", "blob:https://a.example", "javascript://a", "data:text/html,x", "about:blank",
		"https://a.example https://b.example", "https://a.example\n", "\thttps://a.example", "https://a.example ", "null, https://a.example", "Null", "http*://a.example", "*://*",
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

// TestBadPatternsSayWhy: the error is for whoever wrote the list.
func TestBadPatternsSayWhy(t *testing.T) {
	for s, why := range map[string]string{
		"example.com":                        "scheme",
		"file://*":                           "write file://",
		"https://a.example/":                 "no slash",
		"https://a.example/path":             "no path",
		"https://u:p@a.example":              "user name",
		"https://a.example:70000":            "port \"70000\"",
		"https://a.example:0":                "port \"0\"",
		"https://::1":                        "brackets",
		"https://b\u00fccher.example":        "xn--",
		"http://127.1":                       "four decimal numbers",
		"http://*.0.0.1":                     "no subdomains",
		"https://a.*.example":                "star",
		"https://a,b":                        "not a domain name",
		"data://x":                           "send null",
		"https://" + "a.example:443:*":       "two ports",
		"https://" + strings.Repeat("a", 64): "too long",
	} {
		if _, err := ParsePattern(s); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", s, err, why)
		}
	}
}
