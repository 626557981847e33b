// Command coder is a client that writes and reads JSON, as docs/streams.md ports it to Gannet.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

type order struct {
	Item  string
	Count int
}

func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	if err := wsjson.Write(ctx, conn, order{"tea", 2}); err != nil {
		return err
	}
	var confirmed order
	if err := wsjson.Read(ctx, conn, &confirmed); err != nil {
		return err
	}
	fmt.Println(confirmed.Count, confirmed.Item)
	return conn.Close(websocket.StatusNormalClosure, "")
}

func main() {
	if err := ask(context.Background(), "ws://localhost:8080"); err != nil {
		log.Fatal(err)
	}
}
