// Package connect is gannet connect: a client at a terminal, or in a pipe.
//
// At a terminal lines are edited, and what arrives is shown above the line that is being typed. In a pipe a line of stdin is a
// message, and a message is a line of stdout; all else goes to stderr.
package connect
