package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// mountFlags say what is mounted beside the image, and what becomes of writes.
type mountFlags struct {
	volumes      []string
	mounts       []string
	tmpfs        []string
	devices      []string
	imageVolumes string
	sysctls      []string
	readOnly     bool
	scratch      bool
	shmSize      string
	writable     bool
	upperDir     string

	mountSet *pflag.FlagSet
}

func (f *mountFlags) AddFlags(fs *pflag.FlagSet) {
	f.mountSet = fs
	fs.StringArrayVarP(&f.volumes, "volume", "v", nil, "show a host path: `SRC:DST[:OPTION,...]` (ro, noexec, exec, dev, rslave, ...); DST alone is an empty volume")
	fs.StringArrayVar(&f.mounts, "mount", nil, "a mount in podman's words: `type=bind|tmpfs,src=SRC,dst=DST,...`")
	fs.StringArrayVar(&f.tmpfs, "tmpfs", nil, "a directory in memory, with what the image has there, or empty with notmpcopyup: `DST[:size=N,mode=M,...]`")
	fs.StringArrayVar(&f.devices, "device", nil, "a device of the host, or a directory of them: `SRC[:DST][:rwm]`")
	fs.StringVar(&f.imageVolumes, "volumes", "seed", "the image's volumes: `seed` with what the image has there, empty, or ignore")
	fs.Var(&imageVolume{to: &f.imageVolumes}, "image-volume", "")
	fs.Lookup("image-volume").Hidden = true // podman's words for --volumes
	fs.StringVar(&f.shmSize, "shm-size", "", "size of /dev/shm: `BYTES[bkmg]` (default: 64m; 0 is no limit)")
	fs.BoolVar(&f.scratch, "read-only-tmpfs", true, "/tmp, /run and /var of a read-only root can be written to")
	fs.StringArrayVar(&f.sysctls, "sysctl", nil, "set `NAME=VALUE` in the sandbox's own namespaces")
	fs.BoolVar(&f.readOnly, "read-only", true, "the root can't be written to")
	fs.BoolVar(&f.writable, "writable", false, "the root can be written to; the writes vanish at exit")
	fs.StringVar(&f.upperDir, "upper", "", "keep what is written to the root in `directory`, and take it up again; implies --writable")
}

// check refuses what flags alone show to be wrong.
func (f *mountFlags) check() error {
	if f.mountSet.Changed("read-only") && f.mountSet.Changed("writable") && f.readOnly == f.writable {
		return errors.New("--read-only and --writable contradict each other")
	}
	if f.upperDir != "" && (f.mountSet.Changed("read-only") && f.readOnly || f.mountSet.Changed("writable") && !f.writable) {
		return errors.New("--upper: there is nothing to keep of a root that can't be written to")
	}
	switch convert.ImageVolumes(f.imageVolumes) {
	case convert.SeedVolumes, convert.EmptyVolumes, convert.IgnoreVolumes:
		return nil
	}
	return fmt.Errorf("--volumes: %q is not supported (has: seed, empty, ignore)", f.imageVolumes)
}

// wantsWritable is --writable, its other spelling --read-only=false, or --upper.
func (f *mountFlags) wantsWritable() bool { return f.writable || !f.readOnly || f.upperDir != "" }

// options fills in what convert takes.
func (f *mountFlags) options(o *convert.Options) error {
	o.Writable, o.ImageVolumes = f.wantsWritable(), convert.ImageVolumes(f.imageVolumes)
	o.NoScratch = !f.scratch
	switch f.shmSize {
	case "":
	case "0":
		o.ShmSize = -1
	default:
		var err error
		if o.ShmSize, err = parseSize("--shm-size", f.shmSize); err != nil {
			return err
		}
	}
	for _, v := range f.volumes {
		volume, err := parseVolume(v)
		if err != nil {
			return fmt.Errorf("-v: %q: %w", v, err)
		}
		o.Volumes = append(o.Volumes, volume)
	}
	for _, m := range f.mounts {
		if err := parseMount(m, o); err != nil {
			return fmt.Errorf("--mount: %q: %w", m, err)
		}
	}
	for _, t := range f.tmpfs {
		dst, opts, _ := strings.Cut(t, ":")
		if !filepath.IsAbs(dst) {
			return fmt.Errorf("--tmpfs: destination %q is not absolute", dst)
		}
		tmpfs := convert.Tmpfs{Destination: dst}
		if opts != "" {
			tmpfs.Options = strings.Split(opts, ",")
		}
		o.Tmpfs = append(o.Tmpfs, tmpfs)
	}
	for _, d := range f.devices {
		devices, err := parseDevice(d)
		if err != nil {
			return fmt.Errorf("--device: %q: %w", d, err)
		}
		o.Devices = append(o.Devices, devices...)
	}
	for _, s := range f.sysctls {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return fmt.Errorf("--sysctl: %q is not NAME=VALUE", s)
		}
		o.Sysctl = append(o.Sysctl, convert.Sysctl{Name: name, Value: value})
	}
	return nil
}

// imageVolume is --image-volume: podman's words for --volumes. Its volumes
// start with what the image has there, those in memory empty.
type imageVolume struct {
	to   *string
	word string
}

func (v *imageVolume) String() string { return v.word }
func (v *imageVolume) Type() string   { return "string" }

func (v *imageVolume) Set(s string) error {
	word := map[string]convert.ImageVolumes{
		"anonymous": convert.SeedVolumes, "bind": convert.SeedVolumes, "tmpfs": convert.EmptyVolumes, "ignore": convert.IgnoreVolumes,
	}[s]
	if word == "" {
		return errors.New("not supported (has: anonymous, bind, tmpfs, ignore)")
	}
	*v.to, v.word = string(word), s
	return nil
}
