package engine

import (
	"strconv"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// minutely lets something be said once a minute, and counts how often there was reason to.
type minutely struct {
	mu    sync.Mutex
	said  bool
	at    time.Time // when it was said last
	count uint64    // reasons since then
}

// due counts one more reason, and answers how many there are when it may be said now, else 0.
func (m *minutely) due(now time.Time) (n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	if m.said && now.Sub(m.at) < time.Minute {
		return 0
	}
	n = m.count
	m.said, m.at, m.count = true, now, 0
	return n
}

// logOrigin tells the one who runs the server of an origin that was refused, and what to do if it should not be. Of many
// it tells one a minute: anybody can have as many refused as they like.
func (e *engine) logOrigin(in *entrance, req *handshake.Request, now time.Time) {
	n := e.origins.due(now)
	if n == 0 {
		return
	}
	option, todo := in.options+".CheckOrigin", "the function refused it"
	if in.check == nil {
		option, todo = in.options+".Origins", "list the origin if its pages may connect; if they are the server's own, a proxy in front ends TLS or changes Host"
	}
	origin := "none" // which CheckOrigin may refuse
	if req.Origin != nil {
		origin = quoted(req.Origin)
	}
	e.log().Warn("gannet: an origin was refused", "origin", origin, "host", quoted(req.Host), "option", option, "todo", todo, "refused", n)
}

// mostQuoted is how much of what a stranger sent goes into a log line.
const mostQuoted = 128

// quoted is what a stranger sent, fit for any log: in ASCII, in quotes, and not long.
func quoted(b []byte) string {
	if len(b) > mostQuoted {
		return strconv.QuoteToASCII(string(b[:mostQuoted])) + "..."
	}
	return strconv.QuoteToASCII(string(b))
}
