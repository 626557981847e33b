// Command prices sends a stream of prices to whoever asks for a symbol: ws://localhost:8080/AAPL. A client that reads too
// slowly misses prices, and costs nobody else anything.
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

type market struct{ symbols []string }

// OnUpgrade refuses symbols that are not traded.
func (m *market) OnUpgrade(u *engine.Upgrade) {
	asked := strings.TrimPrefix(u.Target(), "/")
	for _, s := range m.symbols {
		if s == asked {
			u.SetValue(s)
			return
		}
	}
	_ = u.Refuse(404, "no such symbol\n")
}

func (m *market) OnOpen(*engine.Conn)                     {}
func (m *market) OnMessage(*engine.Conn, engine.Message)  {} // nothing is expected
func (m *market) OnClose(*engine.Conn, engine.CloseEvent) {}

// publish sends each symbol's price, until ctx ends. The number tells a client what it has missed.
func (m *market) publish(ctx context.Context, server *engine.Server) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, s := range m.symbols {
			text := fmt.Appendf(nil, `{"symbol":%q,"n":%d,"price":%.2f}`, s, n, 100+math.Sin(float64(n)/50))
			p, err := engine.Prepare(engine.OpText, text)
			if err != nil {
				log.Println(err)
				return
			}
			server.Broadcast(p, func(c *engine.Conn) bool { return c.Value() == s })
		}
	}
}

func main() {
	m := &market{symbols: []string{"AAPL", "BTC-EUR", "GOLD"}}
	server, err := engine.NewServer(m, engine.Options{
		SendBuffer: 64 << 10, // what waits in the kernel is late, too
		Limits: engine.Limits{
			MaxMessageSize:    1024,
			MaxBufferedAmount: 64 << 10, // behind by more than that, a client misses prices
			Overflow:          engine.DropMessage,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		if err := server.ListenAndServe("tcp", ":8080"); err != engine.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	m.publish(ctx, server)
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Fatal("shutdown: ", err)
	}
}
