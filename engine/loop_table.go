package engine

import (
	"sync"
	"sync/atomic"
)

const pageSlots = 1024

// table finds a connection by its descriptor: pages of pointers, because descriptors
// are small and dense. The loops write their own slots; anybody may read.
type table struct {
	pages atomic.Pointer[[]*page]
	grow  sync.Mutex
}

type page [pageSlots]atomic.Pointer[Conn]

func newTable() *table {
	t := new(table)
	t.pages.Store(new([]*page))
	return t
}

func (t *table) get(fd int) *Conn {
	pages := *t.pages.Load()
	if uint(fd)/pageSlots >= uint(len(pages)) {
		return nil
	}
	return pages[fd/pageSlots][fd%pageSlots].Load()
}

func (t *table) set(fd int, c *Conn) {
	for fd/pageSlots >= len(*t.pages.Load()) {
		t.addPage()
	}
	(*t.pages.Load())[fd/pageSlots][fd%pageSlots].Store(c)
}

func (t *table) addPage() {
	t.grow.Lock()
	defer t.grow.Unlock()
	old := *t.pages.Load()
	pages := append(old[:len(old):len(old)], new(page))
	t.pages.Store(&pages)
}

// slots is how many descriptors there is room for.
func (t *table) slots() int { return len(*t.pages.Load()) * pageSlots }

// each calls f with every connection until it answers false.
func (t *table) each(f func(*Conn) bool) bool {
	for _, p := range *t.pages.Load() {
		for i := range p {
			if c := p[i].Load(); c != nil && !f(c) {
				return false
			}
		}
	}
	return true
}
