// Command domchat sits in a chat with the browser's object in Go, for the test with browsers: what it hears goes to its output, a
// line each, and each line of its input is sent.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/gannet-ws/gannet/engine/dom"
)

func main() {
	ws, err := dom.New(os.Args[1], "json")
	if err != nil {
		log.Fatal(err)
	}
	ws.OnOpen(func(*dom.OpenEvent) { fmt.Println("open", ws.Protocol()) })
	ws.OnMessage(func(e *dom.MessageEvent) { fmt.Println(e.Data) })
	ws.OnClose(func(e *dom.CloseEvent) { fmt.Println("close", e.Code, e.WasClean) })
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			if err := ws.SendText(in.Text()); err != nil {
				log.Fatal(err)
			}
		}
		_ = ws.Close()
	}()
	if err := ws.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
