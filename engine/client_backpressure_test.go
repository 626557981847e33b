package engine

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
)

// TestClientReadsAboveHighWater: a client that has much to say hears its server meanwhile. A server, ours or another, takes no more
// while its answers are not read: two that both wait would wait for ever.
func TestClientReadsAboveHighWater(t *testing.T) {
	const count, size = 500, 64 << 10 // more than the kernel's buffers hold both ways
	for name, o := range map[string]ClientOptions{
		"native":  {},
		"carried": {DialContext: new(net.Dialer).DialContext},
		"workers": {Workers: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := doorNamed(t, "tcp").build(t, echoHandler, Options{})
			var echoes, highs, drains atomic.Int64
			all := make(chan struct{})
			o.Limits = Limits{HighWater: 64 << 10, MaxBufferedAmount: -1}
			c := newClient(t, Funcs{
				Message: func(_ *Conn, m Message) {
					if len(m.Data) == size && echoes.Add(1) == count {
						close(all)
					}
				},
				HighWater: func(*Conn) {
					if highs.Add(1) != drains.Load()+1 {
						t.Error("OnHighWater twice, without OnDrain between")
					}
				},
				Drain: func(*Conn) { drains.Add(1) },
			}, o)
			ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(5))
			defer cancel()
			conn, err := c.Dial(ctx, "ws://"+w.Addr().String(), DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			data := make([]byte, size)
			for range count {
				if err := conn.SendBinary(data); err != nil {
					t.Fatal(err)
				}
			}
			receive(t, all, "all echoes")
			within(t, timeoutOf(5), "OnHighWater, and OnDrain for each", func() bool { return highs.Load() > 0 && drains.Load() == highs.Load() })
			if pauses := c.Stats().Pauses; pauses != 0 {
				t.Error("reading was paused", pauses)
			}
		})
	}
}
