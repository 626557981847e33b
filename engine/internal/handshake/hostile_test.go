package handshake

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// The classes of the hostile list's handshake paragraph, each with the ways in which it comes.
func TestHostile(t *testing.T) {
	const version = "Sec-WebSocket-Version: 13"
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	const host = "Host: server.example.com"
	type attempt struct {
		name, head string
		status     int
		reason     string
	}
	classes := map[string][]attempt{
		"method": {
			{"POST", with(t, "GET", "POST"), 405, "method-not-get"},
			{"lower case is another method", with(t, "GET", "get"), 405, "method-not-get"},
			{"none", with(t, "GET ", " "), 400, "bad-method"},
			{"TLS ClientHello", "\x16\x03\x01\x02\x00\x01\x00", 400, "bad-method"},
			{"empty line first", "\r\n" + plain, 400, "bad-method"},
			{"endless", strings.Repeat("A", 33), 501, "method-too-long"},
			{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http-version"},
		},
		"HTTP version": {
			{"1.0", with(t, "HTTP/1.1", "HTTP/1.0"), 400, "http-1.0"},
			{"2.0", with(t, "HTTP/1.1", "HTTP/2.0"), 505, "http-version"},
			{"0.9", with(t, "HTTP/1.1", "HTTP/0.9"), 505, "http-version"},
			{"none, as in 0.9", with(t, " HTTP/1.1", ""), 400, "bad-http-version"},
			{"lower case", with(t, "HTTP/1.1", "http/1.1"), 400, "bad-http-version"},
			{"1.10", with(t, "HTTP/1.1", "HTTP/1.10"), 400, "bad-http-version"},
			{"1,1", with(t, "HTTP/1.1", "HTTP/1,1"), 400, "bad-http-version"},
			{"1.x", with(t, "HTTP/1.1", "HTTP/1.x"), 400, "bad-http-version"},
			{"space after", with(t, "HTTP/1.1", "HTTP/1.1 "), 400, "bad-http-version"},
		},
		"target": {
			{"relative", with(t, "/chat", "chat"), 400, "bad-target"},
			{"empty", with(t, "/chat", ""), 400, "bad-target"},
			{"two spaces", with(t, " /chat", "  /chat"), 400, "bad-http-version"},
			{"space inside", with(t, "/chat", "/ch at"), 400, "bad-http-version"},
			{"tab inside", with(t, "/chat", "/ch\tat"), 400, "bad-target"},
			{"NUL inside", with(t, "/chat", "/ch\x00at"), 400, "bad-target"},
			{"CR inside", with(t, "/chat", "/ch\rat"), 400, "bad-target"},
			{"fragment", with(t, "/chat", "/chat#x"), 400, "bad-target"},
			{"empty fragment", with(t, "/chat", "/chat#"), 400, "bad-target"},
			{"asterisk", with(t, "/chat", "*"), 400, "bad-target"},
			{"authority", with(t, "/chat", "server.example.com:80"), 400, "bad-target"},
			{"other scheme", with(t, "/chat", "ftp://server.example.com/"), 400, "bad-target"},
			{"no host", with(t, "/chat", "http:///chat"), 400, "bad-target"},
			{"port only", with(t, "/chat", "http://:80/chat"), 400, "bad-target"},
			{"user information", with(t, "/chat", "http://a@server.example.com/"), 400, "bad-target"},
		},
		"WebSocket version": {
			{"8", with(t, version, "Sec-WebSocket-Version: 8"), 426, "websocket-version"},
			{"013", with(t, version, "Sec-WebSocket-Version: 013"), 426, "websocket-version"},
			{"a list", with(t, version, "Sec-WebSocket-Version: 13, 8"), 426, "websocket-version"},
			{"empty", with(t, version, "Sec-WebSocket-Version:"), 426, "websocket-version"},
			{"none", with(t, version+"\r\n", ""), 426, "websocket-version"},
			{"twice", adding(version), 400, "repeated-websocket-version"},
		},
		"Host missing or twice": {
			{"missing", with(t, host+"\r\n", ""), 400, "no-host"},
			{"empty", with(t, host, "Host:"), 400, "no-host"},
			{"twice", adding("Host: evil.example"), 400, "repeated-host"},
			{"twice the same, other case", adding("HOST: server.example.com"), 400, "repeated-host"},
			{"two in one", with(t, host, host+", evil.example"), 400, "bad-host"},
			{"space", with(t, host, "Host: a b"), 400, "bad-host"},
			{"path", with(t, host, "Host: a/b"), 400, "bad-host"},
			{"user information", with(t, host, "Host: a@b"), 400, "bad-host"},
			{"octets over 0x7f", with(t, host, "Host: b\xc3\xbccher.example"), 400, "bad-host"},
			{"half an escape", with(t, host, "Host: a%2"), 400, "bad-host"},
			{"port 65536", with(t, host, host+":65536"), 400, "bad-host"},
			{"port -1", with(t, host, host+":-1"), 400, "bad-host"},
			{"port 80x", with(t, host, host+":80x"), 400, "bad-host"},
			{"open bracket", with(t, host, "Host: [::1"), 400, "bad-host"},
			{"absolute-form does not excuse it", with(t, "/chat HTTP/1.1\r\n"+host, "http://a/ HTTP/1.1"), 400, "no-host"},
		},
		"key not 16 bytes of base64": {
			{"missing", with(t, "Sec-WebSocket-Key: "+key+"\r\n", ""), 400, "no-key"},
			{"empty", with(t, key, ""), 400, "bad-key"},
			{"twice", adding("Sec-WebSocket-Key: " + key), 400, "repeated-key"},
			{"15 bytes", with(t, key, "AAAAAAAAAAAAAAAAAAAA"), 400, "bad-key"},
			{"17 bytes", with(t, key, "AAAAAAAAAAAAAAAAAAAAAAA="), 400, "bad-key"},
			{"18 bytes", with(t, key, "AAAAAAAAAAAAAAAAAAAAAAAA"), 400, "bad-key"},
			{"no padding", with(t, key, key[:22]), 400, "bad-key"},
			{"bits after the end", with(t, key, "dGhlIHNhbXBsZSBub25jZR=="), 400, "bad-key"},
			{"URL alphabet", with(t, key, "-_hlIHNhbXBsZSBub25jZQ=="), 400, "bad-key"},
			{"space inside", with(t, key, "dGhlIHNhbXB ZSBub25jZQ=="), 400, "bad-key"},
			{"padding inside", with(t, key, "dGhlIHNhbXBsZSBub25=ZQ=="), 400, "bad-key"},
		},
		"duplicate headers": {
			{"Origin", adding("Origin: http://evil.example"), 400, "repeated-origin"},
			{"Origin, the second empty", adding("Origin:"), 400, "repeated-origin"},
		},
		"sub-protocols": {
			{"65 of them", with(t, "chat, superchat", numbered(65)), 431, "too-many-protocols"},
			{"65 of them, over two lines", with(t, "chat, superchat", numbered(60)+"\r\nSec-WebSocket-Protocol: "+numbered(5)), 431, "too-many-protocols"},
			{"a control character in one", with(t, "chat, superchat", "ch\x01at"), 400, "bad-field-value"},
		},
		"Upgrade lost on the way": {
			{"both", with(t, "Upgrade: websocket\r\nConnection: Upgrade\r\n", ""), 426, "upgrade-stripped"},
			{"both, and the version", with(t, "Upgrade: websocket\r\nConnection: Upgrade\r\n", version+"\r\n"), 426, "upgrade-stripped"},
			{"as nginx passes it by default", strings.Replace(with(t, "Upgrade: websocket\r\nConnection: Upgrade\r\n", "Connection: close\r\n"), "HTTP/1.1", "HTTP/1.0", 1), 426, "upgrade-stripped"},
			{"Upgrade", with(t, "Upgrade: websocket\r\n", ""), 426, "upgrade-stripped"},
			{"Upgrade to something else", with(t, "Upgrade: websocket", "Upgrade: h2c"), 426, "upgrade-stripped"},
			{"Upgrade empty", with(t, "Upgrade: websocket", "Upgrade:"), 426, "upgrade-stripped"},
			{"Connection", with(t, "Connection: Upgrade\r\n", ""), 426, "upgrade-stripped"},
			{"Connection with other options", with(t, "Connection: Upgrade", "Connection: keep-alive"), 426, "upgrade-stripped"},
			{"the key alone is left", "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: " + key + "\r\n\r\n", 426, "upgrade-stripped"},
			{"the version alone is left", "GET / HTTP/1.1\r\nHost: a\r\n" + version + "\r\n\r\n", 426, "upgrade-stripped"},
			{"nothing of a handshake is left", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426, "not-an-upgrade"},
			{"another upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", 426, "not-an-upgrade"},
		},
		"folded headers": {
			{"space", with(t, "Origin: http://example.com", "Origin:\r\n http://example.com"), 400, "folded-field"},
			{"tab", with(t, "Origin: http://example.com", "Origin: http:\r\n\t//example.com"), 400, "folded-field"},
			{"the first line", with(t, host, " "+host), 400, "folded-field"},
			{"a line of white space", adding(" "), 400, "folded-field"},
		},
		"names": {
			{"space before the colon", with(t, "Host:", "Host :"), 400, "space-before-colon"},
			{"tab before the colon", with(t, "Host:", "Host\t:"), 400, "space-before-colon"},
			{"space inside", adding("X Y: 1"), 400, "space-before-colon"},
			{"no colon", adding("nonsense"), 400, "bad-field-name"},
			{"no name", adding(": nonsense"), 400, "bad-field-name"},
			{"NUL", adding("X\x00: 1"), 400, "bad-field-name"},
			{"octet over 0x7f", adding("X\xe9: 1"), 400, "bad-field-name"},
			{"bracket", adding("X[0]: 1"), 400, "bad-field-name"},
		},
		"CR LF NUL inside values": {
			{"NUL", adding("X: a\x00b"), 400, "bad-field-value"},
			{"NUL in a long value", adding("X: " + strings.Repeat("a", 50) + "\x00" + strings.Repeat("b", 50)), 400, "bad-field-value"},
			{"NUL in the key", with(t, key, key[:10]+"\x00"+key[11:]), 400, "bad-field-value"},
			{"DEL", adding("X: a\x7fb"), 400, "bad-field-value"},
			{"escape", adding("X: \x1b[2J"), 400, "bad-field-value"},
			{"CR", adding("X: a\rb"), 400, "bare-cr"},
			{"CR CR LF", adding("X: a\r"), 400, "bare-cr"},
			{"LF", adding("X: a\nb"), 400, "bare-lf"},
			{"LF ends the request line", with(t, "HTTP/1.1\r\n", "HTTP/1.1\n"), 400, "bare-lf"},
			{"LF ends the head", strings.TrimSuffix(plain, "\r\n") + "\n", 400, "bare-lf"},
			{"LF LF", strings.ReplaceAll(plain, "\r\n", "\n"), 400, "bare-lf"},
		},
		"lines over the limit": {
			{"request line", with(t, "/chat", "/"+strings.Repeat("a", DefaultMaxLine)), 414, "request-line-too-long"},
			{"request line without an end", "GET /" + strings.Repeat("a", DefaultMaxLine), 414, "request-line-too-long"},
			{"one field", adding("Cookie: " + strings.Repeat("a", DefaultMaxBytes)), 431, "head-too-long"},
			{"fields without an end", plain[:len(plain)-2] + "X: " + strings.Repeat("a", DefaultMaxBytes), 431, "head-too-long"},
			{"101 fields", adding(fields(101 - 7)...), 431, "too-many-fields"},
		},
		"10,000 headers": {
			{"short ones", adding(fields(10_000)...), 431, "too-many-fields"},
		},
		"a body": {
			{"Content-Length", adding("Content-Length: 1"), 400, "body"},
			{"Content-Length that is no number", adding("Content-Length: -0"), 400, "body"},
			{"Content-Length empty", adding("Content-Length:"), 400, "body"},
			{"two of them", adding("Content-Length: 0", "Content-Length: 10"), 400, "body"},
			{"two of them, the other way", adding("Content-Length: 10", "Content-Length: 0"), 400, "body"},
			{"Transfer-Encoding", adding("Transfer-Encoding: chunked"), 400, "body"},
			{"Transfer-Encoding that is nothing", adding("Transfer-Encoding: identity"), 400, "body"},
		},
	}
	for class, attempts := range classes {
		for _, a := range attempts {
			t.Run(class+"/"+a.name, func(t *testing.T) {
				_, refused := judge(t, a.head, Limits{})
				wantRefusal(t, refused, a.status, a.reason)
				sameByteByByte(t, a.head, refused)
			})
		}
	}
}

// TestLeniency: what may be read leniently, because nobody can be misled by it, and what is made of it. doc.go has the list.
func TestLeniency(t *testing.T) {
	protocols := func(values ...string) string {
		return with(t, "Sec-WebSocket-Protocol: chat, superchat", "Sec-WebSocket-Protocol: "+strings.Join(values, "\r\nSec-WebSocket-Protocol: "))
	}
	for _, c := range []struct {
		name, head string
		offers     string
	}{
		{"an empty list", protocols(""), ""},
		{"white space alone", protocols(" \t "), ""},
		{"commas alone", protocols(", ,"), ""},
		{"several empty lines", protocols("", "", ","), ""},
		{"commas at both ends, and doubled", protocols(",chat,, superchat ,"), "chat superchat"},
		{"white space around", protocols("\t chat\t ,\tsuperchat"), "chat superchat"},
		{"several lines", protocols("chat", "", "superchat"), "chat superchat"},
		{"one twice", protocols("chat, superchat, chat"), "chat superchat chat"},
		{"one twice, over two lines", protocols("chat", "chat"), "chat chat"},
		{"a space in one", protocols("chat superchat, chat"), "chat"},
		{"a quoted one", protocols(`"chat", superchat`), "superchat"},
		{"octets over 0x7f", protocols("ch\xc3\xa4t"), ""},
		{"base64", protocols("chat, Zm9v+/Zg=="), "chat"},
		{"an empty Sec-WebSocket-Extensions", adding("Sec-WebSocket-Extensions:"), "chat superchat"},
		{"Upgrade among others", with(t, "Upgrade: websocket", "Upgrade: ,h2c, WebSocket,"), "chat superchat"},
		{"Connection among others, on two lines", with(t, "Connection: Upgrade", "Connection: keep-alive\r\nConnection:,upgrade"), "chat superchat"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, refused := judge(t, c.head, Limits{})
			if refused != nil {
				t.Fatal(refused)
			}
			if got := string(bytes.Join(r.Protocols, []byte(" "))); got != c.offers {
				t.Errorf("it offers %q, want %q", got, c.offers)
			}
		})
	}
}

// TestEmptyOrigin: it is not the same as none.
func TestEmptyOrigin(t *testing.T) {
	for _, line := range []string{"Origin:", "Origin: ", "origin: \t"} {
		r, refused := judge(t, with(t, "Origin: http://example.com", line), Limits{})
		if refused != nil || r.Origin == nil || len(r.Origin) != 0 {
			t.Errorf("%q: %q, %v", line, r.Origin, refused)
		}
	}
	if r, _ := judge(t, with(t, "Origin: http://example.com\r\n", ""), Limits{}); r.Origin != nil {
		t.Errorf("without one: %q", r.Origin)
	}
}

// sameByteByByte feeds a head as slowly as can be and wants the same refusal.
func sameByteByByte(t *testing.T, head string, want *Refusal) {
	t.Helper()
	var p Parser
	var r Request
	for i := range len(head) {
		n, err := p.Parse([]byte(head[:i+1]), &r, Limits{})
		if err == nil && n > 0 {
			err = CheckUpgrade(&r)
		}
		if err != nil {
			if got := asRefusal(t, err); got != want {
				t.Fatalf("byte by byte: %v", got)
			}
			return
		}
	}
	t.Fatal("byte by byte it is not refused")
}

// The status alone is not the whole answer.
func TestRefusalsCarryTheirFields(t *testing.T) {
	for _, c := range []struct{ name, head, field string }{
		{"426 says which version", with(t, "Version: 13", "Version: 7"), "\r\nSec-WebSocket-Version: 13\r\n"},
		{"426 says what to upgrade to", with(t, "Version: 13", "Version: 7"), "\r\nUpgrade: websocket\r\n"},
		{"426 says that Upgrade was lost", with(t, "Upgrade: websocket\r\n", ""), "lost its Upgrade: websocket;"},
		{"426 says that Connection was lost", with(t, "Connection: Upgrade\r\n", ""), "lost its Connection: Upgrade;"},
		{"426 says that both were lost", with(t, "Upgrade: websocket\r\nConnection: Upgrade\r\n", ""), "lost its Upgrade: websocket and Connection: Upgrade;"},
		{"405 says what is allowed", with(t, "GET", "PUT"), "\r\nAllow: GET\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, refused := judge(t, c.head, Limits{})
			if refused == nil {
				t.Fatal("accepted")
			}
			if answer := string(refused.Append(nil, "", false)); !strings.Contains(answer, c.field) {
				t.Errorf("no %q in %q", c.field, answer)
			}
		})
	}
}

func numbered(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("p%d", i))
	}
	return strings.Join(list, ",")
}

func fields(n int) (lines []string) {
	for range n {
		lines = append(lines, "a:b")
	}
	return lines
}
