package goclients

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const testLimit = 10 * time.Second

func coderDial(t *testing.T, o *websocket.DialOptions) (*websocket.Conn, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	c, _, err := websocket.Dial(ctx, socketURL(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(-1)
	return c, ctx
}

func coderEcho(ctx context.Context, c *websocket.Conn, kind websocket.MessageType, data []byte) error {
	if err := c.Write(ctx, kind, data); err != nil {
		return err
	}
	gotKind, got, err := c.Read(ctx)
	if err != nil {
		return err
	}
	if gotKind != kind || !bytes.Equal(got, data) {
		return fmt.Errorf("sent %v of %d bytes, got %v of %d bytes", kind, len(data), gotKind, len(got))
	}
	return nil
}

func TestCoderEchoesEveryLengthClass(t *testing.T) {
	for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionContextTakeover} {
		c, ctx := coderDial(t, &websocket.DialOptions{CompressionMode: mode})
		for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20} {
			data := make([]byte, size)
			rand.Read(data)
			if err := coderEcho(ctx, c, websocket.MessageBinary, data); err != nil {
				t.Fatalf("compression %v: %v", mode, err)
			}
			if err := coderEcho(ctx, c, websocket.MessageText, []byte(strings.Repeat("g", size))); err != nil {
				t.Fatalf("compression %v: %v", mode, err)
			}
		}
	}
}

func TestCoderStreamsAMessageInFragments(t *testing.T) {
	c, ctx := coderDial(t, nil)
	w, err := c.Writer(ctx, websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := range 1000 {
		part := fmt.Sprintf("fragment %d, ", i)
		want.WriteString(part)
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != want.String() {
		t.Fatalf("got %d bytes, %v; want %d", len(got), err, want.Len())
	}
}

func TestCoderPingIsAnswered(t *testing.T) {
	c, ctx := coderDial(t, nil)
	c.CloseRead(ctx) // the pong is only seen while something reads
	for range 10 {
		if err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCoderCloseHandshakeCompletes(t *testing.T) {
	for _, code := range []websocket.StatusCode{1000, 1001, 3000, 4999} {
		c, _ := coderDial(t, nil)
		if err := c.Close(code, "bye"); err != nil {
			t.Errorf("close with %d: %v", code, err)
		}
	}
}

func TestCoderManyConnectionsAtOnce(t *testing.T) {
	t.Run("connections", func(t *testing.T) {
		for n := range 100 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				c, ctx := coderDial(t, nil)
				for i := range 20 {
					message := bytes.Repeat(fmt.Appendf(nil, "%d/%d ", n, i), 1+n*i)
					if err := coderEcho(ctx, c, websocket.MessageText, message); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	})
}
