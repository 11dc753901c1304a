// Package schema holds objects to their CustomResourceDefinitions as an API server does: unknown fields, defaults, the
// OpenAPI schema and the CEL rules, by the API server's own code. So a folder of YAML is refused for what a cluster would
// refuse it for, in the same words.
//
// It owns the CRDs of the Gateway API (a copy without descriptions) and reads ours from package crds. It knows nothing of
// files, lines and Go types.
package schema

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/nantian-gw/nantian/crds"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

//go:generate go run ./gen gatewayapi

//go:embed gatewayapi/*.json
var gatewayAPI embed.FS

// GatewayGroup is the API group of the Gateway API.
const GatewayGroup = "gateway.networking.k8s.io"

// Registry has the schemas of all kinds of the Gateway API and of ours that the control plane reads. A schema is compiled
// when it is first asked for: the largest takes a tenth of a second. Safe for concurrent use.
type Registry struct {
	kinds map[k8sschema.GroupKind]*kind
}

// kind is one CustomResourceDefinition.
type kind struct {
	read     func() ([]byte, error)
	once     sync.Once
	crd      *apiextensionsv1.CustomResourceDefinition
	err      error
	mu       sync.Mutex
	versions map[string]*version
}

// version is one version of a kind, compiled.
type version struct {
	structural *structural.Structural
	openapi    validation.SchemaCreateValidator
	rules      *cel.Validator
}

// Fault is one thing that an API server would refuse.
type Fault struct {
	// Path is the field, for example spec.rules[0].matches[1].path.
	Path string
	// Message says what is wrong with it.
	Message string
}

// New returns a Registry; nothing is read or compiled yet.
func New() *Registry {
	r := &Registry{kinds: map[k8sschema.GroupKind]*kind{}}
	for name, file := range map[string]string{
		"BackendTLSPolicy": "backendtlspolicies", "Gateway": "gateways", "GatewayClass": "gatewayclasses",
		"GRPCRoute": "grpcroutes", "HTTPRoute": "httproutes", "ListenerSet": "listenersets", "ReferenceGrant": "referencegrants",
		"TCPRoute": "tcproutes", "TLSRoute": "tlsroutes", "UDPRoute": "udproutes",
	} {
		r.add(GatewayGroup, name, gatewayAPI, "gatewayapi/"+file+".json")
	}
	for name, file := range map[string]string{
		v1alpha1.KindAIProvider: "aiproviders", v1alpha1.KindAIBackend: "aibackends", v1alpha1.KindAuthPolicy: "authpolicies",
		v1alpha1.KindTokenPolicy: "tokenpolicies", v1alpha1.KindPromptGuardPolicy: "promptguardpolicies",
		v1alpha1.KindGatewayConfig: "gatewayconfigs", v1alpha1.KindBackendLBPolicy: "backendlbpolicies",
		v1alpha1.KindRoutePolicy: "routepolicies",
	} {
		r.add(v1alpha1.GroupName, name, crds.Files, v1alpha1.GroupName+"_"+file+".yaml")
	}
	return r
}

func (r *Registry) add(group, name string, from fs.FS, file string) {
	r.kinds[k8sschema.GroupKind{Group: group, Kind: name}] = &kind{
		read:     func() ([]byte, error) { return fs.ReadFile(from, file) },
		versions: map[string]*version{},
	}
}

// Has says whether the kind has a schema here.
func (r *Registry) Has(gk k8sschema.GroupKind) bool { return r.kinds[gk] != nil }

// Served lists the versions of a kind that a cluster would serve, the preferred one first.
func (r *Registry) Served(gk k8sschema.GroupKind) ([]string, error) {
	k := r.kinds[gk]
	if k == nil {
		return nil, fmt.Errorf("no schema for %s", gk)
	}
	if err := k.load(); err != nil {
		return nil, err
	}
	var names []string
	for _, v := range k.crd.Spec.Versions {
		if v.Served {
			names = append(names, v.Name)
		}
	}
	return names, nil
}

// Check holds an object, as decoded from JSON with integers as int64, to its schema. It sets defaults and removes unknown
// fields in place, and tells everything that an API server would refuse. metadata is left to the caller.
func (r *Registry) Check(gvk k8sschema.GroupVersionKind, object map[string]any) ([]Fault, error) {
	k := r.kinds[gvk.GroupKind()]
	if k == nil {
		return nil, fmt.Errorf("no schema for %s", gvk)
	}
	v, err := k.version(gvk.Version)
	if err != nil {
		return nil, err
	}
	return v.check(object), nil
}

func (v *version) check(object map[string]any) []Fault {
	var faults []Fault
	opts := structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	for _, path := range pruning.PruneWithOptions(object, v.structural, true, opts) {
		faults = append(faults, Fault{Path: path, Message: "unknown field"})
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, v.structural)
	defaulting.Default(object, v.structural)
	errs := validation.ValidateCustomResource(nil, object, v.openapi)
	// It goes through fields in any order; the same object has the same faults in the same order here.
	slices.SortStableFunc(errs, func(a, b *field.Error) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Detail, b.Detail))
	})
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, v.structural, object)...)
	// As in the API server, rules are not run on an object that has not the shape that they were written for.
	if len(errs) == 0 && v.rules != nil {
		errs, _ = v.rules.Validate(context.Background(), nil, v.structural, object, nil, celconfig.RuntimeCELCostBudget)
	}
	return append(faults, faultsOf(errs)...)
}

func faultsOf(errs field.ErrorList) []Fault {
	faults := make([]Fault, 0, len(errs))
	for _, e := range errs {
		faults = append(faults, Fault{Path: e.Field, Message: e.ErrorBody()})
	}
	return faults
}

// load reads the CustomResourceDefinition once.
func (k *kind) load() error {
	k.once.Do(func() {
		text, err := k.read()
		if err != nil {
			k.err = fmt.Errorf("read schema: %w", err)
			return
		}
		k.crd = &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, k.crd); err != nil {
			k.err = fmt.Errorf("read schema: %w", err)
		}
	})
	return k.err
}

// version compiles one version, or returns what was compiled before.
func (k *kind) version(name string) (*version, error) {
	if err := k.load(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if v := k.versions[name]; v != nil {
		return v, nil
	}
	for i := range k.crd.Spec.Versions {
		if v := &k.crd.Spec.Versions[i]; v.Name == name && v.Served {
			compiled, err := compile(v.Schema)
			if err != nil {
				return nil, fmt.Errorf("schema of %s %s: %w", k.crd.Spec.Names.Kind, name, err)
			}
			k.versions[name] = compiled
			return compiled, nil
		}
	}
	return nil, fmt.Errorf("%s has no version %s", k.crd.Spec.Names.Kind, name)
}

func compile(in *apiextensionsv1.CustomResourceValidation) (*version, error) {
	out := &apiextensions.CustomResourceValidation{}
	err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(in, out, nil)
	if err != nil {
		return nil, err
	}
	s, err := structural.NewStructural(out.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	openapi, _, err := validation.NewSchemaValidator(out.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	rules := cel.NewValidator(s, true, celconfig.PerCallLimit)
	return &version{structural: s, openapi: openapi, rules: rules}, nil
}
