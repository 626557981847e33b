module github.com/gannet-ws/gannet/mask/_asm

go 1.26

require github.com/mmcloughlin/avo v0.6.0

require (
	golang.org/x/mod v0.29.0 // indirect
	golang.org/x/sync v0.17.0 // indirect
	// v0.16.1, which avo asks for, does not compile with Go 1.25 and later.
	golang.org/x/tools v0.38.0 // indirect
)
