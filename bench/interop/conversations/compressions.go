package main

import (
	"encoding/base64"
	"strings"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

var compressions = []conversation{
	{"compressed texts", compression, compressedTexts},
	{"messages that point at earlier ones", compression, pointing},
}

// compressedTexts: what is compressed by either side comes back as it was, in growing and shrinking messages.
func compressedTexts(t *talk) {
	c := t.open("/echo", engine.DialOptions{})
	n := 0
	for _, k := range corpus.All() {
		for _, m := range k.Messages {
			op := engine.OpText
			if strings.HasPrefix(k.Name, "random") {
				op = engine.OpBinary
			}
			err := c.Send(op, m)
			t.want(err == nil, "Send: %v", err)
		}
		for _, m := range k.Messages {
			got := t.message(n)
			t.want(string(got.data) == string(m), "%s: message %d differs", k.Name, n)
			n++
		}
	}
	text := prose(3 << 20)
	t.echoed(c, n, engine.OpText, text)
	d := t.client.Stats().Deflate
	if c.Extensions() == "" {
		t.want(d.MessagesIn == 0 && d.MessagesOut == 0, "nothing was agreed on, and %+v", d)
	} else {
		t.want(d.MessagesOut > 100 && d.WireBytesOut < d.BytesOut/2, "we did not compress: %+v", d)
		t.want(d.MessagesIn > 100 && d.WireBytesIn < d.BytesIn/2, "the server did not compress: %+v", d)
	}
	t.closeCleanly(c, "open message close")
}

// pointing: the same message again takes almost nothing exactly if the sender may point at earlier messages (RFC 7692 7.1.1).
func pointing(t *talk) {
	c := t.open("/echo", engine.DialOptions{})
	if c.Extensions() == "" {
		t.closeCleanly(c, "open close")
		return
	}
	// 160 bytes that alone are compressed to 120 at best. zlib's window of 9 bits, 512 bytes, lets a message point back by 250.
	text := []byte(base64.StdEncoding.EncodeToString(noise(120)))
	t.echoed(c, 0, engine.OpText, text)
	first := t.client.Stats().Deflate
	t.echoed(c, 1, engine.OpText, text)
	second := t.client.Stats().Deflate
	ours := t.offer.policy.Takeover != deflate.NoTakeover && !strings.Contains(c.Extensions(), "client_no_context_takeover")
	t.points("our", second.WireBytesOut-first.WireBytesOut, ours)
	t.points("the server's", second.WireBytesIn-first.WireBytesIn, !strings.Contains(c.Extensions(), "server_no_context_takeover"))
	t.closeCleanly(c, "open message close")
}

func (t *talk) points(whose string, bytes uint64, may bool) {
	t.want(may == (bytes < 60), "%s second message took %d bytes; pointing at earlier ones is agreed on: %v", whose, bytes, may)
}
