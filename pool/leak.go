package pool

// Leak is a buffer that is still out, as Leaks lists it.
type Leak struct {
	Bytes int    // its capacity
	Refs  int32  // references not yet released
	Stack string // the call stacks that took it and that retained it last
}
