package handshake

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
)

// Nothing on the way from a request to its answer allocates, once a Request has seen one head.
func TestNoAllocation(t *testing.T) {
	var (
		p      Parser
		r      Request
		out    = make([]byte, 0, 1024)
		good   = []byte(browser)
		bad    = []byte(with(t, "Version: 13", "Version: 8"))
		broken = []byte("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
		ps, _  = ParsePatterns("https://*.example.com", "http://*.example.com:*")
		field  = []HeaderField{{"Set-Cookie", "a=b"}}
	)
	steps := map[string]func(){
		"a handshake": func() {
			if _, err := p.Parse(good, &r, Limits{}); err != nil || CheckUpgrade(&r) != nil {
				t.Fatal("refused")
			}
			if !SameOrigin(r.Origin, r.Host, false) || !ps.Match(r.Origin) || r.Header("Cookie") == nil {
				t.Fatal("misread")
			}
			out = AppendSwitching(out[:0], r.Key, "chat", "permessage-deflate", "", field)
			out = AppendURL(out[:0], false, r.Host, r.Target)
		},
		"a refused handshake": func() {
			if _, err := p.Parse(bad, &r, Limits{}); err != nil {
				t.Fatal(err)
			}
			refused, _ := CheckUpgrade(&r).(*Refusal)
			out = refused.Append(out[:0], "", false)
		},
		"a broken head": func() {
			if _, err := p.Parse(broken, &r, Limits{}); err == nil {
				t.Fatal("accepted")
			}
		},
		"byte by byte": func() {
			for i := range good {
				if _, err := p.Parse(good[:i+1], &r, Limits{}); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			step()
			// Exact, not rounded down: 100 runs may not make one allocation in all.
			if n := testing.AllocsPerRun(1, func() {
				for range 100 {
					step()
				}
			}); n != 0 {
				t.Errorf("%v allocations in 100", n)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	head := []byte(browser)
	b.Run("gannet", func(b *testing.B) {
		var p Parser
		var r Request
		b.SetBytes(int64(len(head)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Parse(head, &r, Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("gannet and CheckUpgrade", func(b *testing.B) {
		var p Parser
		var r Request
		b.SetBytes(int64(len(head)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Parse(head, &r, Limits{}); err != nil || CheckUpgrade(&r) != nil {
				b.Fatal("refused")
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		source := bytes.NewReader(head)
		reader := bufio.NewReader(source)
		b.SetBytes(int64(len(head)))
		b.ReportAllocs()
		for b.Loop() {
			source.Reset(head)
			reader.Reset(source)
			if _, err := http.ReadRequest(reader); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDrip(b *testing.B) {
	head := []byte(browser)
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		var p Parser
		var r Request
		for i := range head {
			if _, err := p.Parse(head[:i+1], &r, Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkAppendSwitching(b *testing.B) {
	key := []byte("q4xkcO32u266gldTuKaSOw==")
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = AppendSwitching(out[:0], key, "chat", "", "", nil)
	}
}

func BenchmarkSameOrigin(b *testing.B) {
	origin, host := []byte("http://app.example.com:8080"), []byte("app.example.com:8080")
	for b.Loop() {
		if !SameOrigin(origin, host, false) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkPattern(b *testing.B) {
	p, err := ParsePattern("https://*.example.com")
	if err != nil {
		b.Fatal(err)
	}
	origin := []byte("https://app.eu.example.com")
	for b.Loop() {
		if !p.Match(origin) {
			b.Fatal("refused")
		}
	}
}
