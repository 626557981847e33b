package engine

import "testing"

// once leaves a test to make test, the pass without tags. The passes that run with -short build the same code for another
// kernel, poller, processor or debugger; what such a test measures, and takes seconds for, is none of that.
func once(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs once, in make test")
	}
}

// onceAndRaced leaves a test to make test and to the race detector. The other passes build with other kernels, pollers and processors of ours: of what such a test
// is about, TLS above the seam, none of them changes anything, but crypto/tls without its assembly takes minutes for it. The carrier's own tests run in all of them.
func onceAndRaced(t *testing.T) {
	t.Helper()
	if testing.Short() && !raceEnabled {
		t.Skip("runs in make test and make race")
	}
}
