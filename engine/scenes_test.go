package engine

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gobwas/ws"
)

// noteMessages notes messages and echoes them.
func noteMessages(p *play) Funcs {
	return Funcs{Message: func(c *Conn, m Message) {
		p.heard <- string(m.Data)
		_ = c.Send(m.Op, m.Data)
	}}
}

// scenes are played behind every door by TestSemantics.
var scenes = []scene{
	{name: "echo of all sizes", act: actSizes},
	{name: "many messages in one write", act: actMany},
	{name: "fragments and a ping between", act: actFragments},
	{name: "frames right behind the request", act: actEarly},
	{name: "the peer closes", act: func(t *testing.T, p *play) {
		p.g.sayClose(t, 3001, "bye")
		p.g.hearClose(t, 3001, "")
		p.g.hearEnd(t)
		if e := p.ended(t, 3001, true); e.Reason != "bye" {
			t.Error(e)
		}
		p.noError(t)
	}},
	{name: "the peer closes without a code", act: func(t *testing.T, p *play) {
		p.g.say(t, ws.OpClose, nil)
		p.g.hear(t, ws.OpClose, []byte{})
		p.ended(t, 1005, true)
	}},
	{name: "the server closes behind what is queued", handler: func(*play) Funcs {
		return Funcs{Open: func(c *Conn) {
			for i := range 40 {
				_ = c.SendBinary(bytes.Repeat([]byte{byte(i)}, 50_000))
			}
			_ = c.CloseWith(4000, "done")
		}}
	}, act: func(t *testing.T, p *play) {
		for i := range 40 {
			p.g.hear(t, ws.OpBinary, bytes.Repeat([]byte{byte(i)}, 50_000))
		}
		p.g.hearClose(t, 4000, "done")
		p.g.sayClose(t, 4000, "done")
		p.g.hearEnd(t)
		p.ended(t, 4000, true)
		p.noError(t)
	}},
	{name: "the peer half-closes behind its Close", act: func(t *testing.T, p *play) {
		p.g.sayClose(t, 1000, "")
		p.g.endSpeech(t)
		p.g.hearClose(t, 1000, "")
		p.ended(t, 1000, true)
	}},
	{name: "the stream ends without a Close", act: func(t *testing.T, p *play) {
		p.echoes(t, "hello")
		p.g.endSpeech(t)
		if p.wholly {
			_ = p.g.Close()
		} else {
			p.g.hearEnd(t)
		}
		e := p.ended(t, 1006, false)
		if !errors.Is(e.Err, ErrAbnormal) {
			t.Error(e.Err)
		}
		p.oneError(t, e)
	}},
	{name: "the peer resets", act: func(t *testing.T, p *play) {
		p.echoes(t, "hello")
		p.g.slam()
		e := p.ended(t, 1006, false)
		if !errors.Is(e.Err, ErrAbnormal) {
			t.Error(e.Err)
		}
		p.oneError(t, e)
	}},
	{name: "the peer resets what nobody reads", handler: noteMessages, act: actResetWhilePaused},
	{name: "Terminate drops what is queued", act: actTerminate},
	{name: "Pause and Resume", handler: noteMessages, act: actPause},
	{name: "backpressure", options: Options{Limits: Limits{HighWater: 128 << 10}}, act: actBackpressure},
	{name: "a frame that breaks the rules", act: func(t *testing.T, p *play) {
		f := ws.MustCompileFrame(ws.NewTextFrame([]byte("unmasked")))
		if _, err := p.g.Write(f); err != nil {
			t.Fatal(err)
		}
		p.g.hearClose(t, 1002, "")
		p.g.hearEnd(t)
		p.oneError(t, p.ended(t, 1006, false))
	}},
	{name: "text that is none", act: func(t *testing.T, p *play) {
		p.g.say(t, ws.OpText, []byte("a\xffb"))
		p.g.hearClose(t, 1007, "")
		e := p.ended(t, 1006, false)
		if !errors.Is(e.Err, ErrInvalidUTF8) {
			t.Error(e.Err)
		}
		p.oneError(t, e)
	}},
	{name: "a message over the limit", options: Options{Limits: Limits{MaxMessageSize: 1000}}, act: func(t *testing.T, p *play) {
		p.g.say(t, ws.OpBinary, make([]byte, 1000))
		p.g.hear(t, ws.OpBinary, make([]byte, 1000))
		p.g.part(t, ws.OpBinary, false, make([]byte, 600))
		p.g.part(t, ws.OpContinuation, true, make([]byte, 401))
		p.g.hearClose(t, 1009, "")
		p.oneError(t, p.ended(t, 1006, false))
	}},
	{name: "a handler that panics", handler: func(*play) Funcs {
		return Funcs{Message: func(*Conn, Message) { panic("as planned") }}
	}, act: func(t *testing.T, p *play) {
		p.g.say(t, ws.OpText, []byte("boo"))
		p.g.hearClose(t, 1011, "")
		e := p.ended(t, 1006, false)
		if !errors.Is(e.Err, ErrHandlerPanic) || p.Stats().Panics != 1 {
			t.Error(e.Err, p.Stats().Panics)
		}
		p.oneError(t, e)
	}},
	{name: "sends from many goroutines", act: actSenders},
	{name: "a message writer, and what waits behind it", act: actWriter},
	{name: "Post, and sends when it is over", act: actPost},
	{name: "ping from here", act: func(t *testing.T, p *play) {
		c := <-p.conns
		if err := c.Ping([]byte("?")); err != nil {
			t.Fatal(err)
		}
		p.g.hear(t, ws.OpPing, []byte("?"))
		p.g.say(t, ws.OpPong, []byte("?"))
		within(t, timeoutOf(5), "the pong is counted", func() bool { return p.Stats().PongsIn == 1 })
	}},
	{name: "Shutdown", act: actShutdown},
	{name: "Shutdown runs out of time", act: actShutdownLate},
	{name: "the server is closed", act: func(t *testing.T, p *play) {
		p.echoes(t, "hello")
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		e := p.ended(t, 1006, false)
		if !errors.Is(e.Err, ErrTerminated) {
			t.Error(e.Err)
		}
		p.noError(t)
		p.g.hearEnd(t)
	}},
}
