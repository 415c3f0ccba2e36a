package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/internal/nofile"
	"github.com/oci2bwrap/oci2bwrap/layout"
)

// engineImage is the image as containers/image names it, by a link in dir:
// podman makes a name of the path, and takes few characters in one.
func engineImage(img *layout.Image, dir string) (string, error) {
	forms := []string{"oci", "oci-archive", "docker-archive", "dir"}
	if !slices.Contains(forms, img.Form) {
		return "", &hinted{fmt.Errorf("reference: podman and buildah can't read an image of the form %q", img.Form), "--against runc or crun, or give parity what oci2bwrap export writes"}
	}
	ref, err := layout.ParseRef(img.Name)
	if err != nil {
		return "", err
	}
	path, err := filepath.Abs(ref.Path)
	if err != nil {
		return "", err
	}
	link := filepath.Join(dir, "image")
	if link != strings.ToLower(link) {
		return "", &hinted{fmt.Errorf("reference: podman and buildah make a name of %s, which may have no capital letters", link), "set TMPDIR to a directory without"}
	}
	if err := os.Symlink(path, link); err != nil {
		return "", err
	}
	name := img.Form + ":" + link
	if ref.Tag != "" {
		name += ":" + ref.Tag
	}
	return name, nil
}

// ourFlags are those of run and parity that podman has not, or means
// otherwise.
var ourFlags = []string{
	"platform", "cache-dir", "config", "rootfs", "quiet", "read-only", "writable", "stop-timeout", "no-cache", "strict", "allow-gap",
	"max-entries", "max-ratio", "max-size", "max-json", "tty", "init", "network", "hostname", "entrypoint", "against", "record", "format", "ignore", "all", "rm", "interactive", "userns",
}

// engineFlags are the caller's flags, which podman has by the same names, and
// what our defaults are and podman's are not.
func (f *containerFlags) engineFlags(engine string, res *convert.Result) []string {
	var flags []string
	f.flags.Visit(func(flag *pflag.Flag) {
		if slices.Contains(ourFlags, flag.Name) || engine == "buildah" && !slices.Contains(buildahFlags, flag.Name) {
			return
		}
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			flags = append(flags, "--"+flag.Name+"="+v)
		}
	})
	flags = append(flags, "--network="+f.network)
	if engine == "buildah" {
		return flags
	}
	flags = append(flags, "--hostname="+res.Spec.Hostname)
	flags = append(flags, podmanLimits(res.Spec.Process.Rlimits)...)
	if res.Spec.Root.Readonly {
		flags = append(flags, "--read-only")
		for _, m := range res.Spec.Mounts {
			if m.Type == "tmpfs" && slices.Contains([]string{"/tmp", "/run", "/var"}, m.Destination) {
				flags = append(flags, "--tmpfs="+m.Destination+":"+strings.Join(podmanTmpfs(m.Options), ","))
			}
		}
	}
	return flags
}

// buildahFlags are the flags of run that buildah's has too.
var buildahFlags = []string{"env", "volume", "workdir", "user", "cap-add", "cap-drop"}

// podmanTmpfs are a tmpfs's options that podman takes.
func podmanTmpfs(options []string) []string {
	var out []string
	for _, o := range options {
		if o == "tmpcopyup" || o == "nosuid" || o == "nodev" || o == "noexec" || strings.HasPrefix(o, "mode=") || strings.HasPrefix(o, "size=") {
			out = append(out, o)
		}
	}
	return out
}

// podmanLimits gives podman the caller's limits where the Spec has none: its own
// defaults go as high as it thinks the caller could, which takes
// CAP_SYS_RESOURCE. Of processes it can't give more than there are ids for: it
// has lowered its own limit to that number.
func podmanLimits(set []specs.POSIXRlimit) []string {
	var flags []string
	for _, name := range []string{"nofile", "nproc"} {
		limit := "RLIMIT_" + strings.ToUpper(name)
		var l unix.Rlimit
		if slices.ContainsFunc(set, func(l specs.POSIXRlimit) bool { return l.Type == limit }) || unix.Getrlimit(resources[limit], &l) != nil {
			continue
		}
		if soft := nofile.Soft(); name == "nofile" && soft > 0 {
			l.Cur = soft
		}
		if ids := highestID(); name == "nproc" && ids > 0 {
			l.Cur, l.Max = min(l.Cur, ids), min(l.Max, ids)
		}
		flags = append(flags, fmt.Sprintf("--ulimit=%s=%d:%d", name, int64(l.Cur), int64(l.Max)))
	}
	return flags
}

// highestID is how many process ids the kernel gives; 0 where it does not say.
func highestID() uint64 {
	text, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n
}
