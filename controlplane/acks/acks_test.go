package acks

import (
	"reflect"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/controlplane/xds"
)

// What replicas write is what the leader reads, summed up.
func TestSum(t *testing.T) {
	one, two := NewRecorder(), NewRecorder()
	one.Changed(xds.DataPlane{Stream: 1, Group: "ns/gw", ID: "b", Resources: xds.Answer{Acked: "v2"}})
	one.Changed(xds.DataPlane{Stream: 2, Group: "ns/gw", ID: "a", Resources: xds.Answer{Acked: "v2"}})
	one.Changed(xds.DataPlane{Stream: 3, Group: "ns/gone", ID: "c"})
	one.Gone(xds.DataPlane{Stream: 3, Group: "ns/gone"})
	two.Changed(xds.DataPlane{Stream: 1, Group: "ns/gw", ID: "c", Withheld: []string{"policy/x"},
		Resources: xds.Answer{Acked: "v1", Refused: &xds.Refusal{Version: "v2", Message: strings.Repeat("x", 10000)}}})
	var read []map[string]Group
	for _, r := range []*Recorder{one, two} {
		data, err := Encode(r.Groups())
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, Decode(data))
	}
	want := Group{Name: "ns/gw", Connected: 3, Acked: map[string]int{"v2": 2, "v1": 1}, Withheld: []string{"policy/x"},
		Refused: &Refusal{DataPlane: "c", Version: "v2", Message: strings.Repeat("x", maxMessage)}}
	if got := Merge(read...); !reflect.DeepEqual(got, map[string]Group{"ns/gw": want}) {
		t.Errorf("%+v", got)
	}
	select {
	case <-one.News():
	default:
		t.Error("no news of changes")
	}
}
