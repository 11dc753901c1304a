package translate

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
)

const class = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: nantian}\nspec: {controllerName: gateway.nantian.dev/controller}\n---\n"

// Whatever is edited, what is made with the help of the translation before is what is made without it.
func TestAgainIsTheSame(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	taken := 0
	for n, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			objects, _ := decoder().Decode("f.yaml", append([]byte(class), text...))
			for _, standalone := range []bool{true, false} {
				taken += editAll(t, objects, standalone, rand.New(rand.NewPCG(uint64(n), 7)))
			}
		})
	}
	if taken < 1000 {
		t.Errorf("of %d files only %d routes were ever taken from the translation before", len(files), taken)
	}
}

// editAll removes objects, puts them back and edits routes, and translates after each step. It counts the routes that stayed the
// very same.
func editAll(t *testing.T, all []resources.Object, standalone bool, random *rand.Rand) (taken int) {
	t.Helper()
	here := slices.Clone(all)
	published := map[string]*xdsv1.Resource{}
	inForce := func(key string) *xdsv1.Resource { return published[key] }
	var last *Result
	for step := range 60 {
		here = edit(here, all, random, step)
		set := resources.NewSet(here, nil)
		whole, err := Translate(set, Options{Standalone: standalone, InForce: inForce})
		if err != nil {
			t.Fatal(err)
		}
		quick, err := Translate(set, Options{Standalone: standalone, InForce: inForce, Last: last})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, step, whole, quick)
		if last != nil {
			taken += shared(last, quick)
		}
		last = quick
		for _, s := range quick.Snapshots {
			maps.Copy(published, s.Resources)
		}
	}
	return taken
}

func edit(here, all []resources.Object, random *rand.Rand, step int) []resources.Object {
	here = slices.Clone(here)
	i := random.IntN(len(all))
	at := slices.IndexFunc(here, func(o resources.Object) bool { return o.Ref == all[i].Ref })
	route, isRoute := all[i].Value.(*gatewayv1.HTTPRoute)
	switch {
	case isRoute && at >= 0 && random.IntN(4) > 0:
		route = route.DeepCopy()
		route.Spec.Rules = append(route.Spec.Rules, gatewayv1.HTTPRouteRule{Matches: []gatewayv1.HTTPRouteMatch{{
			Path: &gatewayv1.HTTPPathMatch{Type: ptr.To(gatewayv1.PathMatchPathPrefix), Value: ptr.To(fmt.Sprintf("/step/%d", step))},
		}}})
		here[at].Value = route
	case step%3 > 0: // most edits are of nothing else
	case at >= 0:
		here = slices.Delete(here, at, at+1)
	default:
		here = append(here, all[i])
	}
	return here
}

func compare(t *testing.T, step int, whole, quick *Result) {
	t.Helper()
	if a, b := slices.Sorted(maps.Keys(whole.Snapshots)), slices.Sorted(maps.Keys(quick.Snapshots)); !slices.Equal(a, b) {
		t.Fatalf("step %d: groups %v and %v", step, a, b)
	}
	for name, s := range whole.Snapshots {
		if !s.Same(quick.Snapshots[name]) {
			t.Fatalf("step %d: group %s differs: %v and %v", step, name, s.Versions, quick.Snapshots[name].Versions)
		}
	}
	if !reflect.DeepEqual(whole.Statuses, quick.Statuses) {
		t.Fatalf("step %d: statuses differ\n%v\n%v", step, whole.Statuses, quick.Statuses)
	}
	if a, b := fmt.Sprint(whole.Refused), fmt.Sprint(quick.Refused); a != b {
		t.Fatalf("step %d: refused %s and %s", step, a, b)
	}
}

// shared counts the routes that two results have in common.
func shared(a, b *Result) (n int) {
	for name, s := range b.Snapshots {
		for key, r := range s.Resources {
			if old := a.Snapshots[name]; old != nil && r.GetRoute() != nil && old.Resources[key] == r {
				n++
			}
		}
	}
	return n
}
