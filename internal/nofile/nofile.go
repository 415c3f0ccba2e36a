// Package nofile knows the soft limit of open files that the process was
// started with. Package syscall raises it while it is initialised, and gives
// it back only to a program that the process becomes.
package nofile

// started is read before that: of the packages whose imports are initialised
// the one whose path sorts first is next, and this one has no imports.
var started = read()

func read() (limit [2]uint64) {
	const nofile = 7
	if getrlimit(nofile, &limit) != 0 {
		return [2]uint64{}
	}
	return limit
}

// Soft is that limit; 0 where it could not be read.
func Soft() uint64 { return started[0] }
