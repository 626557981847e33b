package dom

import (
	"sync"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

// DefaultClient makes the connections of those Options that name no Client. It is made when it is first asked for; it offers
// permessage-deflate, as browsers do, and has engine.ClientOptions' defaults for the rest: a loop for each processor. It may be shut down, as any other, when the
// program ends.
func DefaultClient() *engine.Client { return defaultClient() }

var defaultClient = sync.OnceValue(func() *engine.Client {
	c, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{Deflate: &deflate.Policy{}})
	if err != nil {
		panic("dom: the default client's options are wrong: " + err.Error())
	}
	return c
})
