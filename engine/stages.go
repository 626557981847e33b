package engine

import (
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

// stages are what only some connections do to a message on its way. The order out is
// fixed: state, limits, compress, frame, mask, place; then seal, socket.
type stages struct {
	sender   deflate.Sender    // mu
	receiver *deflate.Receiver // loop; nil before the first compressed message
	sends    bool              // mu: sender was made, with the first message that it compressed
	use      atomic.Uint32     // of both: see resting.go
	looked   time.Duration     // loop

	mask func() [4]byte // a client's masking keys, from a CSPRNG (RFC 6455 5.3)
	seal *sealing
}

// madeStages are the connection's stages, made if it had none. Those of permessage-deflate
// alone come with its first compressed message; whichever way that goes may be the first.
func (c *Conn) madeStages() *stages {
	if s := c.stages.Load(); s != nil {
		return s
	}
	c.stages.CompareAndSwap(nil, new(stages))
	return c.stages.Load()
}
