package pool

// MappedStats is the address space that large buffers of the whole process take,
// in bytes. Neither runtime.MemStats nor GOMEMLIMIT knows of it. Only what was
// written to takes memory.
type MappedStats struct {
	Out       int64 // in buffers
	Kept      int64 // released, waiting a moment for reuse: at most 32 MiB
	Returning int64 // released, being given back to the system
}
