package handshake

import (
	"net/url"
	"testing"
)

func TestAppendURL(t *testing.T) {
	for _, c := range []struct {
		tls          bool
		host, target string
		want         string
	}{
		{false, "example.com", "/", "ws://example.com/"},
		{true, "example.com", "/chat?room=1", "wss://example.com/chat?room=1"},
		{false, "EXAMPLE.com:80", "/A", "ws://example.com/A"},
		{true, "example.com:443", "/", "wss://example.com/"},
		{true, "example.com:80", "/", "wss://example.com:80/"},
		{false, "example.com:443", "/", "ws://example.com:443/"},
		{false, "example.com:", "/", "ws://example.com/"},
		{false, "example.com:08080", "/", "ws://example.com:8080/"},
		{false, "[2001:DB8::1]", "/", "ws://[2001:db8::1]/"},
		{false, "[::1]:9001", "/", "ws://[::1]:9001/"},
		{false, "a", "//b/c", "ws://a//b/c"},
		{false, "a", "/%7e%C3%A9?%zz", "ws://a/%7e%C3%A9?%zz"},
		{false, "a", "/caf\xc3\xa9?\xc3\xa9", "ws://a/caf%C3%A9?%C3%A9"},
		{false, "a", "/\"<>^`{}|'?\"<>^`{}|'", "ws://a/%22%3C%3E%5E%60%7B%7D|'?%22%3C%3E^`{}|%27"},
		{false, "a", "/?x?y/z", "ws://a/?x?y/z"},
		{true, "b:8080", "http://b:8080/p?q", "wss://b:8080/p?q"},
		{false, "b", "ws://b", "ws://b/"},
		{false, "b", "ws://b?q", "ws://b/?q"},
	} {
		if got := string(AppendURL([]byte("x"), c.tls, []byte(c.host), []byte(c.target))); got != "x"+c.want {
			t.Errorf("%v %s %s: got %s, want %s", c.tls, c.host, c.target, got[1:], c.want)
		}
		if u, err := url.Parse(c.want); c.target != "/%7e%C3%A9?%zz" && (err != nil || u.Host == "") {
			t.Errorf("%s is no URL: %v", c.want, err)
		}
	}
}
