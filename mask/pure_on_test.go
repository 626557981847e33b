//go:build purego

package mask

const pure = true
