package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// options turns the flags and the COMMAND into what convert takes.
func (f *containerFlags) options(command []string) (convert.Options, error) {
	o := convert.Options{
		Command: command, Workdir: f.workdir, User: f.user,
		Writable: f.wantsWritable(),
	}
	if err := f.processFlags.options(&o); err != nil {
		return o, err
	}
	if err := f.networkFlags.options(&o); err != nil {
		return o, err
	}
	if f.flags.Changed("entrypoint") {
		o.Entrypoint = parseEntrypoint(f.entrypoint)
	}
	for _, file := range f.envFiles {
		env, err := readEnvFile(file)
		if err != nil {
			return o, err
		}
		o.Env = append(o.Env, env...)
	}
	for _, e := range f.env {
		if v, ok := envOf(e); ok {
			o.Env = append(o.Env, v)
		}
	}
	for _, v := range f.volumes {
		volume, err := parseVolume(v)
		if err != nil {
			return o, err
		}
		o.Volumes = append(o.Volumes, volume)
	}
	for _, t := range f.tmpfs {
		dst, opts, _ := strings.Cut(t, ":")
		if !filepath.IsAbs(dst) {
			return o, fmt.Errorf("--tmpfs: destination %q is not absolute", dst)
		}
		tmpfs := convert.Tmpfs{Destination: dst}
		if opts != "" {
			tmpfs.Options = strings.Split(opts, ",")
		}
		o.Tmpfs = append(o.Tmpfs, tmpfs)
	}
	return o, f.securityFlags.options(&o)
}

// parseEntrypoint reads a JSON array, or else one word. The empty string
// clears the image's entrypoint.
func parseEntrypoint(s string) []string {
	words := []string{}
	if json.Unmarshal([]byte(s), &words) == nil {
		return words
	}
	if s == "" {
		return []string{}
	}
	return []string{s}
}

// envOf reads NAME=VALUE, or takes NAME from the caller; one that the caller
// does not have is left out, as podman does.
func envOf(s string) (string, bool) {
	if strings.ContainsRune(s, '=') {
		return s, true
	}
	v, ok := os.LookupEnv(s)
	return s + "=" + v, ok
}

// readEnvFile reads one variable a line. Empty lines and those that begin
// with # are passed over; values are taken as they stand, quotes included.
func readEnvFile(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--env-file: %w", err)
	}
	var env []string
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.HasPrefix(line, "=") {
			return nil, fmt.Errorf("--env-file: %s:%d: no variable name", file, i+1)
		}
		if v, ok := envOf(line); ok {
			env = append(env, v)
		}
	}
	return env, nil
}

// parseVolume reads SRC:DST[:OPTIONS] or DST.
func parseVolume(s string) (convert.Volume, error) {
	parts := strings.Split(s, ":")
	if len(parts) < 4 && !filepath.IsAbs(parts[min(1, len(parts)-1)]) {
		return convert.Volume{}, fmt.Errorf("-v: %q: destination %q is not absolute", s, parts[min(1, len(parts)-1)])
	}
	if len(parts) == 1 {
		return convert.Volume{Destination: s}, nil
	}
	if len(parts) > 3 {
		return convert.Volume{}, fmt.Errorf("-v: %q is not SRC:DST[:ro]", s)
	}
	v := convert.Volume{Source: parts[0], Destination: parts[1]}
	if v.Source == "" {
		return v, fmt.Errorf("-v: %q has no source", s)
	}
	if !strings.ContainsAny(v.Source[:1], "./") {
		return v, &hinted{fmt.Errorf("-v: %q names a volume, and there is no store of volumes", v.Source), "write ./" + v.Source + " for a directory"}
	}
	if len(parts) == 3 {
		for _, o := range strings.Split(parts[2], ",") {
			switch o {
			case "ro":
				v.ReadOnly = true
			case "rw":
				v.ReadOnly = false
			default:
				return v, fmt.Errorf("-v: %q: option %q is not supported (has: ro, rw)", s, o)
			}
		}
	}
	abs, err := filepath.Abs(v.Source)
	if err != nil {
		return v, fmt.Errorf("-v: %w", err)
	}
	// The source of a bind is resolved now, by the caller's own view, so that
	// what is planned is what is mounted.
	if v.Source, err = filepath.EvalSymlinks(abs); err != nil {
		return v, fmt.Errorf("-v: %w", err)
	}
	return v, nil
}
