//go:build amd64 || arm64

package nofile

// getrlimit is the system call; it returns 0 or the negative error number.
func getrlimit(resource uintptr, limit *[2]uint64) int
