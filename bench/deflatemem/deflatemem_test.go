package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestParseAgreement(t *testing.T) {
	for text, want := range map[string]agreement{
		"":                   {serverBits: 15, clientBits: 15},
		"permessage-deflate": {deflate: true, serverBits: 15, clientBits: 15},
		"permessage-deflate; server_max_window_bits=9;client_max_window_bits=10":     {deflate: true, serverBits: 9, clientBits: 10},
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover": {deflate: true, serverBits: 15, clientBits: 15, serverForgets: true, clientForgets: true},
	} {
		want.text = text
		if got, err := parseAgreement(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"x-webkit-deflate-frame", "permessage-deflate; x", "permessage-deflate; server_max_window_bits=7", "permessage-deflate; client_max_window_bits",
		"permessage-deflate, permessage-deflate", "permessage-deflate; permessage-deflate", "server_no_context_takeover",
	} {
		if got, err := parseAgreement(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// loop is the two ends of a connection whose peer is in the test: what is written waits to be looked at.
type loop struct {
	in  bytes.Buffer
	out bytes.Buffer
}

func (l *loop) Read(p []byte) (int, error)  { return l.in.Read(p) }
func (l *loop) Write(p []byte) (int, error) { return l.out.Write(p) }

func TestReadMessage(t *testing.T) {
	for name, c := range map[string]struct {
		in         string
		want       string
		compressed bool
		answer     int // bytes that were written
	}{
		"one frame":          {"\x82\x03abc", "abc", false, 0},
		"compressed":         {"\xc2\x03abc", "abc", true, 0},
		"fragments":          {"\x42\x02ab\x00\x00\x80\x01c", "abc", true, 0},
		"a ping within":      {"\x02\x02ab\x89\x02hi\x80\x01c", "abc", false, 8},
		"a length of 16 bit": {"\x82\x7e\x00\x80" + strings.Repeat("x", 128), strings.Repeat("x", 128), false, 0},
		"a length of 64 bit": {"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + strings.Repeat("x", 1<<16), strings.Repeat("x", 1<<16), false, 0},
	} {
		var l loop
		l.in.WriteString(c.in)
		got, compressed, err := readMessage(&l, nil)
		if err != nil || string(got) != c.want || compressed != c.compressed || l.out.Len() != c.answer {
			t.Errorf("%s: %.20q, %v, %v, %d bytes written", name, got, compressed, err, l.out.Len())
		}
	}
	for name, in := range map[string]string{
		"nothing":           "",
		"cut":               "\x82\x05abc",
		"closed":            "\x88\x02\x03\xe8",
		"masked":            "\x82\x81\x00\x00\x00\x00a",
		"a stray fragment":  "\x80\x01a",
		"two at once":       "\x02\x01a\x82\x01b",
		"too long":          "\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00",
		"an unasked answer": "\x8a\x00",
	} {
		var l loop
		l.in.WriteString(in)
		if got, _, err := readMessage(&l, nil); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAppendFrame(t *testing.T) {
	for size, header := range map[int]string{0: "\xc2\x80", 125: "\xc2\xfd", 126: "\xc2\xfe\x00\x7e", 1 << 16: "\xc2\xff\x00\x00\x00\x00\x00\x01\x00\x00"} {
		payload := bytes.Repeat([]byte("gannet!"), size/7+1)[:size]
		frame := appendFrame(nil, finBit|rsv1Bit|opBinary, payload)
		want := []byte(header + string(maskingKey[:]))
		for i, b := range payload {
			want = append(want, b^maskingKey[i%4])
		}
		if !bytes.Equal(frame, want) {
			t.Errorf("%d bytes: %.20q", size, frame)
		}
	}
}

func TestTexts(t *testing.T) {
	x := newTexts(1024)
	seen := map[string]bool{}
	for id := range 50 {
		for seq := range 20 {
			m := x.append(nil, id, seq)
			if len(m) != 1024 {
				t.Fatalf("%d bytes", len(m))
			}
			seen[string(m)] = true
		}
	}
	if len(seen) != 1000 {
		t.Errorf("%d different messages of 1000", len(seen))
	}
	history := x.appendHistory(nil, 7, 3)
	if want := string(x.append(x.append(x.append(nil, 7, 0), 7, 1), 7, 2)); string(history) != want {
		t.Error("not the messages before")
	}
	if n := len(x.appendHistory(nil, 7, 1000)); n < historyBytes || n > historyBytes+1024 {
		t.Errorf("a history of %d bytes", n)
	}
}

// echoWith is a server that answers each message with what compressing it again would be: the very same bytes, as both
// directions know the same history. It agrees on answer.
func echoWith(t *testing.T, answer string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		extension := ""
		if answer != "" {
			extension = "Sec-WebSocket-Extensions: " + answer + "\r\n"
		}
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\n", extension)
		for echoFrame(rw, conn) == nil {
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// echoFrame sends a masked frame back without its mask. The frames here have a length of 7 or 16 bit.
func echoFrame(r io.Reader, w io.Writer) error {
	header := make([]byte, 2)
	if _, err := io.ReadFull(r, header); err != nil {
		return err
	}
	n := int(header[1] & lengthMask)
	if header[1] &= lengthMask; n == len16 {
		header = append(header, 0, 0)
		if _, err := io.ReadFull(r, header[2:]); err != nil {
			return err
		}
		n = int(header[2])<<8 | int(header[3])
	}
	body := make([]byte, 4+n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	for i := range n {
		body[4+i] ^= body[i&3]
	}
	_, err := w.Write(append(header, body[4:]...))
	return err
}

func TestCrowd(t *testing.T) {
	for _, answer := range []string{
		"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
		"permessage-deflate",
		"permessage-deflate; client_no_context_takeover; server_no_context_takeover",
	} {
		c, err := openCrowd(t.Context(), echoWith(t, answer), 9, 20)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.conns) != 20 || c.agreed.text != answer {
			t.Errorf("%d connections, %q", len(c.conns), c.agreed.text)
		}
		if err := c.talk(t.Context(), newTexts(1024), 40); err != nil {
			t.Errorf("%s: %v", answer, err)
		}
		if err := c.rest(t.Context(), 20*time.Millisecond); err != nil {
			t.Error(err)
		}
		c.conns[3].Close()
		if err := c.rest(t.Context(), 20*time.Millisecond); err == nil {
			t.Error("a lost connection was not noticed")
		}
		if err := c.talk(t.Context(), newTexts(1024), 1); err == nil || !strings.Contains(err.Error(), "connection 3") {
			t.Errorf("a lost connection: %v", err)
		}
		c.close()
	}
}

func TestDeclinedOffer(t *testing.T) {
	c, err := openCrowd(t.Context(), echoWith(t, ""), 9, 20)
	if err != nil || len(c.conns) != 1 || c.agreed.deflate {
		t.Fatalf("%+v, %v", c, err)
	}
	c.close()
}

// An echo of something else is noticed, compressed or not.
func TestWrongEcho(t *testing.T) {
	a, err := parseAgreement("permessage-deflate")
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"\x82\x02hi", "\xc2\x02hi", "\xc2\x01\x00", "\x88\x00"} {
		k, err := newTalker(newTexts(500), a)
		if err != nil {
			t.Fatal(err)
		}
		client, server := net.Pipe()
		go func() {
			_, _ = server.Read(make([]byte, 1<<16))
			_, _ = io.WriteString(server, answer)
			server.Close()
		}()
		if err := k.exchange(client, 1, 0); err == nil {
			t.Errorf("%q passed for an echo", answer)
		}
		client.Close()
	}
}

func TestReadBuffers(t *testing.T) {
	body := `{"open":3,"buffers":{"out":2,"outBytes":4096}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }))
	defer server.Close()
	if n, err := readBuffers(t.Context(), server.URL); n != 4096 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, body = range []string{"", "{}", "[]"} {
		if n, err := readBuffers(t.Context(), server.URL); err == nil {
			t.Errorf("%q: %d", body, n)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-servers", "gws,coder", "-bits", "8,15", "-conns", "500"}, io.Discard)
	if err != nil || len(o.servers) != 2 || len(o.bits) != 2 {
		t.Fatalf("%+v, %v", o, err)
	}
	if gws, coder := o.servers[0].conns(o), o.servers[1].conns(o); gws != 500 || coder != 500 {
		t.Errorf("%d and %d connections", gws, coder)
	}
	if o.conns = 10000; o.servers[1].conns(o) != 1000 {
		t.Errorf("%d connections to coder", o.servers[1].conns(o))
	}
	for _, line := range []string{
		"-servers gorilla", "-servers gws,", "-bits 7", "-bits 16", "-bits 9,x", "-conns 0", "-conns 20000", "-coder-conns 0",
		"-messages 0", "-gogc 0", "-messages 10000", "-size 10", "-size 40000", "-settle -1s", "-rest -1s", "stray",
	} {
		if _, err := parseOptions(strings.Fields(line), io.Discard); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

func TestServerCommands(t *testing.T) {
	built := tools{gannet: "G", peers: "P"}
	for name, want := range map[string]string{
		"gannet": "G serve --addr 127.0.0.1:9000 --loops 1 --log error --deflate shared --deflate-window 12",
		"gws":    "P -peer gws -addr 127.0.0.1:9000 -deflate both -window 12",
		"coder":  "P -peer coder -addr 127.0.0.1:9000 -deflate both",
	} {
		s, _ := serverNamed(name)
		if got := strings.Join(withGOGC(50, s.argv(built, 9000, 12)), " "); got != "env GOGC=50 "+want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestTable(t *testing.T) {
	yes := agreement{deflate: true, text: "permessage-deflate"}
	r := report{options: options{messages: 10, size: 1024, rest: time.Minute}, results: []result{
		{server: "gannet", bits: 9, conns: 10, agreed: yes, hasRest: true, hasStats: true,
			before: reading{rss: 1000}, idle: reading{rss: 5000}, after: reading{rss: 35720, buffers: 20000}, rested: reading{rss: 21000, buffers: 10000}},
		{server: "gannet", bits: 15, conns: 10, agreed: yes, hasRest: true, hasStats: true, after: reading{rss: 389130}},
		{server: "gws", bits: 9, conns: 10, agreed: yes, hasRest: true, idle: reading{rss: 50000}, after: reading{rss: 150000}},
		{server: "coder", bits: 9, hasRest: true},
	}}
	table := r.markdown()
	for _, line := range []string{
		"| server | window bits | connections | open, idle | after the messages | of it since idle | left alone for 1m0s | bar | Gannet's buffers |",
		"| gannet | 9 | 10 | 400 | 3472 | 3072 | 2000 | 3072: met | 2000, then 1000 |",
		"| gannet | 15 | 10 | 0 | 38913 | 38913 | 0 | 38912: missed | 0, then 0 |",
		"| gws | 9 | 10 | 5000 | 15000 | 10000 | 0 |  |  |",
		"| coder | 9 | declines the offer | - | - | - | - |  |  |",
		"coder at 9: no compression.",
	} {
		if !strings.Contains(table, line) {
			t.Errorf("the table lacks %s:\n%s", line, table)
		}
	}
	columns := strings.Count(strings.Split(table[strings.Index(table, "| server"):], "\n")[0], "|")
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "|") && strings.Count(line, "|") != columns {
			t.Errorf("%d columns, not %d: %s", strings.Count(line, "|"), columns, line)
		}
	}
}
