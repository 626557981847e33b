package pool

// Leak is a buffer that is still out, as Leaks lists it.
type Leak struct {
	Bytes int    // its capacity
	Refs  int32  // references not yet released
	Stack string // the call stacks that took it and that retained it last
}

// Leaks lists the buffers taken from p that are still out, in the order they
// were taken. Only a build with the tag gannetdebug knows them; any other
// returns nil. In that build it also looks through released memory that has not
// been handed out again, whatever Pool it was of, and panics if somebody wrote to it.
func (p *Pool) Leaks() []Leak { return p.watch.leaks() }
