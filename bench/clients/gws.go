package main

import "github.com/lxzan/gws"

// driveGws follows the "Best Practice" section of gws's README: ReadLoop in a goroutine of its own. ParallelEnabled and Recovery
// stay off (a goroutine, and a deferred recover, for each message), no deadlines. A connection's handler is its own, so
// that its count needs no look-up. WriteMessage writes each message by itself; gws has nothing that gathers several.
func driveGws(k *load) error {
	for range k.conns {
		conn, _, err := gws.NewClient(&gwsLoop{load: k}, &gws.ClientOption{Addr: "ws://" + k.addr + "/", ReadBufferSize: readBuffer})
		if err != nil {
			return err
		}
		go conn.ReadLoop()
	}
	return nil
}

type gwsLoop struct {
	gws.BuiltinEventHandler
	load *load
	back int
}

func (g *gwsLoop) OnOpen(c *gws.Conn) { g.send(c) }

func (g *gwsLoop) OnClose(_ *gws.Conn, err error) { g.load.fail(err) }

func (g *gwsLoop) OnMessage(c *gws.Conn, m *gws.Message) {
	n := len(m.Bytes())
	_ = m.Close()
	if g.load.cameBack(&g.back, n) {
		g.send(c)
	}
}

func (g *gwsLoop) send(c *gws.Conn) {
	for range g.load.depth {
		if err := c.WriteMessage(gws.OpcodeBinary, g.load.payload); err != nil {
			g.load.fail(err)
			return
		}
	}
}

// readBuffer is in bytes the default of all three. One that holds a message of 16 KiB costs gws and gorilla more there: a part that is longer than
// the buffer is read past it, and not copied.
const readBuffer = 4096
