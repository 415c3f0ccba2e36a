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
			return o, fmt.Errorf("--env-file: %w", err)
		}
		o.Env = append(o.Env, env...)
	}
	if o.UnsetEnv = f.unsetEnv; f.unsetAll {
		o.UnsetEnv = append(o.UnsetEnv, "*")
	}
	if err := f.annotations(&o); err != nil {
		return o, err
	}
	env, err := envFlags(f.env)
	if err != nil {
		return o, err
	}
	o.Env = append(o.Env, env...)
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

// annotations carries --label, --label-file and --annotation over.
func (f *containerFlags) annotations(o *convert.Options) error {
	labels := []string{}
	for _, file := range f.labelFiles {
		lines, err := readLines(file)
		if err != nil {
			return fmt.Errorf("--label-file: %w", err)
		}
		labels = append(labels, lines...)
	}
	for _, set := range []struct {
		flag    string
		entries []string
		to      *map[string]string
	}{{"--label", append(labels, f.labels...), &o.Labels}, {"--annotation", f.annotation, &o.Annotations}} {
		*set.to = map[string]string{}
		for _, e := range set.entries {
			name, value, ok := strings.Cut(e, "=")
			if name == "" || !ok && set.flag == "--annotation" {
				return fmt.Errorf("%s: %q is not NAME=VALUE", set.flag, e)
			}
			(*set.to)[name] = value
		}
	}
	return nil
}

// envFlags reads the values of -e.
func envFlags(flags []string) ([]string, error) {
	var env []string
	for _, e := range flags {
		if e == "" || e[0] == '=' {
			return nil, &hinted{fmt.Errorf("--env: %q has no name", e), "-e NAME=VALUE sets a variable, -e NAME takes it from the caller's environment"}
		}
		if v, ok := envOf(e); ok {
			env = append(env, v)
		}
	}
	return env, nil
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

// readEnvFile reads one variable a line; values are taken as they stand,
// quotes included.
func readEnvFile(file string) ([]string, error) {
	lines, err := readLines(file)
	if err != nil {
		return nil, err
	}
	var env []string
	for _, line := range lines {
		if strings.HasPrefix(line, "=") {
			return nil, fmt.Errorf("%s: no variable name in %q", file, line)
		}
		if v, ok := envOf(line); ok {
			env = append(env, v)
		}
	}
	return env, nil
}

// readLines gives the lines of a file without those that are empty or begin
// with #.
func readLines(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.SplitSeq(string(data), "\n") {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
		if line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
