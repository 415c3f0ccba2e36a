package runner

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// newKeyring gives the thread a session keyring of its own, as runc does: the
// caller's may hold its Kerberos tickets or the keys of its file systems, and
// whoever is in the session may use them. A kernel without keys has none to
// give away, and where a filter forbids the call, it does so for the command
// as well.
func newKeyring() error {
	_, _, e := unix.RawSyscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
	if e == 0 || errors.Is(e, unix.ENOSYS) || errors.Is(e, unix.EPERM) {
		return nil
	}
	if errors.Is(e, unix.EDQUOT) {
		return fmt.Errorf("session keyring: %w (kernel.keys.maxkeys)", e)
	}
	return fmt.Errorf("session keyring: %w", e)
}
