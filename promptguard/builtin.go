package promptguard

import (
	"fmt"
	"slices"
	"strings"
)

// Builtins are the names that a rule's Builtin may have.
func Builtins() []string {
	names := make([]string, len(builtins))
	for i, b := range builtins {
		names[i] = b.name
	}
	return names
}

var builtins = []struct {
	name string
	make func(*Rule) []detector
	own  bool // what it finds depends on the rule
}{
	{name: "Email", make: one(emailDetector)},
	{name: "PhoneNumber", make: func(r *Rule) []detector { return phoneDetectors(r.Regions) }, own: true},
	{name: "CreditCard", make: one(cardDetector)},
	{name: "IBAN", make: one(ibanDetector)},
	{name: "SSN", make: one(ssnDetector)},
	{name: "IPAddress", make: func(*Rule) []detector { return ipDetectors() }},
	{name: "MACAddress", make: func(*Rule) []detector { return macDetectors() }},
	{name: "URLPassword", make: one(urlDetector)},
	{name: "NationalID", make: nationalDetectors},
	{name: "CryptoWallet", make: walletDetectors},
	{name: "Secrets", make: secretDetectors},
	{name: "PromptInjection", make: injectionDetectors("PromptInjection")},
	{name: "Jailbreak", make: injectionDetectors("Jailbreak")},
}

func one(make func() detector) func(*Rule) []detector {
	return func(*Rule) []detector { return []detector{make()} }
}

func builtin(name string, r *Rule) ([]shared, error) {
	for _, b := range builtins {
		if b.name != name {
			continue
		}
		var dets []shared
		for i, d := range b.make(r) {
			key := fmt.Sprint(name, i)
			if b.own {
				key += strings.Join(slices.Sorted(slices.Values(r.Regions)), ",")
			}
			dets = append(dets, shared{d, key})
		}
		return dets, nil
	}
	return nil, fmt.Errorf("%q is not one of %s", name, strings.Join(Builtins(), ", "))
}
