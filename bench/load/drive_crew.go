package load

import (
	"fmt"
	"sync"
)

// member is a generator of a run.
type member struct {
	Generator
	index   int
	figures *Tally // since figures are taken
	lost    error  // guarded by crew.mu
}

// elsewhere says whether it uses other processors than this machine's: a generator on another machine has a method that says so.
func (m *member) elsewhere() bool {
	e, says := m.Generator.(interface{ Elsewhere() bool })
	return says && e.Elsewhere()
}

// crew is all generators of a run. They are called all at once, each by one goroutine at a time.
type crew struct {
	members []*member

	mu     sync.Mutex
	losses []*member // of which no tally tells yet
}

func newCrew(generators []Generator) *crew {
	c := &crew{}
	for i, g := range generators {
		c.members = append(c.members, &member{Generator: g, index: i, figures: NewTally()})
	}
	return c
}

// left are those that are not lost.
func (c *crew) left() []*member {
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []*member
	for _, m := range c.members {
		if m.lost == nil {
			left = append(left, m)
		}
	}
	return left
}

// each calls f for everyone who is not lost, and waits. Who fails is lost: the run goes on with the others.
func (c *crew) each(f func(*member) error) {
	var wg sync.WaitGroup
	for _, m := range c.left() {
		wg.Go(func() {
			if err := f(m); err != nil {
				c.lose(m, err)
			}
		})
	}
	wg.Wait()
}

func (c *crew) lose(m *member, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.lost == nil {
		m.lost = err
		c.losses = append(c.losses, m)
	}
}

// collect is what all of them did since the last time, as f has them tell. Their losses are among the errors, once.
func (c *crew) collect(f func(Generator) (*Tally, error)) *Tally {
	sum := NewTally()
	var mu sync.Mutex
	c.each(func(m *member) error {
		t, err := f(m.Generator)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		sum.Add(t)
		m.figures.Follow(t)
		return nil
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.losses {
		sum.Fail(Lost, fmt.Sprintf("%s: %v", m.Name(), m.lost), 1)
	}
	c.losses = nil
	return sum
}

// forget begins the members' own figures anew.
func (c *crew) forget() {
	for _, m := range c.members {
		m.figures = NewTally()
	}
}

// failure says why nobody is left; nil if somebody is.
func (c *crew) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var why error
	for _, m := range c.members {
		if m.lost == nil {
			return nil
		}
		if why == nil {
			why = fmt.Errorf("%s: %w", m.Name(), m.lost)
		}
	}
	return why
}

// namesOfLost are in the order of the shares.
func (c *crew) namesOfLost() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, m := range c.members {
		if m.lost != nil {
			names = append(names, m.Name())
		}
	}
	return names
}

// close frees all of them.
func (c *crew) close() {
	var wg sync.WaitGroup
	for _, m := range c.members {
		wg.Go(func() { _ = m.Close() }) // what was to be told is told
	}
	wg.Wait()
}
