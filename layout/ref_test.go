package layout

import (
	"os"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"img", "a:b", "a:b:c", "oci:odd", "tags"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		arg  string
		want Ref
		err  string
	}{
		{arg: "img", want: Ref{"", "img", ""}},
		{arg: "img:v1", want: Ref{"", "img", "v1"}},
		{arg: "./img:reg.example/app:v1", want: Ref{"", "./img", "reg.example/app:v1"}},
		{arg: "a:b", want: Ref{"", "a:b", ""}},
		{arg: "a:b:c", want: Ref{"", "a:b:c", ""}},
		{arg: "a:b:tag", want: Ref{"", "a:b", "tag"}},
		{arg: "oci:odd", want: Ref{"", "oci:odd", ""}},
		{arg: "oci:img", want: Ref{"oci", "img", ""}},
		{arg: "oci:img:v1", want: Ref{"oci", "img", "v1"}},
		{arg: "oci:a:b:v1", want: Ref{"oci", "a:b", "v1"}},
		{arg: "oci:new:v1", want: Ref{"oci", "new", "v1"}},
		{arg: "missing", want: Ref{"", "missing", ""}},
		{arg: "missing:v1", want: Ref{"", "missing", "v1"}},
		{arg: "", err: "empty name"},
		{arg: "oci:", err: "no path"},
		{arg: "img:", err: "empty tag"},
		{arg: "a\x00b", err: "NUL"},
		{arg: "docker-archive:x.tar", want: Ref{"docker-archive", "x.tar", ""}},
		{arg: "docker-archive:x.tar:app:v1", want: Ref{"docker-archive", "x.tar", "app:v1"}},
		{arg: "docker-archive:x.tar:@1", want: Ref{"docker-archive", "x.tar", "@1"}},
		{arg: "layers:img", want: Ref{"layers", "img", ""}},
		{arg: "rootfs:a:b", want: Ref{"rootfs", "a:b", ""}},
		{arg: "-", want: Ref{"", "-", ""}},
		{arg: "-:v1", want: Ref{"", "-", "v1"}},
		{arg: "oci-archive:-:v1", want: Ref{"oci-archive", "-", "v1"}},
		{arg: "docker://alpine", err: `transport "docker" is not supported (supported: oci, oci-archive, docker-archive,`},
		{arg: "containers-storage:alpine", err: `transport "containers-storage" is not supported`},
		{arg: "nix:image.json", want: Ref{"nix", "image.json", ""}},
	} {
		got, err := ParseRef(test.arg)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: got %v, want %q", test.arg, err, test.err)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%q: got %+v, %v, want %+v", test.arg, got, err, test.want)
		}
		if err == nil && got.String() != test.arg {
			t.Errorf("%q: reads %q as a string", test.arg, got.String())
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"img", "oci:img:v1", "a:b:c", ":", "oci:", "docker://x", "oci::", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseRef(s)
		if err == nil && (ref.Path == "" || ref.String() != s) {
			t.Errorf("%q: got %+v", s, ref)
		}
	})
}
