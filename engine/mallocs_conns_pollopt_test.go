//go:build poll_opt && !gannetdebug

package engine

// mallocConns is below what gnet's own poller has room for in its list of events at first (32): it allocates that anew whenever it grows or shrinks.
const mallocConns = 25
