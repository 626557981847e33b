package engine

import (
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

// deflation is what only connections with permessage-deflate have.
type deflation struct {
	receiver *deflate.Receiver // loop; nil before the first compressed message
	use      atomic.Uint32     // of the compressor too: see conn_resting.go
	looked   time.Duration     // loop
}

// madeDeflation is the connection's deflation, made if it had none: with its first compressed message, whichever way that
// goes.
func (c *Conn) madeDeflation() *deflation {
	if s := c.deflation.Load(); s != nil {
		return s
	}
	c.deflation.CompareAndSwap(nil, new(deflation))
	return c.deflation.Load()
}
