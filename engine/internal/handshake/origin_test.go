package handshake

import "testing"

func TestSameOrigin(t *testing.T) {
	for _, c := range []struct {
		origin, host string
		tls, want    bool
	}{
		{"http://example.com", "example.com", false, true},
		{"http://EXAMPLE.com", "example.COM", false, true},
		{"HTTP://example.com", "example.com", false, true},
		{"http://example.com:80", "example.com", false, true},
		{"http://example.com", "example.com:80", false, true},
		{"http://example.com", "example.com:", false, true},
		{"https://example.com", "example.com:443", true, true},
		{"http://example.com:8080", "example.com:8080", false, true},
		{"http://[2001:db8::1]:8080", "[2001:DB8::1]:8080", false, true},
		{"http://127.0.0.1", "127.0.0.1", false, true},

		{"https://example.com", "example.com", false, false},
		{"http://example.com", "example.com", true, false},
		{"http://example.com:443", "example.com", true, false},
		{"http://example.com:8080", "example.com", false, false},
		{"http://example.com", "example.com:8080", false, false},
		{"http://example.com:443", "example.com:80", false, false},
		{"http://www.example.com", "example.com", false, false},
		{"http://example.com", "www.example.com", false, false},
		{"http://example.com.evil.example", "example.com", false, false},
		{"http://evil-example.com", "example.com", false, false},
		{"http://example.com.", "example.com", false, false},
		{"http://example.com/", "example.com", false, false},
		{"http://example.com?", "example.com", false, false},
		{"http://a@example.com", "example.com", false, false},
		{"http://example.com:", "example.com", false, false},
		{"http://example.com:99999", "example.com", false, false},
		{"http://example.com http://example.com", "example.com", false, false},
		{"ws://example.com", "example.com", false, false},
		{"ftp://example.com:80", "example.com", false, false},
		{"//example.com", "example.com", false, false},
		{"http:example.com", "example.com", false, false},
		{"example.com", "example.com", false, false},
		{"http://", "", false, false},
		{"http://:80", ":80", false, false},
		{"http://example.com:80", "example.com:x", false, false},
		{"null", "null", false, false},
		{"", "", false, false},
	} {
		if got := SameOrigin([]byte(c.origin), []byte(c.host), c.tls); got != c.want {
			t.Errorf("origin %q, host %q, tls %v: got %v", c.origin, c.host, c.tls, got)
		}
	}
}
