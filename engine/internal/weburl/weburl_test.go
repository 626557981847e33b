package weburl

import (
	"testing"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in, base, want string
		err            error
	}{
		{"ws://example.com", "", "ws://example.com/", nil},
		{"WSS://EXAMPLE.Com:443/a?b", "", "wss://example.com/a?b", nil},
		{"https://example.com:80", "", "https://example.com:80/", nil},
		{"ws:example.com/a", "", "ws://example.com/a", nil},
		{"ws:\\\\example.com\\a\\..\\b", "", "ws://example.com/b", nil},
		{"\x00 ws://a\t.exa\nmple/ \x1f", "", "ws://a.example/", nil},
		{"ws://example.com:8080/?x\x00y", "", "ws://example.com:8080/?x%00y", nil},
		{"ws://example.com/?€'", "", "ws://example.com/?%E2%82%AC%27", nil},
		{"ws://example.com/åäö a^{}", "", "ws://example.com/%C3%A5%C3%A4%C3%B6%20a%5E%7B%7D", nil},
		{"ws://example.com/\xff", "", "ws://example.com/%EF%BF%BD", nil},
		{"ws://example.com/a/./b/../%2e%2E/%2e", "", "ws://example.com/", nil},
		{"ws://example.com/a/...//b", "", "ws://example.com/a/...//b", nil},
		{"ws://bücher.example/", "", "ws://xn--bcher-kva.example/", nil},
		{"ws://ＥＸ%41mple.com", "", "ws://example.com/", nil},
		{"ws://ex％41mple.com", "", "", ErrHost},
		{"ws://faß.example", "", "ws://xn--fa-hia.example/", nil},
		{"ws://0x7f.1:81", "", "ws://127.0.0.1:81/", nil},
		{"ws://017700000001", "", "ws://127.0.0.1/", nil},
		{"ws://1.2.3.", "", "ws://1.2.0.3/", nil},
		{"ws://[::FFFF:1.2.3.4]", "", "ws://[::ffff:102:304]/", nil},
		{"ws://[1:0:0:2:0:0:0:3]", "", "ws://[1:0:0:2::3]/", nil},
		{"ws://[1:0:2:3:4:5:6:7]:80", "", "ws://[1:0:2:3:4:5:6:7]/", nil},
		{"ws://u:p@:w@example.com", "", "ws://u:p%40%3Aw@example.com/", nil},
		{"ws://@example.com", "", "ws://example.com/", nil},
		{"ws://example.com:", "", "ws://example.com/", nil},
		{"ws://example.com:00080", "", "ws://example.com/", nil},
		{"ws://example.com:0", "", "ws://example.com:0/", nil},

		{"/chat?x", "https://example.com:444/a/b?q", "https://example.com:444/chat?x", nil},
		{"chat", "https://u:p@example.com/a/b?q", "https://u:p@example.com/a/chat", nil},
		{"../chat", "ws://example.com/a/b/c", "ws://example.com/a/chat", nil},
		{"", "ws://example.com/a?q", "ws://example.com/a?q", nil},
		{"?", "ws://example.com/a?q", "ws://example.com/a?", nil},
		{"//other:81", "wss://example.com/a", "wss://other:81/", nil},
		{"ws:chat", "ws://example.com/a", "ws://example.com/chat", nil},
		{"wss:chat", "ws://example.com/a", "wss://chat/", nil},

		{"ftp://example.com", "", "", ErrScheme},
		{"about:blank", "ws://example.com", "", ErrScheme},
		{"/chat", "", "", ErrRelative},
		{"", "", "", ErrRelative},
		{"1ws://example.com", "", "", ErrRelative},
		{"ws://", "", "", ErrNoHost},
		{"ws://:80", "", "", ErrNoHost},
		{"ws://u@", "", "", ErrNoHost},
		{"ws:///", "", "", ErrNoHost},
		{"ws://exa mple.com", "", "", ErrHost},
		{"ws://a%00b", "", "", ErrHost},
		{"ws://a%2fb", "", "", ErrHost},
		{"ws://\u00ad", "", "", ErrHost},
		{"ws://xn--a", "", "", ErrHost},
		{"ws://xn--ü", "", "", ErrHost},
		{"ws://1.2.3.4.5", "", "", ErrHost},
		{"ws://256.1.1.1", "", "", ErrHost},
		{"ws://4294967296", "", "", ErrHost},
		{"ws://99999999999999999999999", "", "", ErrHost},
		{"ws://a.09", "", "", ErrHost},
		{"ws://[::1", "", "", ErrHost},
		{"ws://[::1%25lo]", "", "", ErrHost},
		{"ws://[1.2.3.4]", "", "", ErrHost},
		{"ws://a]b", "", "", ErrHost},
		{"ws://a:-1", "", "", ErrPort},
		{"ws://a:65536", "", "", ErrPort},
		{"ws://a:8080x", "", "", ErrPort},
		{"ws://a:99999999999999999999", "", "", ErrPort},
	} {
		var base *URL
		if c.base != "" {
			var err error
			if base, err = Parse(c.base, nil); err != nil {
				t.Fatal(c.base, err)
			}
		}
		u, err := Parse(c.in, base)
		got := ""
		if err == nil {
			got = u.String()
		}
		if got != c.want || err != c.err {
			t.Errorf("%q on %q: %q, %v; want %q, %v", c.in, c.base, got, err, c.want, c.err)
		}
	}
}

func TestParts(t *testing.T) {
	u, err := Parse("wss://u:p@h:81/a?b#", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := (URL{"wss", "u", "p", "h", 81, true, "/a", "b", true, true}); *u != want {
		t.Errorf("%+v", u)
	}
	if u.Authority() != "h:81" || u.Target() != "/a?b" || u.DialPort() != 81 {
		t.Error(u.Authority(), u.Target(), u.DialPort())
	}
	if u, err = Parse("wss://h", u); err != nil || u.DialPort() != 443 || u.HasFragment || u.Username != "" {
		t.Errorf("%+v, %v", u, err)
	}
	if u, err = Parse("x#f", u); err != nil || !u.HasFragment || u.Path != "/x" {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestParseWebSocket(t *testing.T) {
	for _, c := range []struct {
		in, want, origin string
		err              error
	}{
		{"http://h:443/a", "ws://h:443/a", "ws://h:443", nil},
		{"https://u@h:443?", "wss://u@h/?", "wss://h", nil},
		{"ws://h", "ws://h/", "ws://h", nil},
		{"wss:h:1", "wss://h:1/", "wss://h:1", nil},
		{"ws://h/#", "", "", ErrFragment},
		{"https://h#a", "", "", ErrFragment},
		{"ftp://h", "", "", ErrScheme},
	} {
		u, err := ParseWebSocket(c.in, nil)
		if err != c.err || err == nil && (u.String() != c.want || u.Origin() != c.origin) {
			t.Errorf("%q: %v, %v", c.in, u, err)
		}
	}
}

// FuzzParse: what was parsed parses again, to the same; it is ASCII; and nothing panics.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"ws://example.com/a/../b?c#d", "//[::1]:80", "wss://u:p@0x7f.1\\x", "ws://faß.example:1"} {
		f.Add(s, "http://base.example/a/b?c")
	}
	f.Fuzz(func(t *testing.T, in, from string) {
		base, _ := Parse(from, nil)
		u, err := Parse(in, base)
		if err != nil {
			return
		}
		for _, c := range []byte(u.String()) {
			if c <= ' ' || c >= utf8.RuneSelf-1 {
				t.Fatalf("%q on %q: %q", in, from, u)
			}
		}
		again, err := Parse(u.String(), nil)
		if err != nil || again.String() != u.String() {
			t.Fatalf("%q on %q: %q, and that is %v, %v", in, from, u, again, err)
		}
	})
}
