package runner

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// remedy recognises the failures of bubblewrap that have a known way out.
func remedy(text string) string {
	for _, known := range []struct{ text, remedy string }{
		{"No permissions to create", remedyUserNamespace},
		{"Creating new namespace failed", remedyUserNamespace},
		{"setting up uid map", remedyUserNamespace},
		{"/dev/net/tun", remedyTun}, {"tun socket", remedyTun}, {"tun device", remedyTun},
		{"Failed to bind", remedyPorts},
		{noUpper, "name a directory on another file system, on ext4, xfs or btrfs"},
		{tooDeep, "put the image, or the cache with --cache-dir, on a file system that is no overlay, or " + remedyFuse},
		{hasMounts, "name a root without mounts in it, or " + remedyFuse},
		{procRefused, remedyProc},
		{"pivot_root: Operation not permitted", remedySeccomp},
		// The init has to run where no shared library is.
		{"execvp /proc/self/fd/", linkedDynamically},
	} {
		if strings.Contains(text, known.text) {
			return known.remedy
		}
	}
	return ""
}

const linkedDynamically = "this oci2bwrap is linked dynamically: build it with CGO_ENABLED=0"

// procRefused is in what bubblewrap says where the kernel keeps procfs from a
// user namespace because parts of the one around it are hidden.
const procRefused = "Can't mount proc"

const remedyProc = "parts of /proc are masked here, as in a container: start that with --security-opt unmask=ALL (podman) " +
	"or --security-opt systempaths=unconfined (docker)"

const remedySeccomp = "a filter of system calls is in the way: start the container around this with --security-opt seccomp=unconfined"

const remedySetfcap = "this is root without CAP_SETFCAP, as in a container: start that with --cap-add SETFCAP, or oci2bwrap as another user"

const remedyRoot = "this is root without CAP_SYS_ADMIN, as in a container: start that with --cap-add SYS_ADMIN, or oci2bwrap as another user"

const remedyUserNamespace = "allow unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, " +
	"kernel.apparmor_restrict_unprivileged_userns), or run as root"

const remedyPorts = "choose other ports of the host's: these are taken, or below net.ipv4.ip_unprivileged_port_start"

const remedyFuse = "install fuse-overlayfs, and let everybody open /dev/fuse: chmod 0666 /dev/fuse"

const remedyTun = "load the module tun, and let everybody open /dev/net/tun: chmod 0666 /dev/net/tun"

var errNoBwrap = &Error{
	Msg:    "bubblewrap is not installed: no bwrap in PATH",
	Remedy: "install it, for example with: apt-get install bubblewrap",
}

// Find finds bubblewrap in the given PATH.
func Find(path string) (string, error) {
	if file := lookup("bwrap", path); file != "" {
		return file, nil
	}
	return "", errNoBwrap
}

// lookup finds a program, and gives "" where it is not. Relative entries of
// PATH are passed over.
func lookup(name, path string) string {
	for _, dir := range strings.Split(path, ":") {
		file := dir + "/" + name
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return file
		}
	}
	return ""
}
