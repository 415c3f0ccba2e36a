package layout

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// selectionRules build a layout each, and return the image to be chosen.
var selectionRules = []struct {
	name          string
	build         func(l *layoutDir) v1.Descriptor
	tag, platform string
	err           string
}{
	{name: "the only one", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64")
		l.index(d)
		return d
	}},
	{name: "no platform anywhere", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("")
		l.index(d)
		return d
	}},
	{name: "config of another platform", err: "no image for platform linux/amd64 (has: linux/arm64)", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/arm64")
		l.index(d)
		return d
	}},
	{name: "descriptor's platform wins", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/arm64")
		l.index(withPlatform(d, "linux/amd64"))
		return d
	}},
	{name: "tag", tag: "v2", build: func(l *layoutDir) v1.Descriptor {
		a, b := l.manifest("linux/amd64"), l.manifest("linux/amd64", plainLayers([]byte{})...)
		l.index(withTag(a, "v1"), withTag(b, "v2"))
		return b
	}},
	{name: "unknown tag", tag: "v3", err: `no tag "v3" in index.json (has: v1, v2)`, build: func(l *layoutDir) v1.Descriptor {
		a := l.manifest("linux/amd64")
		l.index(withTag(a, "v2"), withTag(a, "v1"))
		return a
	}},
	{name: "containerd's name is no tag", tag: "docker.io/x:1", err: "which has no tags", build: func(l *layoutDir) v1.Descriptor {
		a := l.manifest("linux/amd64")
		a.Annotations = map[string]string{"io.containerd.image.name": "docker.io/x:1"}
		l.index(a)
		return a
	}},
	{name: "a descriptor that repeats its config's type", build: func(l *layoutDir) v1.Descriptor {
		a := l.manifest("linux/amd64")
		a.ArtifactType = ociConfig
		l.index(a)
		return a
	}},
	{name: "ambiguous", err: "several images for platform linux/amd64 (has: v1, v2)", build: func(l *layoutDir) v1.Descriptor {
		a, b := l.manifest("linux/amd64"), l.manifest("linux/amd64", plainLayers([]byte{})...)
		l.index(withTag(a, "v2"), withTag(b, "v1"))
		return a
	}},
	{name: "ambiguous, one by its tag only", err: "has: sha256:", build: func(l *layoutDir) v1.Descriptor {
		a, b := l.manifest("linux/amd64"), l.manifest("linux/amd64", plainLayers([]byte{})...)
		l.index(a, withTag(b, "v1"))
		return a
	}},
	{name: "ambiguous tag", tag: "v1", err: "has: sha256:", build: func(l *layoutDir) v1.Descriptor {
		a, b := l.manifest("linux/amd64"), l.manifest("linux/amd64", plainLayers([]byte{})...)
		l.index(withTag(a, "v1"), withTag(b, "v1"))
		return a
	}},
	{name: "ambiguous, one name shared", err: "several images for platform linux/amd64 (has: v1, v2)", build: func(l *layoutDir) v1.Descriptor {
		a, b := l.manifest("linux/amd64"), l.manifest("linux/amd64", plainLayers([]byte{})...)
		l.index(withTag(a, "latest"), withTag(a, "v1"), withTag(b, "latest"), withTag(b, "v2"))
		return a
	}},
	{name: "one image, two tags", build: func(l *layoutDir) v1.Descriptor {
		a := l.manifest("linux/amd64")
		l.index(withTag(a, "v2"), withTag(a, "v1"))
		return a
	}},
	{name: "the only one for the platform", platform: "linux/arm64", build: func(l *layoutDir) v1.Descriptor {
		a, b := l.manifest("linux/amd64"), l.manifest("linux/arm64")
		l.index(withTag(a, "v1"), withTag(b, "v2"))
		return b
	}},
	{name: "nested index with attestations", tag: "v1", build: func(l *layoutDir) v1.Descriptor {
		a, b, att := l.manifest("linux/amd64"), l.manifest("linux/arm64"), l.manifest("")
		ref := l.manifest("linux/amd64", plainLayers([]byte{})...)
		ref.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
		inner := l.json("application/vnd.docker.distribution.manifest.list.v2+json", doc{"schemaVersion": 2, "manifests": []v1.Descriptor{
			withPlatform(b, "linux/arm64/v8"), withPlatform(a, "linux/amd64"), withPlatform(att, "unknown/unknown"), ref}})
		l.index(withTag(l.json(ociIndex, doc{"schemaVersion": 2, "manifests": []v1.Descriptor{inner}}), "v1"))
		return a
	}},
	{name: "platform missing in an index", platform: "linux/s390x", err: "no image for platform linux/s390x (has: linux/amd64, linux/arm64)", build: func(l *layoutDir) v1.Descriptor {
		a := l.manifest("linux/amd64")
		l.index(withPlatform(a, "linux/amd64"), withPlatform(a, "linux/arm64"))
		return a
	}},
	{name: "arm takes the highest it runs", platform: "linux/arm/v7", build: func(l *layoutDir) v1.Descriptor {
		a, b, c := l.manifest("linux/arm/v5"), l.manifest("linux/arm/v6"), l.manifest("linux/arm/v8")
		l.index(withPlatform(a, "linux/arm/v5"), withPlatform(b, "linux/arm/v6"), withPlatform(c, "linux/arm/v8"))
		return b
	}},
	{name: "arm64 without variant is v8", platform: "linux/arm64/v8", build: func(l *layoutDir) v1.Descriptor {
		a := l.manifest("linux/arm64")
		l.index(withPlatform(a, "linux/arm64"))
		return a
	}},
	{name: "amd64 of a newer machine", platform: "linux/amd64", err: "has: linux/amd64/v3", build: func(l *layoutDir) v1.Descriptor {
		a := l.manifest("linux/amd64")
		l.index(withPlatform(a, "linux/amd64/v3"))
		return a
	}},
	{name: "artifact passed over by its config", build: func(l *layoutDir) v1.Descriptor {
		a := l.manifest("linux/amd64")
		art := l.json(ociManifest, doc{"schemaVersion": 2, "config": l.blob("application/vnd.x+json", []byte("{}")), "layers": []any{}})
		l.index(art, a)
		return a
	}},
	{name: "artifact alone", err: "is an artifact of type", build: func(l *layoutDir) v1.Descriptor {
		a := l.json(ociManifest, doc{"schemaVersion": 2, "artifactType": "application/x", "config": l.blob("application/vnd.oci.empty.v1+json", []byte("{}")), "layers": []any{}})
		l.index(a)
		return a
	}},
	{name: "artifact named", tag: "sig", err: "is an artifact", build: func(l *layoutDir) v1.Descriptor {
		a := l.manifest("linux/amd64")
		art := l.json(ociManifest, doc{"schemaVersion": 2, "config": l.blob("application/vnd.x+json", []byte("{}")), "layers": []any{}})
		l.index(withTag(art, "sig"), withTag(a, "v1"))
		return a
	}},
	{name: "signature passed over by its layers", build: func(l *layoutDir) v1.Descriptor {
		a, sig := l.manifest("linux/amd64"), l.manifest("", stored{"application/vnd.dev.cosign.simplesigning.v1+json", []byte("{}"), []byte("{}")})
		l.index(withTag(sig, "sha256-1.sig"), withTag(a, "v1"))
		return a
	}},
	{name: "schema 1", err: "schema 1", build: func(l *layoutDir) v1.Descriptor {
		a := l.blob("application/vnd.docker.distribution.manifest.v1+prettyjws", []byte("{}"))
		l.index(a)
		return a
	}},
	{name: "nothing", err: "index.json names no image", build: func(l *layoutDir) v1.Descriptor {
		l.index()
		return v1.Descriptor{}
	}},
	{name: "windows", err: "windows", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("windows/amd64")
		l.index(d)
		return d
	}},
	{name: "index called a manifest", err: "the fields of an index and those of a manifest", build: func(l *layoutDir) v1.Descriptor {
		d := l.json(ociManifest, doc{"schemaVersion": 2, "config": l.blob(ociConfig, []byte("{}")), "layers": []any{}, "manifests": []any{}})
		l.index(d)
		return d
	}},
	{name: "manifest that calls itself an index", err: "but what refers to it says manifest", build: func(l *layoutDir) v1.Descriptor {
		d := l.json(ociManifest, doc{"schemaVersion": 2, "mediaType": ociIndex, "config": l.blob(ociConfig, []byte("{}")), "layers": []any{}})
		l.index(d)
		return d
	}},
	{name: "docker spelling inside, OCI outside", build: func(l *layoutDir) v1.Descriptor {
		c := l.blob("application/vnd.docker.container.image.v1+json", []byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`))
		d := l.json(ociManifest, doc{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": c, "layers": []any{}})
		l.index(d)
		return d
	}},
	{name: "deep nesting", err: "nested too deeply", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64")
		for range 12 {
			d = l.json(ociIndex, doc{"schemaVersion": 2, "manifests": []v1.Descriptor{d}})
		}
		l.index(d)
		return d
	}},
	{name: "rootfs type", err: `rootfs.type is "tars"`, build: func(l *layoutDir) v1.Descriptor {
		return indexConfig(l, doc{"rootfs": doc{"type": "tars"}})
	}},
	{name: "no time", err: `created: parsing time "x"`, build: func(l *layoutDir) v1.Descriptor {
		return indexConfig(l, doc{"created": "x", "rootfs": doc{"type": "layers"}})
	}},
	{name: "a number for a time", err: "created: Time.UnmarshalJSON", build: func(l *layoutDir) v1.Descriptor {
		return indexConfig(l, doc{"created": 1, "rootfs": doc{"type": "layers"}})
	}},
	{name: "no time in the history", err: `history[].created: parsing time "x"`, build: func(l *layoutDir) v1.Descriptor {
		return indexConfig(l, doc{"history": []doc{{"created": "x"}}, "rootfs": doc{"type": "layers"}})
	}},
	{name: "layer count", err: "manifest has 0 layers, config has 1 diff_ids", build: func(l *layoutDir) v1.Descriptor {
		return indexConfig(l, doc{"rootfs": doc{"type": "layers", "diff_ids": []string{digestOf(nil).String()}}})
	}},
	{name: "diff_id syntax", err: "rootfs.diff_ids[0]", build: func(l *layoutDir) v1.Descriptor {
		return indexConfig(l, doc{"rootfs": doc{"type": "layers", "diff_ids": []string{"sha256:../../x"}}})
	}},
	{name: "encrypted layer", err: "is encrypted", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64", stored{ociLayer + "+gzip+encrypted", nil, nil})
		l.index(d)
		return d
	}},
	{name: "layer of another kind", err: "not supported: layer 1", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64", stored{"application/vnd.x.squashfs", nil, nil})
		l.index(d)
		return d
	}},
	{name: "missing blob", err: "no such file or directory", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64")
		l.must(os.Remove(filepath.Join(l.path, blobName(d.Digest))))
		l.index(d)
		return d
	}},
	{name: "wrong digest", err: "wrong digest", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64")
		b, err := os.ReadFile(filepath.Join(l.path, blobName(d.Digest)))
		l.must(err)
		l.write(blobName(d.Digest), []byte(strings.Replace(string(b), "2", "1", 1)))
		l.index(d)
		return d
	}},
	{name: "wrong size", err: "too long", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64")
		d.Size--
		l.index(d)
		return d
	}},
	{name: "blob is a symlink", err: "symlink", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64")
		p := filepath.Join(l.path, blobName(d.Digest))
		l.must(os.Rename(p, p+".real"))
		l.must(os.Symlink(p+".real", p))
		l.index(d)
		return d
	}},
	{name: "blob is a fifo", err: "not a regular file", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64")
		p := filepath.Join(l.path, blobName(d.Digest))
		l.must(os.Remove(p))
		l.must(syscall.Mkfifo(p, 0o644))
		l.index(d)
		return d
	}},
	{name: "digest that is a path", err: "index.json", build: func(l *layoutDir) v1.Descriptor {
		l.write("index.json", []byte(`{"schemaVersion":2,"manifests":[{"mediaType":"`+ociManifest+`","size":1,"digest":"sha256:../../../etc/passwd"}]}`))
		return v1.Descriptor{}
	}},
	{name: "digest that garbles the terminal", err: "index.json", build: func(l *layoutDir) v1.Descriptor {
		l.write("index.json", []byte(`{"schemaVersion":2,"manifests":[{"mediaType":"`+ociManifest+`","size":1,"digest":"sha256:\n\u001b[2J"}]}`))
		return v1.Descriptor{}
	}},
	{name: "large document", err: "too large (limit: 4194304)", build: func(l *layoutDir) v1.Descriptor {
		d := l.manifest("linux/amd64")
		d.Size = 5 << 20
		l.index(d)
		return d
	}},
	{name: "large index", err: "index.json: document is too large", build: func(l *layoutDir) v1.Descriptor {
		l.write("index.json", make([]byte, 4<<20+1))
		return v1.Descriptor{}
	}},
	{name: "layout version", err: "imageLayoutVersion", build: func(l *layoutDir) v1.Descriptor {
		l.index(l.manifest("linux/amd64"))
		l.write("oci-layout", []byte(`{"imageLayoutVersion":"2.0.0"}`))
		return v1.Descriptor{}
	}},
	{name: "no index", err: "index.json: no such file", build: func(l *layoutDir) v1.Descriptor { return v1.Descriptor{} }},
	{name: "platform syntax", platform: "amd64", err: "want os/arch", build: func(l *layoutDir) v1.Descriptor { return v1.Descriptor{} }},
	{name: "platform of no use", platform: "windows/amd64", err: "only linux images", build: func(l *layoutDir) v1.Descriptor { return v1.Descriptor{} }},
}

// indexConfig writes a layout whose only image has config and no layers.
func indexConfig(l *layoutDir, config doc) v1.Descriptor {
	d := l.json(ociManifest, doc{"schemaVersion": 2, "config": l.json(ociConfig, config), "layers": []any{}})
	l.index(d)
	return d
}

// TestDigestAsTag chooses among images that no tag tells apart, as the message
// about them says.
func TestDigestAsTag(t *testing.T) {
	l := newLayout(t)
	a, b := l.manifest("linux/amd64"), l.manifest("linux/amd64", plainLayers([]byte{})...)
	deep, arm := l.manifest("linux/amd64", plainLayers([]byte{}, []byte{})...), l.manifest("linux/arm64")
	inner := l.json(ociIndex, doc{"schemaVersion": 2, "manifests": []v1.Descriptor{withPlatform(deep, "linux/amd64"), withPlatform(arm, "linux/arm64")}})
	l.index(withTag(a, "v1"), withTag(b, "v1"), inner)
	o := OpenOptions{Platform: "linux/amd64"}
	_, err := Open(Ref{Path: l.path}, o)
	var hint interface{ Hint() string }
	if !errors.As(err, &hint) || hint.Hint() != "name one as IMAGE:DIGEST" {
		t.Fatalf("got %v, want a hint", err)
	}
	for _, test := range []struct{ of, want v1.Descriptor }{{a, a}, {b, b}, {deep, deep}, {inner, deep}} {
		digest := test.of.Digest.String()
		if test.of.Digest == test.want.Digest && !strings.Contains(err.Error(), digest) {
			t.Errorf("%v does not name %s", err, digest)
		}
		img, err := Open(Ref{Path: l.path, Tag: digest}, o)
		if err != nil {
			t.Errorf("%s: %v", digest, err)
			continue
		}
		if img.Digest != test.want.Digest || strings.Contains(img.Tag, ":") {
			t.Errorf("%s: got %s, tag %q", digest, img.Digest, img.Tag)
		}
	}
	_, err = Open(Ref{Path: l.path, Tag: arm.Digest.String()}, o)
	wantError(t, err, "no image for platform linux/amd64 (has: linux/arm64)")
	_, err = Open(Ref{Path: l.path, Tag: digestOf(nil).String()}, o)
	wantError(t, err, "no tag")
}

func TestSelection(t *testing.T) {
	for _, test := range selectionRules {
		t.Run(test.name, func(t *testing.T) {
			l := newLayout(t)
			want := test.build(l)
			platform := test.platform
			if platform == "" {
				platform = "linux/amd64"
			}
			img, err := Open(Ref{Path: l.path, Tag: test.tag}, OpenOptions{Platform: platform})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got %v, want one line with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if img.Digest != want.Digest {
				t.Errorf("got %v, want %v", img.Digest, want.Digest)
			}
			if test.tag != "" && img.Tag != test.tag {
				t.Errorf("tag is %q", img.Tag)
			}
		})
	}
}
