// Command _asm writes the amd64 kernels of package mask.
//
// It is a module of its own so that the generator (avo) stays out of the root
// go.mod. Run it through `make gen`, never by hand: the header of the output
// quotes the command line, and CI compares the output with what is committed.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("!purego")
	xorInPlace()
	xorCopy()
	Generate()
}
