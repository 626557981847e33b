package netio

import (
	"sync"
	"sync/atomic"
)

// sessions finds a TLS connection by its descriptor. Pages never move, so that a look-up takes no lock while the table grows. The loop
// fills and empties the slots; anybody may read.
type sessions struct {
	pages atomic.Pointer[[]*sessionPage]
	grow  sync.Mutex
}

type sessionPage [512]atomic.Pointer[session]

func (t *sessions) at(fd int) *session {
	if p := t.pages.Load(); p != nil {
		if i := uint(fd) / uint(len(sessionPage{})); i < uint(len(*p)) {
			return (*p)[i][uint(fd)%uint(len(sessionPage{}))].Load()
		}
	}
	return nil
}

func (t *sessions) set(fd int, k *session) {
	i := fd / len(sessionPage{})
	t.reach(i)
	(*t.pages.Load())[i][fd%len(sessionPage{})].Store(k)
}

func (t *sessions) reach(page int) {
	t.grow.Lock()
	defer t.grow.Unlock()
	var pages []*sessionPage
	if p := t.pages.Load(); p != nil {
		pages = *p
	}
	if page < len(pages) {
		return
	}
	for page >= len(pages) {
		// Readers hold the old slice: append makes a new one or writes past its end.
		pages = append(pages, new(sessionPage))
	}
	t.pages.Store(&pages)
}
