// Package nixstore asks an installed Nix what a store path needs. It changes
// nothing, builds nothing and fetches nothing.
package nixstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Program is what is run.
const Program = "nix-store"

// ErrNotInstalled says that there is no Nix to ask.
var ErrNotInstalled = errors.New(Program + " is not installed")

// Requisites gives the closure of store paths: themselves and all that they
// refer to, directly or not, sorted. env is the environment of the program,
// which finds the store and its daemon by it.
func Requisites(ctx context.Context, paths, env []string) ([]string, error) {
	program, err := exec.LookPath(Program)
	if err != nil {
		return nil, ErrNotInstalled
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"--query", "--requisites", "--"}, paths...)...)
	cmd.Env = env
	cmd.WaitDelay = time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if line := lastLine(said.String()); line != "" {
			err = errors.New(line)
		}
		return nil, fmt.Errorf("%s: %w", Program, err)
	}
	closure := strings.Fields(out.String())
	slices.Sort(closure)
	return slices.Compact(closure), nil
}

// lastLine is the program's error, which its warnings come before.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
