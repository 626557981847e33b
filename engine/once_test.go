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
