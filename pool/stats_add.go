package pool

// Add is what the pools of s and o have out and have done together, as of several processes.
func (s Stats) Add(o Stats) Stats {
	s.Out += o.Out
	s.OutBytes += o.OutBytes
	s.LargeOut += o.LargeOut
	s.LargeBytes += o.LargeBytes
	s.Gets += o.Gets
	s.Grows += o.Grows
	s.Misses += o.Misses
	return s
}
