package authz

import (
	"cmp"
	"errors"
	"fmt"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http/httpguts"
	"google.golang.org/protobuf/proto"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

var errSaysError = errors.New("the authorization server answered with error_response")

// verdict reads a CheckResponse. What it says of dynamic metadata has no meaning here. One that contradicts itself, or holds what
// cannot stand in a head, allows nothing.
func verdict(b []byte) (*answer, error) {
	m := &authv3.CheckResponse{}
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("the authorization server's CheckResponse: %w", err)
	}
	if m.GetErrorResponse() != nil {
		return nil, errSaysError
	}
	if m.GetStatus().GetCode() != 0 || m.GetDeniedResponse() != nil {
		return denied(m.GetDeniedResponse())
	}
	return allowed(m.GetOkResponse())
}

func denied(m *authv3.DeniedHttpResponse) (a *answer, err error) {
	a = &answer{result: Denied, status: int(cmp.Or(m.GetStatus().GetCode(), 403)), body: []byte(m.GetBody())}
	if a.status < 200 || a.status > 599 {
		a.status = 403
	}
	a.response, err = edits(m.GetHeaders(), func(name string) exchange.Action {
		if name == "Content-Type" {
			return exchange.EditSet
		}
		return exchange.EditAdd
	})
	a.verbatim = a.status < 400
	return a, err
}

// allowed reads the changes that are wanted. Fields of the request replace what is there unless the server says otherwise, those of
// the response are added (OkHttpResponse).
func allowed(m *authv3.OkHttpResponse) (a *answer, err error) {
	a = &answer{result: Allowed}
	a.request, err = edits(m.GetHeaders(), func(string) exchange.Action { return exchange.EditSet })
	if err != nil {
		return nil, err
	}
	for _, n := range m.GetHeadersToRemove() {
		if name := canonical(n); !protected(name) {
			a.request = append(a.request, exchange.Edit{Name: name, Action: exchange.EditRemove})
		}
	}
	a.response, err = edits(m.GetResponseHeadersToAdd(), func(string) exchange.Action { return exchange.EditAdd })
	for _, p := range m.GetQueryParametersToSet() {
		a.query = append(a.query, parameter{name: p.GetKey(), value: p.GetValue()})
	}
	for _, n := range m.GetQueryParametersToRemove() {
		a.query = append(a.query, parameter{name: n, remove: true})
	}
	return a, err
}

// edits reads fields; usual is what is done with a field where the server does not say.
func edits(list []*core.HeaderValueOption, usual func(name string) exchange.Action) ([]exchange.Edit, error) {
	var out []exchange.Edit
	for _, o := range list {
		name, value := o.GetHeader().GetKey(), cmp.Or(o.GetHeader().GetValue(), string(o.GetHeader().GetRawValue()))
		if protected(canonical(name)) {
			continue
		}
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("the authorization server wants the field %.40q, whose name or value is not valid", name)
		}
		e := exchange.Edit{Name: canonical(name), Value: value}
		e.Action = action(o, usual(e.Name))
		if value == "" && !o.GetKeepEmptyValue() {
			if e.Action != exchange.EditSet && e.Action != exchange.EditSetIfThere {
				continue
			}
			e.Action = exchange.EditRemove // rather than to leave what the client has sent
		}
		out = append(out, e)
	}
	return out, nil
}

func action(o *core.HeaderValueOption, usual exchange.Action) exchange.Action {
	//nolint:staticcheck // append is deprecated, and what servers send
	if a := o.GetAppend(); a != nil {
		if a.GetValue() {
			return exchange.EditAdd
		}
		return exchange.EditSet
	}
	switch o.GetAppendAction() {
	case core.HeaderValueOption_ADD_IF_ABSENT:
		return exchange.EditAddIfAbsent
	case core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
		return exchange.EditSet
	case core.HeaderValueOption_OVERWRITE_IF_EXISTS:
		return exchange.EditSetIfThere
	}
	return usual
}
