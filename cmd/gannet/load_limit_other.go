//go:build !unix

package main

// descriptorLimit is 0: there is none here.
func descriptorLimit() int { return 0 }
