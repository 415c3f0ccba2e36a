package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// imageFlags say which image, and where its files are kept.
type imageFlags struct {
	platform string
	cacheDir string
	config   string
	rootfs   []string
	quiet    bool
	limitFlags
}

func (f *imageFlags) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.platform, "platform", "", "`os/arch[/variant]` of the image (default: this machine's)")
	fs.StringVar(&f.cacheDir, "cache-dir", "", "`directory` for unpacked images (default: $XDG_CACHE_HOME/oci2bwrap)")
	fs.StringVar(&f.config, "config", "", "`file` with the image config of a rootfs: image")
	fs.StringArrayVar(&f.rootfs, "rootfs", nil, "root `directory`, repeatable, lowest first; with it alone there is no IMAGE")
	f.limitFlags.AddFlags(fs)
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "print no notes, gaps and progress")
}

// containerFlags are podman's, for what the config says and the caller wants
// otherwise.
type containerFlags struct {
	imageFlags
	processFlags
	health healthFlags
	networkFlags
	resourceFlags
	securityFlags
	usernsFlags
	storeFlags
	mountFlags
	env        []string
	envFiles   []string
	unsetEnv   []string
	unsetAll   bool
	labels     []string
	labelFiles []string
	annotation []string
	workdir    string
	user       string
	entrypoint string
	noCache    bool
	strict     bool
	allowGaps  []string
}

func (f *containerFlags) AddFlags(fs *pflag.FlagSet) {
	f.imageFlags.AddFlags(fs)
	f.processFlags.AddFlags(fs)
	f.health.AddFlags(fs)
	f.networkFlags.AddFlags(fs)
	f.resourceFlags.AddFlags(fs)
	f.securityFlags.AddFlags(fs)
	f.usernsFlags.AddFlags(fs)
	f.storeFlags.AddFlags(fs)
	f.mountFlags.AddFlags(fs)
	fs.SetNormalizeFunc(podmanAlias)
	fs.SetInterspersed(false) // what follows IMAGE belongs to the command
	fs.StringArrayVarP(&f.env, "env", "e", nil, "set `NAME=VALUE`, or take NAME from the caller's environment")
	fs.StringArrayVar(&f.envFiles, "env-file", nil, "read variables from `file`, one a line")
	fs.StringArrayVar(&f.unsetEnv, "unsetenv", nil, "leave the image's variable `NAME` out")
	fs.BoolVar(&f.unsetAll, "unsetenv-all", false, "leave all of the image's variables out")
	fs.StringArrayVarP(&f.labels, "label", "l", nil, "`NAME=VALUE` for the annotations, over the image's label of that name")
	fs.StringArrayVar(&f.labelFiles, "label-file", nil, "read labels from `file`, one a line")
	fs.StringArrayVar(&f.annotation, "annotation", nil, "`NAME=VALUE` for the annotations of the Spec")
	fs.StringVarP(&f.workdir, "workdir", "w", "", "working `directory`")
	fs.StringVarP(&f.user, "user", "u", "", "`user[:group]`, by name or number")
	fs.StringVar(&f.entrypoint, "entrypoint", "", "`command` or JSON array instead of the image's entrypoint; drops its Cmd")
	fs.BoolVar(&f.noCache, "no-cache", false, "unpack into a temporary place, and remove it")
	fs.BoolVar(&f.strict, "strict", false, "fail on any gap, not only one that weakens isolation")
	fs.StringArrayVar(&f.allowGaps, "allow-gap", nil, "run in spite of the gap named by its `FIELD`; mounts[].options stands for those of every mount")

	// podman's, so that a command line can be carried over.
	fs.Bool("rm", false, "accepted: nothing is ever kept")
	addPodmanFlags(fs)
}

// check refuses what flags alone show to be wrong.
func (f *containerFlags) check() error {
	if err := convert.GapFields(f.allowGaps).Check(); err != nil {
		return fmt.Errorf("--allow-gap: %w", err)
	}
	if err := checkPodmanFlags(f.flags); err != nil {
		return err
	}
	if strings.HasPrefix(f.entrypoint, "[") && !json.Valid([]byte(f.entrypoint)) {
		return fmt.Errorf("--entrypoint: %q begins like a JSON array and is none", f.entrypoint)
	}
	if err := f.networkFlags.check(); err != nil {
		return err
	}
	if err := f.securityFlags.check(); err != nil {
		return err
	}
	if err := f.usernsFlags.check(); err != nil {
		return err
	}
	if err := f.mountFlags.check(); err != nil {
		return err
	}
	return errors.Join(f.processFlags.check(), f.health.check(), f.storeFlags.check())
}
