package connect

import "testing"

// TestAddresses: what people type, and the URL that it is.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"ws://example.com": "ws://example.com", "WSS://Example.com/x": "WSS://Example.com/x", "https://example.com": "https://example.com",
		"ftp://example.com": "ftp://example.com", "wss:example.com": "wss:example.com", "ws:/example.com": "ws:/example.com",
		"example.com": "wss://example.com", "example.com/x?y=1": "wss://example.com/x?y=1", "//example.com/x": "wss://example.com/x",
		"example.com:443/x": "wss://example.com:443/x", "example.com:8080/x": "ws://example.com:8080/x", "example.com:80": "ws://example.com:80",
		"example.com/a:b@c": "wss://example.com/a:b@c", "example.com?u=http://x:1/": "wss://example.com?u=http://x:1/",
		":8080": "ws://localhost:8080", ":8080/x": "ws://localhost:8080/x", "/x": "ws://localhost/x", "": "ws://localhost",
		":443": "ws://localhost:443", "ws:8080": "ws://ws:8080", "wss:8080/x": "ws://wss:8080/x",
		"localhost": "ws://localhost", "LOCALHOST:9": "ws://LOCALHOST:9", "localhost.:9": "ws://localhost.:9", "a.localhost": "ws://a.localhost",
		"127.0.0.1": "ws://127.0.0.1", "127.1.2.3:443": "ws://127.1.2.3:443", "0.0.0.0:8080": "ws://0.0.0.0:8080",
		"192.0.2.1": "wss://192.0.2.1", "192.0.2.1:8080": "ws://192.0.2.1:8080",
		"[::1]": "ws://[::1]", "[::1]:8080/x": "ws://[::1]:8080/x", "::1": "ws://[::1]", "[2001:db8::1]": "wss://[2001:db8::1]",
		"2001:db8::1": "wss://[2001:db8::1]", "[2001:db8::1]:81": "ws://[2001:db8::1]:81",
		"me:pass@example.com/x": "wss://me:pass@example.com/x", "me:pass@example.com:81": "ws://me:pass@example.com:81",
		"me@localhost": "ws://me@localhost", "  example.com ": "wss://example.com", "example.com#f": "wss://example.com#f",
	} {
		if got := CompleteAddress(address, false); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
	for address, want := range map[string]string{
		":8443": "wss://localhost:8443", "localhost": "wss://localhost", "example.com:8080": "wss://example.com:8080", "ws://x": "ws://x",
	} {
		if got := CompleteAddress(address, true); got != want {
			t.Errorf("with an option for TLS %q: %q, want %q", address, got, want)
		}
	}
}

func TestRedacted(t *testing.T) {
	for address, want := range map[string]string{
		"ws://a:b@h/x": "ws://h/x", "ws://h/a@b": "ws://h/a@b", "ws://a@b:c@h": "ws://h", "ws://h?x@y": "ws://h?x@y", "nothing": "nothing",
	} {
		if got := redacted(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}
