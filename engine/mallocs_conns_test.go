//go:build !poll_opt && !gannetdebug

package engine

// mallocConns is how many connections are served at once where mallocs are counted.
const mallocConns = 50
