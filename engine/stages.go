package engine

import (
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

// stages are what only connections with permessage-deflate have.
type stages struct {
	receiver *deflate.Receiver // loop; nil before the first compressed message
	use      atomic.Uint32     // of the compressor too: see conn_resting.go
	looked   time.Duration     // loop
}

// madeStages are the connection's stages, made if it had none. They come with
// its first compressed message; whichever way that goes may be the first.
func (c *Conn) madeStages() *stages {
	if s := c.stages.Load(); s != nil {
		return s
	}
	c.stages.CompareAndSwap(nil, new(stages))
	return c.stages.Load()
}
