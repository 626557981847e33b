package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

func main() {
	url := "ws://localhost:8080/"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	closed := make(chan struct{})
	client, err := engine.NewClient(engine.Funcs{
		Message: func(c *engine.Conn, m engine.Message) {
			fmt.Printf("%s\n", m.Data) // m.Data is lent until return
			_ = c.Close()
		},
		Close: func(_ *engine.Conn, e engine.CloseEvent) { close(closed) },
	}, engine.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := client.Dial(ctx, url, engine.DialOptions{})
	if err != nil {
		log.Fatal(err) // says what a person can do about it
	}
	if err := conn.SendText("hello"); err != nil {
		log.Fatal(err)
	}
	<-closed
}
