package goclients

import (
	"bytes"
	"testing"

	"github.com/coder/websocket"
)

func coderDialDeflate(t *testing.T, mode websocket.CompressionMode) (c *websocket.Conn, agreed string) {
	t.Helper()
	c, answer, err := websocket.Dial(t.Context(), socketURL(), &websocket.DialOptions{CompressionMode: mode, CompressionThreshold: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(-1)
	return c, answer.Header.Get("Sec-WebSocket-Extensions")
}

// coderWants is the answer to what coder offers, which is never a window: a server with a smaller one than 15 bits tells
// coder, and has it keep no context, because coder's window is not known (RFC 7692 7.1.2.2).
func coderWants(mode websocket.CompressionMode) string {
	nct := mode == websocket.CompressionNoContextTakeover
	return answer(nct, nct, 0)
}

func TestCoderDeflateEchoes(t *testing.T) {
	for _, mode := range []websocket.CompressionMode{websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover} {
		c, agreed := coderDialDeflate(t, mode)
		if want := coderWants(mode); agreed != want {
			t.Fatalf("agreed on %q, want %q", agreed, want)
		}
		for i, text := range append(texts(wave()), texts([]int{1 << 20, 70, 3_000_001, 0, 200})...) {
			if err := coderEcho(t.Context(), c, websocket.MessageText, text); err != nil {
				t.Fatalf("mode %v, message %d: %v", mode, i, err)
			}
		}
		c.Close(websocket.StatusNormalClosure, "")
	}
}

func TestCoderDeflatePointsBack(t *testing.T) {
	const count = 20
	again := sixteenLetters(200)
	for _, mode := range []websocket.CompressionMode{websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover} {
		grown := counted(t, count, func() {
			c, _ := coderDialDeflate(t, mode)
			for range count {
				if err := coderEcho(t.Context(), c, websocket.MessageText, again); err != nil {
					t.Fatal(err)
				}
			}
			c.Close(websocket.StatusNormalClosure, "")
		})
		if deflateMode == "off" {
			return
		}
		takeover := mode == websocket.CompressionContextTakeover
		wantWire(t, "in", grown.WireBytesIn, count, takeover && windowBits == 15)
		wantWire(t, "out", grown.WireBytesOut, count, takeover && serverKeeps())
	}
}

func TestCoderDeflateStreams(t *testing.T) {
	for _, mode := range []websocket.CompressionMode{websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover} {
		c, _ := coderDialDeflate(t, mode)
		for range 3 {
			w, err := c.Writer(t.Context(), websocket.MessageText)
			if err != nil {
				t.Fatal(err)
			}
			parts := texts([]int{1, 100, 5000, 0, 70_000, 3})
			for _, part := range parts {
				if _, err := w.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			want := bytes.Join(parts, nil)
			if _, got, err := c.Read(t.Context()); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("mode %v: got %d bytes, %v; want %d", mode, len(got), err, len(want))
			}
		}
		c.Close(websocket.StatusNormalClosure, "")
	}
}
