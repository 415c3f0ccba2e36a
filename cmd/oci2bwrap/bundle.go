package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/layout"
)

// bundleResult takes the Spec of a runtime bundle as it is. Only a COMMAND
// replaces anything in it.
func bundleResult(img *layout.Image, f *containerFlags, command []string) (*convert.Result, error) {
	if err := f.noneOfTheConfig(); err != nil {
		return nil, err
	}
	s := new(specs.Spec)
	if err := json.Unmarshal(img.Bundle, s); err != nil {
		return nil, fmt.Errorf("image %q: config.json: %w", img.Name, err)
	}
	if s.Process == nil || s.Root == nil || s.Linux == nil {
		return nil, fmt.Errorf("image %q: config.json: process, root and linux are needed", img.Name)
	}
	if !slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "proc" && filepath.Clean(m.Destination) == "/proc" }) {
		return nil, fmt.Errorf("image %q: config.json: mounts: no procfs at /proc, without which a sandbox can't be started", img.Name)
	}
	if f.tty && !s.Process.Terminal {
		return nil, &hinted{errors.New("-t: a bundle's config.json says whether there is a terminal"), "set process.terminal in it"}
	}
	res := &convert.Result{Spec: s, Origin: map[string]string{"process.args": "process.args", "process.cwd": "process.cwd", "process.user": "process.user"}}
	if command != nil {
		s.Process.Args = command
		res.Origin["process.args"] = "command line"
	}
	dir, err := bundleDir(img)
	if err != nil {
		return nil, err
	}
	absoluteSources(s.Mounts, dir)
	return res, nil
}

// absoluteSources follows the runtime-spec: the source of a bind may be relative
// to the bundle. What is found by its source later has but one name then.
func absoluteSources(mounts []specs.Mount, dir string) {
	for i, m := range mounts {
		bind := m.Type == "bind" || m.Type == "none" || m.Type == ""
		switch {
		case !bind || m.Source == "":
		case filepath.IsAbs(m.Source):
			mounts[i].Source = filepath.Clean(m.Source)
		default:
			mounts[i].Source = filepath.Join(dir, m.Source)
		}
	}
}

// bundleDir is the bundle's directory, absolute.
func bundleDir(img *layout.Image) (string, error) {
	return filepath.Abs(img.Name[len(bundlePrefix(img.Name)):])
}

func bundlePrefix(name string) string {
	const prefix = "bundle:"
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return prefix
	}
	return ""
}

// configFlags are the flags that speak of what a bundle's config.json says.
var configFlags = [...]string{
	"env", "env-file", "unsetenv", "unsetenv-all", "label", "label-file", "annotation", "workdir", "user", "group-add", "passwd", "entrypoint",
	"volume", "mount", "device", "volumes", "image-volume", "tmpfs", "shm-size", "read-only", "read-only-tmpfs", "writable",
	"network", "hostname", "no-hostname", "add-host", "no-hosts", "dns", "dns-search", "dns-option", "publish", "sysctl",
	"memory", "memory-swap", "memory-reservation", "cpus", "cpu-shares", "cpu-period", "cpu-quota", "cpuset-cpus", "cpuset-mems", "pids-limit", "blkio-weight",
	"stop-signal", "ulimit", "umask", "oom-score-adj", "cap-add", "cap-drop", "security-opt",
}

// noneOfTheConfig refuses the flags that speak of an image config: a bundle
// has none.
func (f *containerFlags) noneOfTheConfig() error {
	var named string
	f.flags.Visit(func(flag *pflag.Flag) {
		if slices.Contains(configFlags[:], flag.Name) {
			named = flag.Name
		}
	})
	if named != "" {
		return &hinted{fmt.Errorf("--%s: a bundle's config.json says what is in it", named), "change config.json, or run the image that the bundle was made of"}
	}
	return nil
}
