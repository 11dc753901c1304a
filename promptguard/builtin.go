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

// Describe says in a line what a built-in detector finds; empty for what is none.
func Describe(name string) string {
	for _, b := range builtins {
		if b.name == name {
			return b.what
		}
	}
	return ""
}

var builtins = []struct {
	name string
	what string
	make func(*Rule) []detector
	own  bool // what it finds depends on the rule
}{
	{name: "Email", what: "mail addresses (RFC 5321)", make: one(emailDetector)},
	{name: "PhoneNumber", what: "phone numbers, international or in the way of the regions of the rule, by the metadata of libphonenumber", make: func(r *Rule) []detector { return phoneDetectors(r.Regions) }, own: true},
	{name: "CreditCard", what: "payment cards: ranges of issuers, lengths, Luhn", make: one(cardDetector)},
	{name: "IBAN", what: "bank accounts (ISO 13616): country, length, checksum", make: one(ibanDetector)},
	{name: "SSN", what: "social security numbers of the United States: areas and groups that are given out", make: one(ssnDetector)},
	{name: "IPAddress", what: "IPv4 and IPv6 addresses", make: func(*Rule) []detector { return ipDetectors() }},
	{name: "MACAddress", what: "MAC addresses (IEEE 802)", make: func(*Rule) []detector { return macDetectors() }},
	{name: "URLPassword", what: "passwords in URLs, as in postgres://user:password@host", make: one(urlDetector)},
	{name: "NationalID", what: "identifiers of other countries that have a checksum", make: nationalDetectors},
	{name: "CryptoWallet", what: "wallets of Bitcoin, Ethereum and others, by their checksums", make: walletDetectors},
	{name: "Secrets", what: "keys and tokens in the formats that vendors document, JWTs, private keys, values of high entropy that are assigned to names of secrets", make: secretDetectors},
	{name: "PromptInjection", what: "attempts to put instructions in the place of those of the system: weighted phrases and structure in several languages, also in base64, leetspeak, with zero-width and look-alike characters", make: injectionDetectors("PromptInjection")},
	{name: "Jailbreak", what: "attempts to talk a model out of its rules, in the same way", make: injectionDetectors("Jailbreak")},
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
