package layout

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Ref is an IMAGE argument: a transport, a path and the image meant there.
type Ref struct {
	Transport string // "" = recognised by content when opened
	Path      string // as given, not empty; "-" is stdin
	Tag       string // or the digest of a manifest; "" = the only image
}

// String returns the argument that ParseRef read.
func (r Ref) String() string {
	s := r.Path
	if r.Transport != "" {
		s = r.Transport + ":" + s
	}
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	return s
}

// forms are the transports that can be opened.
var forms = []string{"oci", "oci-archive", "docker-archive", "dir", "layers", "nix", "bundle", "rootfs"}

const stdinPath = "-"

// remoteForms are transports of other tools that stay theirs.
var remoteForms = []string{"docker", "docker-daemon", "containers-storage", "ostree", "sif"}

// ParseRef reads PATH, PATH:TAG or TRANSPORT:PATH[:TAG]. Of the ways to read
// a colon, one whose path exists wins, the longest first. The path "-" is
// stdin, whatever exists.
func ParseRef(s string) (Ref, error) {
	if s == "" {
		return Ref{}, errors.New("image: empty name")
	}
	if strings.ContainsRune(s, 0) {
		return Ref{}, fmt.Errorf("image %s: name contains a NUL byte", quote(s))
	}
	if s == stdinPath || exists(s) {
		return Ref{Path: s}, nil
	}
	transport, rest, ok := strings.Cut(s, ":")
	switch {
	case !ok:
		return Ref{Path: s}, nil
	case slices.Contains(forms, transport):
		if rest == "" {
			return Ref{}, fmt.Errorf("image %s: no path after %q", quote(s), transport+":")
		}
		ref, err := splitTag(s, rest)
		ref.Transport = transport
		return ref, err
	case exists(transport):
		return splitTag(s, s)
	case slices.Contains(remoteForms, transport):
		return Ref{}, &hinted{
			fmt.Errorf("image %s: transport %q is not supported (supported: %s)", quote(s), transport, strings.Join(forms, ", ")),
			"skopeo copy or crane pull --format=oci makes an OCI layout directory of it",
		}
	}
	return splitTag(s, s)
}

// splitTag splits PATH[:TAG]; arg is the whole argument, for messages.
func splitTag(arg, s string) (Ref, error) {
	if s == stdinPath || exists(s) {
		return Ref{Path: s}, nil
	}
	for i := strings.LastIndexByte(s, ':'); i > 0; i = strings.LastIndexByte(s[:i], ':') {
		if exists(s[:i]) {
			return tagged(arg, s[:i], s[i+1:])
		}
	}
	path, tag, ok := strings.Cut(s, ":")
	if !ok {
		return Ref{Path: s}, nil
	}
	return tagged(arg, path, tag)
}

func tagged(arg, path, tag string) (Ref, error) {
	if path == "" {
		return Ref{}, fmt.Errorf("image %s: no path before the tag", quote(arg))
	}
	if tag == "" {
		return Ref{}, fmt.Errorf("image %s: empty tag", quote(arg))
	}
	return Ref{Path: path, Tag: tag}, nil
}

// isDigest tells a digest from a tag.
func isDigest(tag string) bool {
	_, err := v1.NewHash(tag)
	return err == nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
