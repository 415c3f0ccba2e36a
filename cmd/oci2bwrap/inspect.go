package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/layout"
)

func newInspectCmd(std stdio) *cobra.Command {
	var f imageFlags
	var format string
	cmd := &cobra.Command{
		Use:   "inspect [flags] IMAGE",
		Short: "Show what an image is: form, tags, platforms, config, layers",
		Long: `inspect describes what lies at IMAGE and the image that run would take. It
reads documents, no layers, and needs no bubblewrap. Of a runtime bundle it is
what config.json says.

  --format text   for people
  --format json   for programs; the config is whole, as it is stored

Exit status: 0, or 125 with a message.`,
		Example: `  oci2bwrap inspect ./image-dir
  oci2bwrap inspect --format json ./image-dir | jq .image.config
  oci2bwrap inspect --platform linux/arm64 ./image-dir`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := f.parse(cmd, args)
			if err != nil {
				return err
			}
			if len(a.command) > 0 {
				return fmt.Errorf("inspect takes one IMAGE, not %q as well", a.command[0])
			}
			return runInspect(&f, std, a, format)
		},
	}
	f.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&format, "format", "text", "`text` or json")
	return cmd
}

func runInspect(f *imageFlags, std stdio, a imageArgs, format string) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("--format: %q is not supported (has: text, json)", format)
	}
	ref, o, err := f.reference(a, std.in)
	if err != nil {
		return err
	}
	tell, done := newProgress(std, f.quiet)
	o.Progress = tell
	found, err := layout.Inspect(ref, o)
	done()
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(std.out, found)
	}
	return inspectText(std.out, found)
}

// inspectText writes the description for a person.
func inspectText(out io.Writer, found *layout.Inspection) error {
	var b strings.Builder
	row := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-11s %s\n", printable(label), printable(text)) // a bundle's field is a label, too
		}
	}
	row("name", found.Name)
	row("form", found.Form)
	row("tags", strings.Join(found.Tags, " "))
	row("platforms", strings.Join(found.Platforms, " "))
	for _, other := range found.Found {
		row("found", strings.Join(slices.DeleteFunc([]string{other.Digest, other.Platform, strings.Join(other.Tags, " "), other.Not}, func(s string) bool { return s == "" }), "  "))
	}
	row("problem", found.Problem)
	if d := found.Image; d != nil {
		b.WriteByte('\n')
		row("digest", d.Digest)
		row("tag", d.Tag)
		row("platform", d.Platform)
		if d.Bundle != nil {
			inspectBundle(row, d.Bundle)
		} else {
			inspectConfig(row, d.Config)
		}
		for _, dir := range d.Dirs {
			row("directory", dir)
		}
		for i, l := range d.Layers {
			row(fmt.Sprintf("layer %d", i+1), fmt.Sprintf("%s  %s  %s", size(l.Size), l.DiffID, l.MediaType))
		}
		if len(d.Layers) > 1 {
			row("all layers", size(d.Size))
		}
		for _, h := range d.History {
			where := "-"
			if h.Layer > 0 {
				where = fmt.Sprint(h.Layer)
			}
			row("history", fmt.Sprintf("%3s  %s", where, strings.TrimSpace(h.CreatedBy+" "+h.Comment)))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// inspectConfig writes what of the config a run depends on. Docker's
// Healthcheck is no part of the image-spec.
func inspectConfig(row func(label, text string), raw json.RawMessage) {
	var config ispec.Image
	if json.Unmarshal(raw, &config) != nil {
		return // layout has read it; what it could not, Problem says
	}
	c := config.Config
	if config.Created != nil {
		row("created", config.Created.String())
	}
	row("author", config.Author)
	row("entrypoint", words(c.Entrypoint))
	row("cmd", words(c.Cmd))
	row("workdir", c.WorkingDir)
	row("user", c.User)
	for _, e := range c.Env {
		row("env", e)
	}
	for _, v := range slices.Sorted(maps.Keys(c.Volumes)) {
		row("volume", v)
	}
	row("ports", strings.Join(slices.Sorted(maps.Keys(c.ExposedPorts)), " "))
	row("stopsignal", c.StopSignal)
	row("healthcheck", healthText(raw))
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		row("label", name+"="+c.Labels[name])
	}
}

// healthText is the healthcheck as it would be run.
func healthText(raw json.RawMessage) string {
	h, err := convert.ParseHealthcheck(raw)
	if err != nil {
		return err.Error()
	}
	if h == nil {
		return ""
	}
	d := h.WithDefaults()
	return fmt.Sprintf("%s  (interval %s, timeout %s, start period %s, retries %d)", words(d.Args), d.Interval, d.Timeout, d.StartPeriod, d.Retries)
}

func words(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = bwrap.Quote(a)
	}
	return strings.Join(quoted, " ")
}

// size writes a number of bytes for people.
func size(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.bytes), unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
