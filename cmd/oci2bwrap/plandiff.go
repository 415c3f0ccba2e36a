package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// planChange is what plan --diff says of one thing: its value in either plan,
// nil where it has none.
type planChange struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	A       *string `json:"a"`
	B       *string `json:"b"`
}

// errDiffArgs says what --diff takes.
var errDiffArgs = &hinted{errors.New("--diff takes two images, or files that plan --format json wrote"), "oci2bwrap plan --diff ./old ./new"}

// runPlanDiff compares the plans of two images under the same flags, or two
// that were written before.
func runPlanDiff(ctx context.Context, f *containerFlags, p *planFlags, std stdio, args []string) error {
	if len(args) != 2 {
		return errDiffArgs
	}
	if p.format != "text" && p.format != "json" {
		return fmt.Errorf("--format: %q is not supported with --diff (has: text, json)", p.format)
	}
	var plans [2]planValues
	for i, arg := range args {
		doc, err := planOf(ctx, f, std, arg)
		if err != nil {
			return err
		}
		if plans[i], err = valuesOf(doc); err != nil {
			return fmt.Errorf("plan %q: %w", arg, err)
		}
	}
	changes := changesOf(plans[0], plans[1])
	var err error
	if p.format == "json" {
		err = writeJSON(std.out, map[string]any{"version": 1, "a": args[0], "b": args[1], "changes": changes})
	} else {
		err = writeChanges(std.out, changes)
	}
	if err == nil && p.exitCode && len(changes) > 0 {
		return exitStatus(1)
	}
	return err
}

// planOf reads the JSON of a plan from a file, or makes it of an image.
func planOf(ctx context.Context, f *containerFlags, std stdio, arg string) ([]byte, error) {
	if doc, err := readPlan(arg); doc != nil || err != nil {
		return doc, err
	}
	s, err := newSession(f, std, imageArgs{})
	if err != nil {
		return nil, err
	}
	defer s.close()
	if !f.quiet {
		printNotes(std.err, f.notEntered(imageArgs{ref: arg}, "compare what plan --format json writes of it"))
	}
	for _, step := range []func() error{
		func() error { return s.unpack(ctx, imageArgs{ref: arg}) },
		func() error { return s.convert(nil) },
		func() error { return s.plan(ctx) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return json.Marshal(s.planDoc())
}

// maxPlan is more than a plan's JSON has.
const maxPlan = 64 << 20

// readPlan gives a file's content if it is a plan, and nil if it is anything
// else.
func readPlan(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPlan {
		return nil, nil // an image's name, for those who know these to judge
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Version         int
		Process, Mounts json.RawMessage
	}
	if json.Unmarshal(data, &doc) != nil || doc.Version == 0 || doc.Process == nil || doc.Mounts == nil {
		return nil, nil
	}
	return data, nil
}

// planValues are a plan's parts as text, by section and name.
type planValues map[string]map[string]string

func (v planValues) set(section, name string, value any) {
	if v[section] == nil {
		v[section] = map[string]string{}
	}
	text, ok := value.(string)
	if !ok {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(value) // it came from JSON
		text = strings.TrimSpace(b.String())
	}
	for n, free := 2, name; ; n++ {
		if _, taken := v[section][free]; !taken {
			v[section][free] = text
			return
		}
		free = name + " #" + strconv.Itoa(n)
	}
}

// unpackedRoot is where the cache keeps an image's files, which is no
// difference between two images.
var unpackedRoot = regexp.MustCompile(`"[^"]*/roots/[a-z0-9]+-[^"/]*/rootfs`)

func valuesOf(doc []byte) (planValues, error) {
	var p struct {
		Process    map[string]any
		Namespaces map[string]any
		Mounts     []map[string]any
		Gaps       []struct{ Field, Effect, Reason string }
		Image      struct{ Digest string }
	}
	if err := json.Unmarshal(unpackedRoot.ReplaceAll(doc, []byte(`"<image>`)), &p); err != nil {
		return nil, err
	}
	v := planValues{}
	v.set("image", "digest", p.Image.Digest)
	for name, value := range p.Process {
		switch part := value.(type) {
		case []any:
			if name == "env" {
				for _, e := range part {
					key, text, _ := strings.Cut(fmt.Sprint(e), "=")
					v.set("environment", key, text)
				}
				continue
			}
		case map[string]any:
			for key, text := range part {
				v.set("process", name+" "+key, text)
			}
			continue
		}
		v.set("process", name, value)
	}
	for name, value := range p.Namespaces {
		v.set("namespaces", name, value)
	}
	for _, m := range p.Mounts {
		dst := fmt.Sprint(m["dst"])
		delete(m, "dst")
		v.set("mounts", dst, m)
	}
	for _, g := range p.Gaps {
		v.set("gaps", g.Field, g.Effect+": "+g.Reason)
	}
	return v, nil
}

// planSections is the order in which changes are shown.
var planSections = []string{"image", "process", "environment", "namespaces", "mounts", "gaps"}

func changesOf(a, b planValues) []planChange {
	changes := []planChange{}
	for _, section := range planSections {
		names := maps.Clone(a[section])
		if names == nil {
			names = map[string]string{}
		}
		maps.Copy(names, b[section])
		for _, name := range slices.Sorted(maps.Keys(names)) {
			x, inA := a[section][name]
			y, inB := b[section][name]
			change := planChange{Section: section, Name: name}
			if inA {
				change.A = &x
			}
			if inB {
				change.B = &y
			}
			if x != y || inA != inB {
				changes = append(changes, change)
			}
		}
	}
	return changes
}

// writeChanges writes them as a diff is read: what goes, and what comes.
func writeChanges(w io.Writer, changes []planChange) error {
	section := ""
	for _, c := range changes {
		if c.Section != section {
			if _, err := fmt.Fprintf(w, "%s%s\n", map[bool]string{true: "\n"}[section != ""], c.Section); err != nil {
				return err
			}
			section = c.Section
		}
		for i, text := range []*string{c.A, c.B} {
			if text == nil {
				continue
			}
			if _, err := fmt.Fprintf(w, "%c %-24s %s\n", "-+"[i], printable(c.Name), printable(*text)); err != nil {
				return err
			}
		}
	}
	return nil
}
