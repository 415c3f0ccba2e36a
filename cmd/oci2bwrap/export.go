package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

// exportFlags say which image is written, and how.
type exportFlags struct {
	imageFlags
	storeFlags
	compress string
}

func newExportCmd(std stdio) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export [flags] IMAGE DIR[:TAG]",
		Short: "Write an image as an OCI image layout",
		Long: `export writes IMAGE, of whatever form, into the OCI image layout DIR, for any
container tool to take. A layout that is there gains the image; a TAG moves to
it.

Layers are written as they are stored. Those of nix2container's image JSON are
made from the store paths, with exactly the digests that the JSON names.
Directories become layers that are the same whoever writes them: names sorted,
times the image's creation or else 1970, the caller's files root's. What they
refer to in the Nix store goes into a layer of its own.

Exit status: 0, or 125 with a message; then nothing has been added to DIR but
blobs without a name.`,
		Example: `  oci2bwrap export ./result ./image:v1
  oci2bwrap export --compress zstd nix:image.json ./image
  oci2bwrap export --config config.json rootfs:./tree ./image && skopeo copy oci:image docker://…`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &hinted{fmt.Errorf("export takes IMAGE and DIR[:TAG], not %d arguments", len(args)), "oci2bwrap export --help shows examples"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExport(cmd.Context(), &f, std, args[0], args[1])
		},
	}
	f.imageFlags.AddFlags(cmd.Flags())
	f.storeFlags.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&f.compress, "compress", "none", "compression of layers that have none yet: `none`, gzip or zstd")
	return cmd
}

func runExport(ctx context.Context, f *exportFlags, std stdio, name, to string) (err error) {
	if err := f.storeFlags.check(); err != nil {
		return err
	}
	switch f.compress {
	case "none", "gzip", "zstd":
	default:
		return fmt.Errorf("--compress: %q is not supported (has: none, gzip, zstd)", f.compress)
	}
	dir, tag, err := parseTarget(to)
	if err != nil {
		return err
	}
	tell, done := newProgress(std, f.quiet)
	img, err := openImage(&f.imageFlags, imageArgs{ref: name}, std.in, tell)
	defer done()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	limits, err := f.limits()
	if err != nil {
		return err
	}
	o := layout.ExportOptions{Tag: tag, Limits: limits, Progress: tell}
	if f.compress != "none" {
		o.Compress = f.compress
	}
	if o.StorePaths, err = f.references(ctx, img); err != nil {
		return err
	}
	manifest, err := layout.Export(ctx, img, dir, o)
	if err != nil {
		return fmt.Errorf("image %q: %w", name, err)
	}
	done() // before what may be the same terminal
	_, err = fmt.Fprintln(std.out, manifest.Digest)
	return err
}

// references are the store paths that an image of directories needs beside
// them.
func (f *exportFlags) references(ctx context.Context, img *layout.Image) ([]string, error) {
	switch {
	case f.nixStore == "whole":
		return nil, &hinted{errors.New("--nix-store whole: an image does not hold a whole store"), "--nix-store closure"}
	case img.Dirs == nil || f.nixStore == "none":
		return nil, nil
	case img.StorePaths != nil:
		return img.StorePaths, nil
	}
	roots, err := layout.StoreReferences(ctx, img.Dirs, img.Config.Config)
	if err != nil || len(roots) == 0 {
		return nil, err
	}
	found, why, err := closureOf(ctx, roots, "")
	if why != "" && err != nil {
		return nil, err
	}
	if err != nil {
		return nil, &hinted{fmt.Errorf("the image refers to %q and more of the store: %w", roots[0], err), "--nix-store none leaves it out"}
	}
	var paths []string
	for _, p := range found {
		paths = append(paths, p.Source)
	}
	return paths, nil
}

// parseTarget reads DIR[:TAG], with skopeo's oci: before it or without.
func parseTarget(s string) (dir, tag string, err error) {
	s = strings.TrimPrefix(s, "oci:")
	dir = s
	if i := strings.LastIndexByte(s, ':'); i > 0 && !strings.Contains(s[i:], "/") {
		dir, tag = s[:i], s[i+1:]
		if tag == "" {
			return "", "", fmt.Errorf("%q: empty tag", s)
		}
	}
	if dir == "" {
		return "", "", errors.New("no directory to write to")
	}
	return dir, tag, nil
}
