package engine

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// goodTraffic echoes compressed messages, whose windows are kept on both sides, until it is stopped, and checks each.
func goodTraffic(t *testing.T, s *Server, conns int) (stop func() (messages int64)) {
	t.Helper()
	var all sync.WaitGroup
	var over atomic.Bool
	var n atomic.Int64
	for i := range conns {
		a := attackDeflate(t, s, "/echo", anyDeflate)
		all.Go(func() {
			var ear deflateEar
			var sent []byte
			for k := 0; !over.Load(); k++ {
				p := fmt.Appendf(nil, "%s: connection %d, message %d, %s", strings.Repeat("good traffic ", k%20), i, k, strings.Repeat("x", k*7919%3000))
				if _, err := a.Write(maskedFrame(0xc1, squeezed(p, sent))); err != nil {
					t.Error("good traffic:", err)
					return
				}
				sent = append(sent, p...)
				sent = sent[max(0, len(sent)-32<<10):]
				if _, got, err := ear.hear(a.r); err != nil || !bytes.Equal(got, p) {
					t.Errorf("good traffic: %d bytes for %d, %v", len(got), len(p), err)
					return
				}
				n.Add(1)
			}
		})
	}
	return func() int64 {
		over.Store(true)
		all.Wait()
		return n.Load()
	}
}

// TestDeflateBadMessagesEndTheirOwnConnection: while broken messages, cut off at every point, and bombs come by the
// hundred, what connections share (inflaters, compressors, scratch) stays right for the others.
func TestDeflateBadMessagesEndTheirOwnConnection(t *testing.T) {
	for name, o := range map[string]Options{"loops": {Loops: 2}, "workers": {Loops: 2, Workers: 3}} {
		t.Run(name, func(t *testing.T) {
			o.Deflate, o.Limits.MaxMessageSize = deflateOn(), 1<<20
			s := startServer(t, echoHandler, o)
			besideInnocent(t, s, func() {
				stop := goodTraffic(t, s, 4)
				for _, k := range brokenStreams() {
					a := attackDeflate(t, s, "/bad", anyDeflate)
					good := squeezed([]byte(strings.Repeat("good so far ", 50)), nil)
					if k.why != deflate.ErrDistance { // behind others there is something to refer to
						a.say(t, string(maskedFrame(0xc1, good)))
					}
					a.say(t, string(maskedFrame(0xc1, k.payload)))
					a.expectDeflateClose(t, k.code)
				}
				a := attackDeflate(t, s, "/bomb", anyDeflate)
				a.say(t, string(maskedFrame(0xc2, bomb(8<<20))))
				a.expectDeflateClose(t, 1009)
				half := squeezed([]byte(strings.Repeat("half a message ", 1000)), nil)
				for cut := range len(half) { // inflaters that are given back in every state
					a := attackDeflate(t, s, "/half", anyDeflate)
					a.say(t, string(maskedFrame(0x41, half[:cut])))
					a.reset()
				}
				if n := stop(); n < 10 {
					t.Error("only", n, "good messages")
				}
			})
		})
	}
}
