package promptguard

import "strings"

// A nationalID is how a country's identifier is written and checked.
type nationalID struct {
	name   string
	shapes []shape // what is so particular in form and check that it needs no word
	named  []shape // what counts after one of the words only
	check  func(id []byte) bool
	words  []string
}

func nationalDetectors(*Rule) []detector {
	var dets []detector
	for i := range nationalIDs {
		id := &nationalIDs[i]
		for k, sh := range append(append([]shape(nil), id.shapes...), id.named...) {
			named := k >= len(id.shapes)
			lead := sh.lead()
			_, then := sh.run()
			dets = append(dets, detector{kind: "NationalID/" + id.name, label: "NATIONAL_ID", cue: cueDigits, lead: lead, runs: sh.runs(), then: then,
				spaced: strings.Contains(string(sh[:lead]), " "),
				match:  func(v *view, at int) match { return id.match(v, at, sh, named) }})
		}
	}
	return dets
}

func (id *nationalID) match(v *view, at int, sh shape, named bool) match {
	end, s := sh.match(v, at)
	num := &v.work.number
	if s == more {
		return v.undecided(at)
	}
	if s == no || at > 1 && (v.b[at-1] == '-' || v.b[at-1] == '.' || v.b[at-1] == '/') && is(v.b[at-2], isAlnum) {
		return match{}
	}
	on, known := continued(v, end)
	if known && !on && strings.Contains(string(sh), " ") {
		on, known = inRow(v, at, end)
	}
	switch {
	case !known:
		return v.undecided(at)
	case on || uniform(num.text()) || !id.check(num.text()) || named && !v.said(at, 48, id.words):
		return match{}
	}
	return found(at, end)
}

// inRow says whether more groups of digits stand beside a number in groups, as in a table.
func inRow(v *view, at, end int) (is, known bool) {
	if at > 1 && v.b[at-1] == ' ' && v.before(at-1, isHex) {
		return true, true
	}
	if end < len(v.b) && v.b[end] == ' ' {
		return v.after(end+1, isDigit)
	}
	return false, true
}

// nationalIDs are those with a check digit. Sources: the countries' own descriptions, as collected by OECD ("Tax
// identification numbers") and ISO 7064 for the systems of check characters.
var nationalIDs = []nationalID{
	{"ar-cuit", []shape{"99-99999999-9"}, []shape{"99999999999"}, arCUIT, []string{"cuit", "cuil"}},
	{"au-tfn", nil, []shape{"999 999 999", "999999999"}, auTFN, []string{"tfn", "tax file number", "tax file"}},
	{"be-nn", []shape{"99.99.99-999.99"}, []shape{"99999999999"}, beNN, []string{"rijksregisternummer", "national number", "registre national", "nrn", "insz", "niss"}},
	{"br-cnpj", []shape{"99.999.999/9999-99"}, nil, brCNPJ, nil},
	{"br-cpf", []shape{"999.999.999-99"}, []shape{"99999999999"}, brCPF, []string{"cpf"}},
	{"ca-sin", nil, []shape{"999-999-999", "999 999 999", "999999999"}, luhn, []string{"sin", "social insurance", "nas", "assurance sociale"}},
	{"ch-ahv", []shape{"999.9999.9999.99", "9999999999999"}, nil, chAHV, nil},
	{"cl-rut", []shape{"99.999.999-X", "99999999-X"}, nil, clRUT, nil},
	{"cn-rid", []shape{"99999999999999999X"}, nil, cnRID, nil},
	{"cz-rc", []shape{"999999/9999"}, nil, czRC, nil},
	{"de-idnr", nil, []shape{"99999999999", "99 999 999 999"}, mod1110, []string{"steuer-id", "steuerid", "idnr", "identifikationsnummer", "steuernummer", "tax id", "tin", "steueridentifikationsnummer"}},
	{"es-dni", []shape{"99999999A", "99999999-A"}, nil, esDNI, nil},
	{"es-nie", []shape{"A9999999A", "A-9999999-A"}, nil, esNIE, nil},
	{"fi-hetu", []shape{"999999-999X", "999999A999X"}, nil, fiHETU, nil},
	{"fr-nir", []shape{"9 99 99 99 999 999 99", "999999999999999"}, nil, frNIR, nil},
	{"hr-oib", nil, []shape{"99999999999"}, mod1110, []string{"oib"}},
	{"in-aadhaar", []shape{"9999 9999 9999"}, []shape{"9999-9999-9999", "999999999999"}, inAadhaar, []string{"aadhaar", "aadhar", "uidai", "uid"}},
	{"it-cf", []shape{"AAAAAA99A99A999A"}, nil, itCF, nil},
	{"jp-mynumber", nil, []shape{"999999999999", "9999-9999-9999", "9999 9999 9999"}, jpMyNumber, []string{"my number", "mynumber", "individual number", "kojin bango"}},
	{"kr-rrn", []shape{"999999-9999999"}, nil, krRRN, nil},
	{"mx-curp", []shape{"AAAA999999AAAAAAX9"}, nil, mxCURP, nil},
	{"nl-bsn", nil, []shape{"999999999", "9999.99.999", "9999 99 999"}, nlBSN, []string{"bsn", "burgerservicenummer", "sofinummer", "citizen service number"}},
	{"no-fnr", []shape{"999999 99999"}, []shape{"99999999999"}, noFNR, []string{"fødselsnummer", "fodselsnummer", "personnummer", "fnr"}},
	{"pl-pesel", nil, []shape{"99999999999"}, plPESEL, []string{"pesel"}},
	{"pt-nif", nil, []shape{"999999999", "999 999 999"}, ptNIF, []string{"nif", "contribuinte", "número fiscal"}},
	{"se-pnr", []shape{"999999-9999", "99999999-9999"}, nil, sePNR, nil},
	{"sg-nric", []shape{"A9999999A"}, nil, sgNRIC, nil},
	{"tr-kimlik", nil, []shape{"99999999999"}, trKimlik, []string{"kimlik", "tckn", "tc no", "t.c. kimlik"}},
	{"uk-nhs", nil, []shape{"999 999 9999", "999-999-9999", "9999999999"}, ukNHS, []string{"nhs", "nhs number"}},
	{"za-id", nil, []shape{"9999999999999", "999999 9999 999"}, zaID, []string{"id number", "id no", "identity number", "sa id", "rsa id"}},
}
