package parity

import (
	"slices"
	"strings"
)

// otherAnswer is a system call of the probe's that the Spec's seccomp profile
// and podman's answer differently.
type otherAnswer struct {
	call         string
	ours, theirs string // what each gives; several words are all that it may give
}

// otherAnswers are those that podman's profile (containers/common 0.50)
// and docker's give on a kernel that has the call. An error that is not EPERM
// or ENOSYS is the kernel's, for the arguments.
var otherAnswers = [...]otherAnswer{
	// Refused here, let through there.
	{"clone in a new namespace: user", "EPERM", "ok"},
	{"clone3", "ENOSYS", "EINVAL"},
	{"get_mempolicy", "EPERM", "ok"},
	{"keyctl", "EPERM", "ENOTSUP"},
	{"mbind", "EPERM", "EINVAL"},
	{"mount", "EPERM", "EFAULT"},
	{"mount_setattr", "EPERM", "EINVAL"},
	{"open_tree", "EPERM", "EFAULT"},
	{"pidfd_getfd", "EPERM", "EBADF"},
	{"pivot_root", "EPERM", "EFAULT"},
	{"set_mempolicy", "EPERM", "EINVAL"},
	{"setns", "EPERM", "EBADF"},
	{"socket alg", "EPERM", "ok EAFNOSUPPORT"},
	{"socket vsock", "EPERM", "ok EAFNOSUPPORT"},
	{"umount2", "EPERM", "EINVAL"},
	{"unshare", "EPERM", "ok"},
	// Let through here, refused there.
	{"vmsplice", "EBADF", "EPERM"},
	// In neither profile.
	{"add_key", "EPERM", "ENOSYS"},
	{"io_uring_setup", "EPERM", "ENOSYS"},
	{"request_key", "EPERM", "ENOSYS"},
}

// otherProfile matches the calls that the two profiles answer differently, and
// the answers that they give.
func otherProfile(d Difference, _ *comparison) bool {
	return d.Group == "system calls" && slices.ContainsFunc(otherAnswers[:], func(o otherAnswer) bool {
		return o.call == d.Name && slices.Contains(strings.Fields(o.ours), d.Ours) && slices.Contains(strings.Fields(o.theirs), d.Theirs)
	})
}
