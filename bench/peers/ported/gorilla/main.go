// Command gorilla is a server with a read loop and a write loop, as docs/streams.md ports it to Gannet.
package main

import (
	"bytes"
	"log"
	"net/http"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{}

func serve(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetReadLimit(4096)
	lines, done := make(chan []byte), make(chan struct{})
	go func() {
		defer close(done)
		for p := range lines {
			if err := conn.WriteMessage(websocket.TextMessage, bytes.ToUpper(p)); err != nil {
				return
			}
		}
	}()
	defer close(lines)
	for {
		_, p, err := conn.ReadMessage()
		if err != nil {
			if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				log.Print(err)
			}
			return
		}
		select {
		case lines <- p:
		case <-done:
			return
		}
	}
}

func main() { log.Fatal(http.ListenAndServe("localhost:8080", http.HandlerFunc(serve))) }
