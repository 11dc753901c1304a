package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/source/file"
	"github.com/nantian-gw/nantian/controlplane/translate"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/llm"
	"github.com/nantian-gw/nantian/gateway/table"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// What the control plane accepts the data plane can run: one object that it could not compile would hold up every other
// change. All cases of translation are held to that.
func TestWhatIsTranslatedCompiles(t *testing.T) {
	cases, err := filepath.Glob("../../controlplane/translate/testdata/*.in.yaml")
	if err != nil || len(cases) < 20 {
		t.Fatal(len(cases), err)
	}
	for _, c := range cases {
		set := file.New(file.Options{Paths: []string{c}, Decoder: resources.NewDecoder(os.LookupEnv)}).Read()
		r, err := translate.Translate(set, translate.Options{Standalone: true})
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		for group, s := range r.Snapshots {
			if _, err := table.Compile(s.Resources, nil, compiler{llm.New(llm.Options{})}); err != nil {
				t.Errorf("%s, group %s: %v", filepath.Base(c), group, err)
			}
		}
	}
}

// compiler makes handlers as the gateway does, as far as that can fail.
type compiler struct{ *llm.LLM }

func (compiler) Session(*xdsv1.SessionPersistence, string) table.Session { return nil }

func (compiler) Forward(table.Forward) exchange.Handler {
	return exchange.HandlerFunc(func(*exchange.Exchange) {})
}

func (c compiler) Models(key string, rs map[string]*xdsv1.Resource, clusters *table.Clusters) (table.Models, error) {
	if clusters == nil {
		return nil, errors.New("no clusters")
	}
	return c.LLM.Models(key, rs, lent{clusters})
}

func (compiler) Policies([]*xdsv1.Policy) (filter.Chain, error) { return filter.Chain{}, nil }

func (compiler) Authorize(*xdsv1.ExternalAuth, *upstream.Cluster) filter.Authorizer { return nil }

func (compiler) Cluster(c upstream.Config) *upstream.Cluster { return upstream.NewCluster(c) }

func (compiler) Mirrored(string, filter.Outcome) {}

type lent struct{ *table.Clusters }

func (l lent) ForConfig(c upstream.Config, hash string) (*upstream.Cluster, error) {
	return l.Clusters.ForConfig(c, hash), nil
}
