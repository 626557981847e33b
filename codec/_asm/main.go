// Command asm writes the amd64 kernels of package codec. Run it by
//
//	go generate ./codec
//
// It is a module of its own so that avo is no dependency of the library.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("!purego")
	t := makeTables()
	prefix("SSE41", 16, &sse{tables: t})
	prefix("AVX2", 32, newAVX2(t))
	prefix("AVX512", 64, newAVX512(t))
	Generate()
}
