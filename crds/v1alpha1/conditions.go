package v1alpha1

// The types of conditions on the kinds of this package.
const (
	// ConditionAccepted says whether the specification can be used.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says whether everything that the object names exists and may be used.
	ConditionResolvedRefs = "ResolvedRefs"
)

// The reasons of those conditions.
const (
	ReasonAccepted          = "Accepted"
	ReasonInvalid           = "Invalid"
	ReasonUnsupportedSchema = "UnsupportedSchema"
	ReasonResolvedRefs      = "ResolvedRefs"
	ReasonBackendNotFound   = "BackendNotFound"
	ReasonInvalidKind       = "InvalidKind"
	ReasonRefNotPermitted   = "RefNotPermitted"
	ReasonSecretNotFound    = "SecretNotFound"
	ReasonInvalidSecret     = "InvalidSecret"
	ReasonConfigMapNotFound = "ConfigMapNotFound"
	ReasonProviderNotFound  = "ProviderNotFound"
	ReasonProviderInvalid   = "ProviderInvalid"
)
