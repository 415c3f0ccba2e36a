package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// options turns the flags and the COMMAND into what convert takes.
func (f *containerFlags) options(command []string) (convert.Options, error) {
	o := convert.Options{
		Command: command, Workdir: f.workdir, User: f.user, Groups: f.groups,
	}
	if err := f.processFlags.options(&o); err != nil {
		return o, err
	}
	if err := errors.Join(f.networkFlags.options(&o), f.resourceFlags.options(&o)); err != nil {
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
	if err := f.mountFlags.options(&o); err != nil {
		return o, err
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
