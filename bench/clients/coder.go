package main

import (
	"context"

	"github.com/coder/websocket"
)

// driveCoder: Reader into a slice that each connection keeps, instead of Read, which allocates for every message; no compression, no
// limit of the length. Its read and write buffers are of 4,096 bytes and can not be chosen.
func driveCoder(k *load) error {
	for range k.conns {
		conn, _, err := websocket.Dial(context.Background(), "ws://"+k.addr+"/", nil)
		if err != nil {
			return err
		}
		conn.SetReadLimit(-1)
		go func() { k.fail(coderLoop(k, conn)) }()
	}
	return nil
}

func coderLoop(k *load, conn *websocket.Conn) error {
	ctx := context.Background() // one that can end costs more
	var buf []byte
	for back, sends := 0, true; ; {
		for i := 0; sends && i < k.depth; i++ {
			if err := conn.Write(ctx, websocket.MessageBinary, k.payload); err != nil {
				return err
			}
		}
		_, r, err := conn.Reader(ctx)
		if err != nil {
			return err
		}
		if buf, err = appendAll(buf[:0], r); err != nil {
			return err
		}
		sends = k.cameBack(&back, len(buf))
	}
}
