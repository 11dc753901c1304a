package translate

import (
	"fmt"

	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

func (c *ruleContext) filters(field string, list []gatewayv1.HTTPRouteFilter) []*xdsv1.Filter {
	var out []*xdsv1.Filter
	for i := range list {
		out = append(out, c.filter(fmt.Sprintf("%s[%d]", field, i), &list[i]))
	}
	return out
}

// filter translates one filter. One that is not known is never skipped: the rule then answers 500.
func (c *ruleContext) filter(field string, f *gatewayv1.HTTPRouteFilter) *xdsv1.Filter {
	switch {
	case f.Type == gatewayv1.HTTPRouteFilterRequestHeaderModifier && f.RequestHeaderModifier != nil:
		return &xdsv1.Filter{Kind: &xdsv1.Filter_RequestHeaders{RequestHeaders: modifier(f.RequestHeaderModifier)}}
	case f.Type == gatewayv1.HTTPRouteFilterResponseHeaderModifier && f.ResponseHeaderModifier != nil:
		return &xdsv1.Filter{Kind: &xdsv1.Filter_ResponseHeaders{ResponseHeaders: modifier(f.ResponseHeaderModifier)}}
	case f.Type == gatewayv1.HTTPRouteFilterRequestRedirect && f.RequestRedirect != nil:
		return &xdsv1.Filter{Kind: &xdsv1.Filter_Redirect{Redirect: redirect(f.RequestRedirect)}}
	case f.Type == gatewayv1.HTTPRouteFilterURLRewrite && f.URLRewrite != nil:
		return &xdsv1.Filter{Kind: &xdsv1.Filter_Rewrite{Rewrite: &xdsv1.URLRewrite{
			Hostname: string(ptr.Deref(f.URLRewrite.Hostname, "")), Path: pathModifier(f.URLRewrite.Path),
		}}}
	case f.Type == gatewayv1.HTTPRouteFilterRequestMirror && f.RequestMirror != nil:
		return &xdsv1.Filter{Kind: &xdsv1.Filter_Mirror{Mirror: c.mirror(field, f.RequestMirror)}}
	case f.Type == gatewayv1.HTTPRouteFilterCORS && f.CORS != nil:
		return &xdsv1.Filter{Kind: &xdsv1.Filter_Cors{Cors: cors(f.CORS)}}
	case f.Type == gatewayv1.HTTPRouteFilterExternalAuth && f.ExternalAuth != nil:
		return c.externalAuth(field, f.ExternalAuth)
	}
	return c.unknownFilter(field, f)
}

func (c *ruleContext) unknownFilter(field string, f *gatewayv1.HTTPRouteFilter) *xdsv1.Filter {
	message := fmt.Sprintf("a filter of type %s is not known", f.Type)
	if f.ExtensionRef != nil {
		message = fmt.Sprintf("there is no filter of kind %s in %s", f.ExtensionRef.Kind, f.ExtensionRef.Group)
	}
	c.unresolved(field, &fault{string(gatewayv1.RouteReasonInvalidKind), message})
	return &xdsv1.Filter{Kind: &xdsv1.Filter_Invalid{Invalid: message}}
}

func modifier(f *gatewayv1.HTTPHeaderFilter) *xdsv1.HeaderModifier {
	return &xdsv1.HeaderModifier{Set: headers(f.Set), Add: headers(f.Add), Remove: f.Remove}
}

func headers(list []gatewayv1.HTTPHeader) []*xdsv1.Header {
	var out []*xdsv1.Header
	for _, h := range list {
		out = append(out, &xdsv1.Header{Name: string(h.Name), Value: h.Value})
	}
	return out
}

func redirect(f *gatewayv1.HTTPRequestRedirectFilter) *xdsv1.Redirect {
	return &xdsv1.Redirect{
		Scheme: ptr.Deref(f.Scheme, ""), Hostname: string(ptr.Deref(f.Hostname, "")), Path: pathModifier(f.Path),
		Port: uint32(ptr.Deref(f.Port, 0)), Status: uint32(ptr.Deref(f.StatusCode, 302)),
	}
}

func pathModifier(p *gatewayv1.HTTPPathModifier) *xdsv1.PathModifier {
	switch {
	case p == nil:
		return nil
	case p.Type == gatewayv1.FullPathHTTPPathModifier:
		return &xdsv1.PathModifier{Kind: &xdsv1.PathModifier_Full{Full: ptr.Deref(p.ReplaceFullPath, "/")}}
	}
	return &xdsv1.PathModifier{Kind: &xdsv1.PathModifier_Prefix{Prefix: ptr.Deref(p.ReplacePrefixMatch, "")}}
}

// mirror translates a mirror. Where its reference is not valid nothing is mirrored; the request itself is served.
func (c *ruleContext) mirror(field string, f *gatewayv1.HTTPRequestMirrorFilter) *xdsv1.Mirror {
	out := &xdsv1.Mirror{}
	key, fault := c.serviceBackend(c.route.ref, f.BackendRef)
	if fault != nil {
		c.unresolved(field+".requestMirror.backendRef", fault)
	} else {
		out.Backend = key
	}
	switch {
	case f.Percent != nil:
		out.Numerator, out.Denominator = uint32(*f.Percent), 100
	case f.Fraction != nil:
		out.Numerator, out.Denominator = uint32(f.Fraction.Numerator), uint32(ptr.Deref(f.Fraction.Denominator, 100))
	}
	return out
}

// maxAge is how long a browser may keep the answer to a preflight when nothing is said (HTTPCORSFilter).
const maxAge = 5

func cors(f *gatewayv1.HTTPCORSFilter) *xdsv1.CORS {
	out := &xdsv1.CORS{
		AllowOrigins: texts(f.AllowOrigins), AllowCredentials: ptr.Deref(f.AllowCredentials, false),
		AllowMethods: texts(f.AllowMethods), AllowHeaders: texts(f.AllowHeaders), ExposeHeaders: texts(f.ExposeHeaders),
		MaxAgeSeconds: maxAge,
	}
	if f.MaxAge > 0 {
		out.MaxAgeSeconds = uint32(f.MaxAge)
	}
	return out
}

func texts[T ~string](list []T) []string {
	var out []string
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

// externalAuth translates a check by another server. Where its reference is not valid nobody passes.
func (c *ruleContext) externalAuth(field string, f *gatewayv1.HTTPExternalAuthFilter) *xdsv1.Filter {
	key, fault := c.serviceBackend(c.route.ref, f.BackendRef)
	if fault != nil {
		c.unresolved(field+".externalAuth.backendRef", fault)
		return &xdsv1.Filter{Kind: &xdsv1.Filter_Invalid{Invalid: fault.message}}
	}
	out := &xdsv1.ExternalAuth{Backend: key, Grpc: f.ExternalAuthProtocol == gatewayv1.HTTPRouteExternalAuthGRPCProtocol}
	if f.GRPCAuthConfig != nil {
		out.AllowedRequestHeaders = f.GRPCAuthConfig.AllowedRequestHeaders
	}
	if f.HTTPAuthConfig != nil {
		out.PathPrefix = absolute(f.HTTPAuthConfig.Path)
		out.AllowedRequestHeaders = f.HTTPAuthConfig.AllowedRequestHeaders
		out.AllowedResponseHeaders = f.HTTPAuthConfig.AllowedResponseHeaders
	}
	if f.ForwardBody != nil {
		out.MaxBodyBytes = uint32(f.ForwardBody.MaxSize)
	}
	return &xdsv1.Filter{Kind: &xdsv1.Filter_ExternalAuth{ExternalAuth: out}}
}

// absolute makes a prefix of paths begin with a slash, which the API does not ask for.
func absolute(prefix string) string {
	if prefix == "" || prefix[0] == '/' {
		return prefix
	}
	return "/" + prefix
}
