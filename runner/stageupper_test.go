package runner

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestOptions: what mount(2) would cut off is refused, with a way out.
func TestOptions(t *testing.T) {
	made := func(n int) layers {
		l := layers{upper: "/s/upper", work: "/s/work"}
		for i := range n {
			l.lower = append(l.lower, fmt.Sprintf("/proc/self/fd/%d", 100+i))
		}
		return l
	}
	opts, err := made(200).options(true)
	if err != nil || !strings.HasPrefix(opts, "lowerdir=/proc/self/fd/299:/proc/self/fd/298:") || !strings.HasSuffix(opts, ",upperdir=/s/upper,workdir=/s/work,userxattr") {
		t.Errorf("%q, %v", opts, err)
	}
	_, err = made(300).options(true)
	var known *Error
	if !errors.As(err, &known) || !strings.Contains(known.Msg, "300 layers") || !strings.Contains(known.Remedy, "oci2bwrap export") {
		t.Errorf("300 layers: %v", err)
	}
}
