package main

import (
	"io"

	"github.com/gorilla/websocket"
)

// driveGorilla: each connection has a goroutine, which reads with NextReader into a slice that it keeps (ReadMessage allocates for every
// message), and a write buffer that holds a whole frame: with a shorter one a client's WriteMessage would send a frame for each
// buffer. A PreparedMessage would be cheaper, but masks every copy with one key, which RFC 6455 5.3 forbids.
func driveGorilla(k *load) error {
	dialer := websocket.Dialer{ReadBufferSize: readBuffer, WriteBufferSize: max(4096, k.size+16)}
	for range k.conns {
		conn, _, err := dialer.Dial("ws://"+k.addr+"/", nil)
		if err != nil {
			return err
		}
		go func() { k.fail(gorillaLoop(k, conn)) }()
	}
	return nil
}

func gorillaLoop(k *load, conn *websocket.Conn) error {
	var buf []byte
	for back, sends := 0, true; ; {
		for i := 0; sends && i < k.depth; i++ {
			if err := conn.WriteMessage(websocket.BinaryMessage, k.payload); err != nil {
				return err
			}
		}
		_, r, err := conn.NextReader()
		if err != nil {
			return err
		}
		if buf, err = appendAll(buf[:0], r); err != nil {
			return err
		}
		sends = k.cameBack(&back, len(buf))
	}
}

// appendAll reads r to its end into dst's spare room, growing dst as append does.
func appendAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}
