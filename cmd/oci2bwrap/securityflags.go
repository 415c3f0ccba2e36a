package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// securityFlags say what the command may do.
type securityFlags struct {
	capAdd, capDrop []string
	securityOpts    []string
	privileged      bool
}

func (f *securityFlags) AddFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&f.capAdd, "cap-add", nil, "give a `capability`, or ALL")
	fs.StringSliceVar(&f.capDrop, "cap-drop", nil, "take a `capability` away, or ALL")
	fs.StringArrayVar(&f.securityOpts, "security-opt", nil, "`OPTION`: seccomp=FILE|unconfined (default: docker's profile), mask=PATH[:PATH...], unmask=ALL|PATH[:PATH...]")
	fs.BoolVar(&f.privileged, "privileged", false, "")
	fs.Lookup("privileged").Hidden = true
}

// check refuses what flags alone show to be wrong.
func (f *securityFlags) check() error {
	if f.privileged {
		return &hinted{errors.New("--privileged: bubblewrap always sets no_new_privs, and there are no devices of the host's to give"),
			"give what the command needs: --cap-add, --security-opt seccomp=unconfined, --security-opt unmask=ALL, -v /dev/NAME:/dev/NAME"}
	}
	return nil
}

// given gives the capabilities that the caller may hand on, where ALL asks
// for them; the kernel has to be asked for each.
func (f *securityFlags) given() ([]string, error) {
	if !slices.ContainsFunc(f.capAdd, func(s string) bool { return strings.EqualFold(s, "ALL") }) {
		return nil, nil
	}
	names := []string{}
	for n, name := range bwrap.CapNames() {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0)
		switch {
		case errors.Is(err, unix.EINVAL): // newer than the kernel
		case err != nil:
			return nil, fmt.Errorf("bounding set: %w", err)
		case has == 1:
			names = append(names, name)
		}
	}
	return names, nil
}

// options carries the flags over. The profile is read here.
func (f *securityFlags) options(o *convert.Options) error {
	o.CapAdd, o.CapDrop = f.capAdd, f.capDrop
	for _, opt := range f.securityOpts {
		// docker's older form has a colon.
		name, value, ok := strings.Cut(opt, "=")
		if !ok {
			name, value, ok = strings.Cut(opt, ":")
		}
		switch {
		case opt == "no-new-privileges" || name == "no-new-privileges" && value == "true": // always so
		case opt == "label=disable" || opt == "apparmor=unconfined": // there is neither
		case opt == "no-new-privileges=false" || opt == "no-new-privileges:false":
			return &hinted{fmt.Errorf("--security-opt %s: bubblewrap always sets it: set-id programs and file capabilities give nothing", opt), "leave it out"}
		case name == "label" || name == "apparmor":
			return &hinted{fmt.Errorf("--security-opt %s: SELinux labels and AppArmor profiles are not set", opt),
				map[string]string{"label": "start oci2bwrap with runcon", "apparmor": "start oci2bwrap with aa-exec -p PROFILE"}[name] + ": it is inherited"}
		case name == "seccomp" && value == "unconfined":
			o.Seccomp = convert.Seccomp{Unconfined: true}
		case name == "seccomp" && ok && value != "":
			doc, err := readSmall(value)
			if err != nil {
				return fmt.Errorf("--security-opt seccomp: %w", err)
			}
			o.Seccomp = convert.Seccomp{Name: value, Profile: doc}
		case opt == "systempaths=unconfined": // docker's
			o.Unmask = append(o.Unmask, "ALL")
		case name == "mask" && value != "":
			o.Mask = append(o.Mask, strings.Split(value, ":")...)
		case name == "unmask" && value != "":
			o.Unmask = append(o.Unmask, strings.Split(value, ":")...)
		default:
			return &hinted{fmt.Errorf("--security-opt: %q is not supported", opt),
				"there are seccomp=FILE, seccomp=unconfined, no-new-privileges, label=disable, apparmor=unconfined, mask=PATH and unmask=PATH"}
		}
	}
	return nil
}

// readSmall reads a document of at most 4 MiB; a larger one is cut behind
// that, and its reader finds it too large.
func readSmall(file string) ([]byte, error) {
	r, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, 4<<20+1))
}
