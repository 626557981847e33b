// Package rig is what the measuring programs share: servers that are started for one measurement, ports for them, their
// resident memory, and what a figure must be quoted with. It starts processes and reads /proc; only Linux has all of it.
package rig
