package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// maxSeccompProfile bounds a profile; docker's has 20 KiB.
const maxSeccompProfile = 4 << 20

// seccompProfile is docker's form of a profile: that of runtime-spec, with
// rules that hold under conditions.
type seccompProfile struct {
	specs.LinuxSeccomp
	DefaultErrno string                 `json:"defaultErrno,omitempty"` // podman's: DefaultErrnoRet by name
	ArchMap      []seccomp.Architecture `json:"archMap,omitempty"`
	Syscalls     []seccompRule          `json:"syscalls"`
}

type seccompRule struct {
	seccomp.Syscall
	Errno string `json:"errno,omitempty"` // podman's: ErrnoRet by name
}

// parseSeccomp reads a profile. What it does not know is an error: a rule that
// were passed over could be the one that matters.
func parseSeccomp(doc []byte) (*seccompProfile, error) {
	if len(doc) > maxSeccompProfile {
		return nil, fmt.Errorf("profile has more than %d bytes", maxSeccompProfile)
	}
	p := new(seccompProfile)
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("profile: something follows the JSON document")
	}
	return p, p.check()
}

// check refuses what says two things, and brings the older forms into one.
// The numbers are what counts: a name of an errno is for people.
func (p *seccompProfile) check() error {
	if p.DefaultAction == "" {
		return errors.New("profile: defaultAction is missing")
	}
	if len(p.Architectures) > 0 && len(p.ArchMap) > 0 {
		return errors.New("profile: both architectures and archMap are set")
	}
	if p.DefaultErrno != "" && p.DefaultErrnoRet == nil {
		return fmt.Errorf("profile: defaultErrno %q without a defaultErrnoRet", p.DefaultErrno)
	}
	for i := range p.Syscalls {
		s := &p.Syscalls[i]
		//lint:ignore SA1019 docker reads it still
		name := s.Name
		switch {
		case name != "" && len(s.Names) > 0:
			return fmt.Errorf("profile: syscalls[%d]: both name and names are set", i)
		case name != "":
			s.Names = []string{name}
		case len(s.Names) == 0:
			return fmt.Errorf("profile: syscalls[%d]: no names", i)
		}
		if s.Errno != "" && s.ErrnoRet == nil {
			return fmt.Errorf("profile: syscalls[%d]: errno %q without an errnoRet", i, s.Errno)
		}
	}
	return nil
}
