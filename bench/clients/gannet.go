package main

import (
	"context"

	"github.com/gannet-ws/gannet/engine"
)

// driveGannet: one loop, as the server's in bench/compare. What a callback sends leaves in one write at its end: nothing is
// set up for that.
func driveGannet(k *load) error {
	send := func(c *engine.Conn) {
		for range k.depth {
			if err := c.SendBinary(k.payload); err != nil {
				k.fail(err)
				return
			}
		}
	}
	client, err := engine.NewClient(engine.Funcs{
		Open: func(c *engine.Conn) { c.SetValue(new(int)); send(c) },
		Message: func(c *engine.Conn, m engine.Message) {
			if k.cameBack(c.Value().(*int), len(m.Data)) {
				send(c)
			}
		},
		Error: func(_ *engine.Conn, err error) { k.fail(err) },
	}, engine.ClientOptions{Loops: 1})
	if err != nil {
		return err
	}
	for range k.conns {
		if _, err := client.Dial(context.Background(), "ws://"+k.addr+"/", engine.DialOptions{}); err != nil {
			return err
		}
	}
	return nil
}
