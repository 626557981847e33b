// Command bot sits in a room of a WebSocket server and tells the time to whoever says "!time". It comes back when
// the server restarts, and when the network fails.
//
//	bot [ws://localhost:8080/room]
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/engine/reconnect"
)

type bot struct{ over chan error }

// OnOpen says hello, before anything else can be said.
func (b *bot) OnOpen(_ *reconnect.Conn, now *engine.Conn, times int) {
	hello := "bot: hello, say !time"
	if times > 1 {
		hello = "bot: I am back"
	}
	_ = now.SendText(hello) // an error is that the connection has gone, which OnLost tells
}

func (b *bot) OnMessage(c *reconnect.Conn, m engine.Message) {
	text := string(m.Data)
	if strings.HasPrefix(text, "bot: ") { // a room may repeat to us what we said
		return
	}
	if strings.HasSuffix(text, "!time") {
		_ = c.SendText("bot: " + time.Now().Format(time.TimeOnly))
	}
}

func (b *bot) OnLost(_ *reconnect.Conn, l reconnect.Loss) {
	log.Printf("lost (%d %v), %d bytes were not sent; attempt %d in %v", l.Event.Code, l.Event.Err, l.Unsent, l.Attempt, l.Delay.Round(time.Millisecond))
}

func (b *bot) OnClose(_ *reconnect.Conn, _ reconnect.Loss, why error) { b.over <- why }

func main() {
	url := "ws://localhost:8080/room"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	client, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{Loops: 1})
	if err != nil {
		log.Fatal(err)
	}
	b := &bot{over: make(chan error, 1)}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	conn, err := reconnect.Start(context.Background(), client, url, b, reconnect.Options{})
	if err != nil {
		log.Fatal(err)
	}
	select {
	case err := <-b.over: // the server does not want us
		log.Fatal(err)
	case <-ctx.Done():
	}
	stop() // a second signal ends the program at once
	_ = conn.Close()
	<-b.over // what was sent has left, and the server has answered our Close
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}
}
