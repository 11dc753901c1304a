#!/usr/bin/env python3
"""Writes the labelled corpus: tune/ and heldout/, one file of JSON lines for each detector, and clean prompts.

A line is {"text": ..., "want": [values]}: what the detector must find, nothing for a hard negative. For PromptInjection and
Jailbreak the value is "*": the text as a whole. Every third template and its values go to heldout/, which nobody looks at
while tuning the detectors. Values are made here and checked by independent implementations: python-stdnum 2.2 (national
identifiers, IBAN, Luhn, base58check, bech32), phonenumbers 9.0.43 (Google's example numbers and metadata), eth-hash (EIP-55).

    pip install python-stdnum==2.2 phonenumbers==9.0.43 'eth-hash[pycryptodome]'
    python3 generate.py
"""
import base64
import importlib
import ipaddress
import itertools
import json
import os
import random
import string

import phonenumbers
from eth_hash.auto import keccak
from stdnum import bitcoin, iban, luhn

PER_DETECTOR = 240  # positives, and as many hard negatives

r = random.Random(20260101)


def digits(n):
    return "".join(r.choice(string.digits) for _ in range(n))


def chars(n, alphabet=string.ascii_letters + string.digits):
    return "".join(r.choice(alphabet) for _ in range(n))


def hexs(n):
    return chars(n, "0123456789abcdef")


def valid(module, make, form=lambda m, v: v):
    m = importlib.import_module("stdnum." + module)
    for _ in range(200000):
        v = make()
        if m.is_valid(v):
            return form(m, v)
    raise SystemExit("no valid number for " + module)


# Templates. {v} is the value.
AROUND = [
    "{v}", "My value is {v}, please keep it.", "Contact: {v}.", "({v})", "\"{v}\"", "{{\"field\": \"{v}\"}}", "a,b,{v},c", "Is {v} correct?",
    "Bitte prüfen Sie {v} bis morgen.", "Voici la valeur : {v}, merci.", "El dato es {v} y no otro.", "Il dato è {v}; grazie.",
    "Segue o dado: {v}", "データは {v} です。", "数据是{v}，请核对。", "Значение: {v}, проверьте.", "القيمة هي {v} .", "값은 {v} 입니다.",
    "| name | {v} |", "line one\n{v}\nline three", "<td>{v}</td>", "- {v}\n- other", "value={v}", "log: user said '{v}' at noon",
    "Please translate to German: \"send it to {v} today\"", "> quoted {v} text", "**{v}**", "`{v}`", "See {v}; then reply!", "1. {v}\n2. nothing",
]

NAMES = ["ann", "john.doe", "maria_lopez", "li.wei", "o.brien", "k-schmidt", "sales", "info", "jörg.müller", "josé", "user+tag", "a.b.c", "x99", "first.last2"]
DOMAINS = ["example.com", "example.co.uk", "mail.example.org", "firma.example.de", "münchen.example", "sub.domain.example.io", "example.travel", "ex-ample.net", "acme.museum", "corp.example.com.br"]


def email():
    return r.choice(NAMES) + (digits(2) if r.random() < .5 else "") + "@" + r.choice(DOMAINS)


def email_neg():
    return r.choice([
        lambda: "@" + chars(6).lower() + " thanks!", lambda: "icon@%dx.png in assets" % r.randint(1, 4), lambda: "npm install @%s/%s@%d.%d.%d" % (chars(5).lower(), chars(6).lower(), r.randint(0, 9), 2, 3),
        lambda: "git clone git@github.com:%s/%s.git" % (chars(5).lower(), chars(6).lower()), lambda: "@Override public void %s()" % chars(5), lambda: "meet @ %d:30 pm" % r.randint(1, 9),
        lambda: "price @ $%d.%d each" % (r.randint(1, 99), r.randint(10, 99)), lambda: "user@localhost is fine", lambda: "a@b", lambda: "%s@" % chars(5), lambda: "@media (max-width: %dpx)" % r.randint(300, 900),
        lambda: "docker pull repo/image@sha256:%s" % hexs(64), lambda: "systemctl status getty@tty%d.service" % r.randint(1, 9), lambda: "foo@@bar.com", lambda: "x = y @ z.T", lambda: "follow us @%s.%s" % (chars(4).lower(), "official"),
        lambda: "go get example.org/mod@v%d.%d.%d" % (r.randint(0, 9), r.randint(0, 20), r.randint(0, 20)), lambda: "https://%s:pw-%s@host.example/" % (chars(4), chars(5)), lambda: "pkg@latest, pkg@next", lambda: "rate: 5 @ 3.2 GHz"])()


PREFIXES = [("4", 16), ("51", 16), ("54", 16), ("2223", 16), ("34", 15), ("37", 15), ("6011", 16), ("3530", 16), ("36", 14), ("62", 16), ("6759", 16), ("2202", 16), ("4", 13), ("65", 16)]


def card_raw():
    p, n = r.choice(PREFIXES)
    body = p + digits(n - len(p) - 1)
    return body + luhn.calc_check_digit(body)


def card():
    c = card_raw()
    k = r.random()
    sep = r.choice(" -")
    if k < .4:
        return c
    if len(c) == 16:
        return sep.join([c[:4], c[4:8], c[8:12], c[12:]])
    if len(c) == 15:
        return sep.join([c[:4], c[4:10], c[10:]])
    if len(c) == 14:
        return sep.join([c[:4], c[4:10], c[10:]])
    return c


def card_neg():
    def broken():
        c = card_raw()
        return c[:-1] + str((int(c[-1]) + r.randint(1, 9)) % 10)

    def grouped(c):
        return " ".join([c[:4], c[4:8], c[8:12], c[12:]])
    return r.choice([broken, lambda: grouped(broken()), lambda: "tracking 1Z%s%s" % (chars(6, string.ascii_uppercase), digits(10)), lambda: "order id 9%s" % digits(15), lambda: "0.%s" % digits(16),
                     lambda: "timestamp 17%s" % digits(11), lambda: "hash %s" % hexs(32), lambda: "uuid %s-%s-4%s-a%s-%s" % (hexs(8), hexs(4), hexs(3), hexs(3), hexs(12)), lambda: card_raw() + digits(6),
                     lambda: "x" + card_raw(), lambda: card_raw() + "abc", lambda: "ISBN 978-3-16-148410-0", lambda: "0000 0000 0000 0000", lambda: "pi is 3.%s" % digits(16), lambda: "range 1000-2000-3000-4000",
                     lambda: "serial 1%s" % digits(15), lambda: "IMEI 99%s" % digits(13), lambda: "phone list 7%s" % digits(11), lambda: "%s-%s" % (digits(4), digits(4)), lambda: "version 4.%s.%s" % (digits(4), digits(4))])()


BBAN = {"DE": ("n", 18), "AT": ("n", 16), "FR": ("n", 23), "BE": ("n", 12), "PL": ("n", 24), "DK": ("n", 14), "FI": ("n", 14), "SE": ("n", 20), "PT": ("n", 21), "CZ": ("n", 20), "HU": ("n", 24), "LT": ("n", 16), "EE": ("n", 16),
        "GB": ("a", 18), "NL": ("a", 14), "IE": ("a", 18), "CH": ("n", 17), "SA": ("n", 20), "NO": ("n", 11), "IL": ("n", 19)}


def iban_raw():
    cc, (kind, n) = r.choice(sorted(BBAN.items()))
    body = chars(4, string.ascii_uppercase) + digits(n - 4) if kind == "a" else digits(n)
    v = cc + "00" + body
    v = cc + iban.calc_check_digits(v) + body
    from stdnum.iso7064 import mod_97_10
    assert mod_97_10.is_valid(v[4:] + v[:4])
    return v


def iban_v():
    v = iban_raw()
    k = r.random()
    if k < .5:
        return v
    if k < .9:
        return " ".join(v[i:i + 4] for i in range(0, len(v), 4))
    return v.lower()


def iban_neg():
    def broken():
        v = iban_raw()
        i = r.randrange(4, len(v) - 1)
        return v[:i] + (chr((ord(v[i]) - 48 + 1) % 10 + 48) if v[i].isdigit() else ("B" if v[i] == "A" else "A")) + v[i + 1:]
    return r.choice([broken, lambda: " ".join(broken()[i:i + 4] for i in range(0, 20, 4)), lambda: "part no. AB%s" % digits(16), lambda: "XX%s" % digits(20), lambda: iban_raw()[:-2], lambda: "Z" + iban_raw(), lambda: iban_raw() + "7Q",
                     lambda: "flight DE%s to GB%s" % (digits(3), digits(3)), lambda: "VAT DE%s" % digits(9), lambda: "FR%s invoice" % digits(8), lambda: "model NL42 with %s units" % digits(6), lambda: "SE%s" % digits(12)])()


def ssn():
    area = r.choice([x for x in range(1, 900) if x != 666])
    v = "%03d-%02d-%04d" % (area, r.randint(1, 99), r.randint(1, 9999))
    return r.choice([v, v, v.replace("-", " ")])


def ssn_neg():
    return r.choice([lambda: "000-%s-%s" % (digits(2), digits(4)), lambda: "666-12-%s" % digits(4), lambda: "%s-00-%s" % (r.randint(100, 665), digits(4)), lambda: "123-45-0000", lambda: "078-05-1120", lambda: "order %s" % digits(9), lambda: "9%s-%s-%s" % (digits(2), r.randint(10, 49), digits(4)),
                     lambda: "%s-%s-%s" % (digits(3), digits(3), digits(4)), lambda: "%s-%s-%s" % (digits(4), digits(2), digits(2)), lambda: "1%s-%s-%s-%s" % (digits(2), digits(2), digits(4), digits(3)), lambda: "X%s-%s-%s" % (digits(3), digits(2), digits(4)),
                     lambda: "%s.%s.%s" % (digits(3), digits(2), digits(4)), lambda: "zip %s-%s" % (digits(5), digits(4)), lambda: "%s-%s-%sA" % (r.randint(100, 600), r.randint(10, 99), digits(4)), lambda: "total 5%s units" % digits(8)])()


def ip():
    if r.random() < .6:
        return "%d.%d.%d.%d" % (r.choice([x for x in range(1, 224) if x != 127]), r.randint(0, 255), r.randint(0, 255), r.randint(1, 254))
    a = ipaddress.IPv6Address((0x2 << 124) | r.getrandbits(123) & ((1 << r.choice([124, 124, 60, 32])) - 1) | (0x20010db8 << 96))
    return r.choice([a.compressed, a.exploded, a.compressed.upper()])


def ip_neg():
    d = lambda: r.randint(0, 255)
    return r.choice([lambda: "version %d.%d.%d.%d" % (d(), d(), d(), d()), lambda: "v%d.%d.%d.%d" % (d(), d(), d(), d()), lambda: "%d.%d.%d" % (d(), d(), d()), lambda: "%d.%d.%d.%d.%d" % (d(), d(), d(), d(), d()), lambda: "%d.1.1.%d" % (r.randint(256, 999), d()),
                     lambda: "at %02d:%02d:%02d" % (r.randint(0, 23), r.randint(0, 59), r.randint(0, 59)), lambda: "127.0.0.1", lambda: "0.0.0.0", lambda: "std::vector<int>::iterator", lambda: "a::b::c", lambda: "build 10.%d.%d.%d" % (d(), d(), d()), lambda: "section 4.%d.2.1" % r.randint(1, 9),
                     lambda: "ratio 3:4:5", lambda: "chapter 1.2.3.4", lambda: "00:1a:2b:3c:4d:5e", lambda: "$1.234.567.890", lambda: "Foo::Bar.baz", lambda: "::1", lambda: "key: value: more", lambda: "%d,%d,%d,%d" % (d(), d(), d(), d())])()


def mac():
    b = [hexs(2) for _ in range(6)]
    b[0] = "0" + r.choice("02468a") if b[0] == "00" else b[0]
    v = r.choice(":-").join(b)
    return r.choice([v, v.upper()])


def mac_neg():
    return r.choice([lambda: ":".join(hexs(2) for _ in range(5)), lambda: ":".join(hexs(2) for _ in range(8)), lambda: "00:00:00:00:00:00", lambda: "ff:ff:ff:ff:ff:ff", lambda: "12:30:45", lambda: "-".join(hexs(2) for _ in range(7)), lambda: ":".join("g" + hexs(1) for _ in range(6)),
                     lambda: "%s-%s-%s" % (hexs(2), hexs(2), hexs(2)), lambda: "%s:%s-%s:%s-%s:%s" % tuple(hexs(2) for _ in range(6)), lambda: "sha1 " + ":".join(hexs(2) for _ in range(20)), lambda: "2001:db8::1", lambda: hexs(12), lambda: "01-02-2024", lambda: "fe-de-ca"])()


REGIONS = ["DE", "FR", "ES", "IT", "GB", "US", "IN", "BR", "JP", "CN", "NL", "PL", "SE", "CH", "AT", "MX", "AU", "ZA", "KR", "TR", "UA", "AR", "PT", "BE", "DK"]


def phone():
    for _ in range(1000):
        n = phonenumbers.example_number_for_type(r.choice(REGIONS), r.choice([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]))
        s = str(n.national_number)
        n = phonenumbers.PhoneNumber(country_code=n.country_code, national_number=int(s[:-4] + digits(4)))
        if not phonenumbers.is_valid_number(n):
            continue
        k = r.random()
        if n.country_code == 1 and k < .5:
            return phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.NATIONAL)
        return phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.E164 if k > .7 else phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def phone_neg():
    return r.choice([lambda: "+%d%% growth" % r.randint(1, 99), lambda: "a+%d" % r.randint(1, 9999999), lambda: "+%d points" % r.randint(1, 9999), lambda: "%s-%s-%s" % (digits(4), r.randint(10, 12), r.randint(10, 28)), lambda: "%s %s" % (digits(3), digits(3)), lambda: "+999 %s %s" % (digits(4), digits(4)),
                     lambda: "ISBN 978-%s-%s-%s-%s" % (r.randint(0, 9), digits(4), digits(4), r.randint(0, 9)), lambda: "order #%s" % digits(10), lambda: "(%s)" % digits(3), lambda: "1%s-%s-%s" % (digits(2), digits(3), digits(4)), lambda: "0%s.%s" % (digits(2), digits(3)), lambda: "id %s" % digits(11),
                     lambda: "192.168.%d.%d" % (r.randint(0, 255), r.randint(0, 255)), lambda: "%s,%s,%s" % (digits(3), digits(3), digits(3)), lambda: "2024-%02d-%02d 10:%02d" % (r.randint(1, 12), r.randint(1, 28), r.randint(10, 59)), lambda: "C++%d and +0 or -0" % r.randint(11, 23), lambda: "555-%s" % digits(4),
                     lambda: "x = +%s" % digits(3), lambda: "price 1.%s.%s" % (digits(3), digits(3)), lambda: "case 20-%s-%s" % (digits(3), digits(4))])()


PASSWORDS = ["s3cr3t", "hunter2", "Tr0ub4dor", "p%40ss!", "qwerty99", "a1b2c3", "letmein!", "Zx81-Qm"]


def urlpw():
    pw = r.choice(PASSWORDS) + chars(r.randint(0, 8))
    s = r.choice(["https", "http", "postgres", "mysql", "mongodb+srv", "redis", "amqp", "ftp"])
    return "%s://%s:%s@%s/%s" % (s, r.choice(["admin", "app", "", "svc-user"]) if s == "redis" else r.choice(["admin", "app", "svc-user"]), pw, r.choice(["db.example.com:5432", "host.example", "10.0.0.5:6379", "cache"]), chars(3)), pw


def urlpw_neg():
    return r.choice([lambda: "https://example.com:8443/%s" % chars(4), lambda: "https://user@example.com/%s" % chars(3), lambda: "postgres://user:$PASSWORD@db/%s" % chars(3), lambda: "https://user:<password>@host/", lambda: "mysql://app:${DB_PASS}@db:3306/x", lambda: "redis://localhost:6379/%d" % r.randint(0, 9),
                     lambda: "https://example.com/a:b@c", lambda: "https://example.com/?q=a:b@c", lambda: "postgres://user:password@localhost/db", lambda: "ftp://host/%s:%s" % (chars(3), chars(3)), lambda: "mongodb://user:****@host/db", lambda: "see http://[2001:db8::1]:8080/", lambda: "amqp://user:xxxx@mq:5672",
                     lambda: "https://medium.com/@%s/post" % chars(5), lambda: "mailto:user:%s@example.com" % chars(4), lambda: "https://user:{password}@host"])()


def alnum(shape):
    return "".join(r.choice(string.digits) if c == "9" else r.choice(string.ascii_uppercase) if c == "A" else c for c in shape)


def group(v, *lens, sep=" "):
    out, i = [], 0
    for n in lens:
        out.append(v[i:i + n])
        i += n
    return sep.join(out)


def date6():
    return "%02d%02d%02d" % (r.randint(50, 99), r.randint(1, 12), r.randint(1, 28))


def dmy():
    return "%02d%02d%02d" % (r.randint(1, 28), r.randint(1, 12), r.randint(50, 99))


# A national identifier is a maker and the words that stand before it, where it needs them.
NATIONAL = [
    (lambda: valid("ar.cuit", lambda: r.choice(["20", "23", "27", "30"]) + digits(9), lambda m, v: group(v, 2, 8, 1, sep="-")), ""),
    (lambda: valid("au.tfn", lambda: digits(9), lambda m, v: group(v, 3, 3, 3)), "TFN: "),
    (lambda: valid("be.nn", lambda: date6() + digits(5), lambda m, v: "%s.%s.%s-%s.%s" % (v[:2], v[2:4], v[4:6], v[6:9], v[9:])), ""),
    (lambda: valid("br.cnpj", lambda: digits(8) + "0001" + digits(2), lambda m, v: m.format(v)), ""),
    (lambda: valid("br.cpf", lambda: digits(11), lambda m, v: m.format(v)), ""),
    (lambda: valid("ca.sin", lambda: digits(9), lambda m, v: m.format(v)), "SIN "),
    (lambda: valid("ch.ssn", lambda: "756" + digits(10), lambda m, v: m.format(v)), ""),
    (lambda: valid("cl.rut", lambda: digits(8) + r.choice("0123456789K"), lambda m, v: m.format(v)), ""),
    (lambda: valid("cn.ric", lambda: "110101" + "19" + date6() + digits(3) + r.choice("0123456789X")), ""),
    (lambda: valid("cz.rc", lambda: date6() + digits(4), lambda m, v: v[:6] + "/" + v[6:]), ""),
    (lambda: valid("de.idnr", lambda: digits(11)), "Steuer-ID "),
    (lambda: valid("es.dni", lambda: alnum("99999999A")), ""),
    (lambda: valid("es.nie", lambda: r.choice("XYZ") + alnum("9999999A")), ""),
    (lambda: valid("fi.hetu", lambda: dmy() + "-" + digits(3) + r.choice("0123456789ABCDEFHJKLMNPRSTUVWXY")), ""),
    (lambda: valid("fr.nir", lambda: r.choice("12") + digits(2) + "%02d" % r.randint(1, 12) + "75" + digits(8), lambda m, v: r.choice([v, m.format(v)])), ""),
    (lambda: valid("hr.oib", lambda: digits(11)), "OIB: "),
    (lambda: valid("in_.aadhaar", lambda: digits(12), lambda m, v: m.format(v)), ""),
    (lambda: valid("it.codicefiscale", lambda: alnum("AAAAAA99") + "A" + "%02d" % r.randint(1, 28) + "H" + digits(3) + alnum("A")), ""),
    (lambda: valid("kr.rrn", lambda: date6() + r.choice("12") + digits(6), lambda m, v: v[:6] + "-" + v[6:]), ""),
    (lambda: valid("mx.curp", lambda: r.choice(["GOMC", "HEGG", "LOPM", "RAVJ"]) + date6() + r.choice("HM") + "DF" + chars(3, "BCDFGHJKLMNPQRSTVWXYZ") + digits(2)), ""),
    (lambda: valid("nl.bsn", lambda: digits(9)), "BSN "),
    (lambda: valid("no.fodselsnummer", lambda: dmy() + digits(5), lambda m, v: v[:6] + " " + v[6:]), ""),
    (lambda: valid("pl.pesel", lambda: date6() + digits(5)), "PESEL: "),
    (lambda: valid("pt.nif", lambda: r.choice("12") + digits(8)), "NIF "),
    (lambda: valid("se.personnummer", lambda: date6() + "-" + digits(4)), ""),
    (lambda: valid("tr.tckimlik", lambda: digits(11)), "T.C. Kimlik No "),
    (lambda: valid("gb.nhs", lambda: digits(10), lambda m, v: m.format(v)), "NHS number "),
    (lambda: valid("za.idnr", lambda: date6() + digits(4) + "0" + "8" + digits(1)), "ID number "),
]


def national():
    make, words = r.choice(NATIONAL)
    return make(), words


def bump(v):
    i = max(k for k, c in enumerate(v) if c.isdigit())
    return v[:i] + str((int(v[i]) + r.randint(1, 8)) % 10) + v[i + 1:]


def national_neg():
    def broken():
        for _ in range(100):
            i = r.randrange(len(NATIONAL))
            make, words = NATIONAL[i]
            v = bump(make())
            m = ["ar.cuit", "au.tfn", "be.nn", "br.cnpj", "br.cpf", "ca.sin", "ch.ssn", "cl.rut", "cn.ric", "cz.rc", "de.idnr", "es.dni", "es.nie", "fi.hetu", "fr.nir", "hr.oib", "in_.aadhaar", "it.codicefiscale", "kr.rrn", "mx.curp", "nl.bsn", "no.fodselsnummer",
                 "pl.pesel", "pt.nif", "se.personnummer", "tr.tckimlik", "gb.nhs", "za.idnr"][i]
            if not importlib.import_module("stdnum." + m).is_valid(v):
                return words + v
    return r.choice([broken, broken, broken, lambda: "order " + digits(9), lambda: "invoice " + digits(11), lambda: digits(6) + "-" + digits(2), lambda: "ticket %s-%s" % (digits(4), digits(4)), lambda: "ref " + digits(12), lambda: "A%sB" % digits(7), lambda: "epoch 17" + digits(11),
                     lambda: "%s.%s.%s" % (digits(3), digits(3), digits(3)), lambda: "sku %s" % alnum("AAAA999999AA")])()


B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def b58check(version):
    import hashlib
    raw = bytes([version]) + r.randbytes(20)
    raw += hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4]
    n, out = int.from_bytes(raw, "big"), ""
    while n:
        n, m = divmod(n, 58)
        out = B58[m] + out
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + out


def eth():
    h = hexs(40)
    d = keccak(h.encode()).hex()
    return "0x" + "".join(c.upper() if int(d[i], 16) >= 8 else c for i, c in enumerate(h))


def polymod(values):
    chk = 1
    for v in values:
        top, chk = chk >> 25, (chk & 0x1ffffff) << 5 ^ v
        for i, g in enumerate([0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]):
            chk ^= g if top >> i & 1 else 0
    return chk


def segwit():
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    data = [0] + [r.randrange(32) for _ in range(32)]
    hrp = [3, 3, 0, 2, 3]
    c = polymod(hrp + data + [0] * 6) ^ 1
    v = "bc1" + "".join(alphabet[x] for x in data + [c >> 5 * (5 - i) & 31 for i in range(6)])
    assert bitcoin.is_valid(v), v
    return v


def wallet():
    return r.choice([lambda: b58check(0), lambda: b58check(5), lambda: b58check(48), lambda: b58check(65), lambda: b58check(30), eth, eth, segwit])()


def wallet_neg():
    def flip(v):
        i = r.randrange(8, len(v) - 1)
        return v[:i] + ("2" if v[i] != "2" else "3") + v[i + 1:]
    return r.choice([lambda: flip(b58check(0)), lambda: flip(segwit()), lambda: "0x" + hexs(39), lambda: "0x" + hexs(64), lambda: hexs(40), lambda: "1" + chars(33, B58), lambda: "0x0000000000000000000000000000000000000000", lambda: "commit " + hexs(40), lambda: chars(34), lambda: "bc1q" + chars(38, string.ascii_lowercase),
                     lambda: eth().swapcase().replace("0X", "0x"), lambda: "0x" + hexs(8), lambda: base64.b64encode(r.randbytes(25)).decode(), lambda: "x" + b58check(5)])()


UP = string.ascii_uppercase + string.digits
B64 = string.ascii_letters + string.digits + "+/"
URL64 = string.ascii_letters + string.digits + "-_"


def jwt():
    e = lambda o: base64.urlsafe_b64encode(json.dumps(o, separators=(",", ":")).encode()).decode().rstrip("=")
    return e({"alg": r.choice(["HS256", "RS256"]), "typ": "JWT"}) + "." + e({"sub": digits(8), "name": chars(6)}) + "." + chars(43, URL64)


def pem():
    k = r.choice(["RSA ", "EC ", "", "OPENSSH "])
    return "-----BEGIN %sPRIVATE KEY-----\n%s\n-----END %sPRIVATE KEY-----" % (k, "\n".join(chars(64, B64) for _ in range(r.randint(3, 25))), k)


VENDOR = [
    lambda: "AKIA" + chars(16, string.ascii_uppercase + "234567"), lambda: "AIza" + chars(35, URL64), lambda: "ghp_" + chars(36), lambda: "gho_" + chars(36), lambda: "github_pat_" + chars(22) + "_" + chars(59), lambda: "glpat-" + chars(20, URL64), lambda: "sk-proj-" + chars(64, URL64) + "a",
    lambda: "sk-ant-api03-" + chars(92, URL64) + "A", lambda: "sk-" + chars(48), lambda: "hf_" + chars(34, string.ascii_letters), lambda: "gsk_" + chars(52), lambda: "xoxb-" + digits(12) + "-" + digits(12) + "-" + chars(24),
    lambda: "https://hooks.slack.com/services/T%s/B%s/%s" % (chars(9, UP), chars(9, UP), chars(24)), lambda: "sk_live_" + chars(24), lambda: "rk_test_" + chars(24), lambda: "whsec_" + chars(32), lambda: "shpat_" + hexs(32), lambda: "SG." + chars(22, URL64) + "." + chars(42, URL64) + "x",
    lambda: "key-" + hexs(32), lambda: hexs(32) + "-us%d" % r.randint(1, 21), lambda: "SK" + hexs(32), lambda: digits(10) + ":AA" + chars(32, URL64) + "z", lambda: "npm_" + chars(36), lambda: "pypi-AgEIcHlwaS5vcmc" + chars(120, URL64) + "a", lambda: "dop_v1_" + hexs(64), lambda: "hvs." + chars(90, URL64) + "a",
    lambda: "dapi" + hexs(32), lambda: "glsa_" + chars(32) + "_" + hexs(8), lambda: "NRAK-" + chars(27, UP), lambda: "lin_api_" + chars(40), lambda: "ntn_" + chars(46), lambda: "figd_" + chars(39, URL64) + "a", lambda: "PMAK-%s-%s" % (hexs(24), hexs(34)), lambda: "r8_" + chars(37), lambda: "xai-" + chars(80),
    lambda: "AccountKey=" + chars(86, B64) + "==", lambda: "GOCSPX-" + chars(27, URL64) + "b", lambda: "ATATT3" + chars(185, URL64) + "c", lambda: "rubygems_" + hexs(48), lambda: "pat" + chars(14) + "." + hexs(64), jwt, jwt, pem,
]
ASSIGN = ["password = \"%s\"", "API_KEY=%s", "api_key: '%s'", "\"client_secret\": \"%s\"", "export AUTH_TOKEN=%s", "DB_PASSWORD: %s", "secret => '%s'", "my password is: %s", "Passwort: %s", "contraseña: %s", "set token=%s", "access_key=%s", "Mot de passe : %s", "senha: %s"]


def strong():
    v = chars(r.randint(12, 40))
    return v if any(c.isdigit() for c in v) and sum(c.isdigit() for c in v) * 8 >= len(v) else strong()


def secret():
    if r.random() < .75:
        v = r.choice(VENDOR)()
        return v.replace("https://", ""), v
    v = strong()
    return v, r.choice(ASSIGN) % v


def secret_neg():
    return r.choice([lambda: "password = os.environ[\"DB_PASSWORD\"]", lambda: "api_key: ${API_KEY}", lambda: "token: <your-token>", lambda: "password: ********", lambda: "ghp_" + chars(10), lambda: "AKIA" + chars(5, UP), lambda: "sha256:" + hexs(64), lambda: "commit " + hexs(40), lambda: "the secret of success is practice",
                     lambda: "tokens: %d per minute" % r.randint(10, 99999), lambda: "password must have at least 8 characters", lambda: "Authorization: Bearer $TOKEN", lambda: "secret = get_secret(name)", lambda: "max_tokens=4096", lambda: "-----BEGIN PUBLIC KEY-----\n" + chars(64, B64) + "\n-----END PUBLIC KEY-----",
                     lambda: "the file begins with -----BEGIN PRIVATE KEY----- and then base64", lambda: "sk-learn and sk-image", lambda: "AKIAIOSFODNN7EXAMPLE", lambda: "eyJ is how a JWT begins", lambda: "uuid %s-%s-4%s-a%s-%s" % (hexs(8), hexs(4), hexs(3), hexs(3), hexs(12)), lambda: "password: forgotten, please reset",
                     lambda: "token = tokenizer.encode(text)", lambda: "credential: see the wiki page", lambda: "secretary: Mrs Miller", lambda: "sk-" + "x" * 48, lambda: "api_key=YOUR_API_KEY_HERE", lambda: "passphrase: correct horse battery", lambda: "image@sha256:" + hexs(64), lambda: "etag \"" + hexs(32) + "\"",
                     lambda: "data:image/png;base64,iVBORw0KGgo" + chars(60, B64), lambda: "secret_name: projects/demo/secrets/key", lambda: "tokens=[1, 2, 3]", lambda: "password123 is a bad idea", lambda: "npm_config_registry=https://registry.example", lambda: "hf_hub_download(repo_id)"])()


def lines(make, templates, n):
    """n lines of each part: templates are dealt out to the two parts, two to one."""
    tune, held = [], []
    for i in range(n):
        t = templates[i % len(templates)]
        (held if i % len(templates) % 3 == 2 else tune).append(make(t))
    return tune, held


def single(value, neg, neg_templates=None):
    def pos(t):
        v = value()
        want, shown = v if isinstance(v, tuple) else (v, v)
        return {"text": t.replace("{{", "{").replace("}}", "}").replace("{v}", shown), "want": [want]}

    def negative(t):
        return {"text": t.replace("{{", "{").replace("}}", "}").replace("{v}", neg()), "want": []}
    a, b = lines(pos, AROUND, PER_DETECTOR)
    c, d = lines(negative, neg_templates or AROUND, PER_DETECTOR)
    return a + c, b + d


def deal(texts, want):
    rows = [{"text": t, "want": want} for t in dict.fromkeys(texts)]
    return [x for i, x in enumerate(rows) if i % 3 != 2], [x for i, x in enumerate(rows) if i % 3 == 2]


def sentences(pos, neg, pos_wraps=("%s",)):
    """Texts are dealt out before they are varied, so that none is in both parts."""
    wraps = ("%s", "Hello! %s", "%s Thanks.", "User: %s")
    a, b = deal(pos, ["*"])
    c, d = deal(neg, [])

    def vary(rows, wraps):
        return [{"text": w % x["text"], "want": x["want"]} for x in rows for w in wraps]
    return vary(a, pos_wraps) + vary(c, wraps), vary(b, pos_wraps) + vary(d, wraps)


def swap(f):
    def g():
        shown, want = f()
        return want, shown
    return g


def named():
    v, words = national()
    return v, words + v


def write(name, parts):
    for folder, rows in zip(("tune", "heldout"), parts):
        os.makedirs(folder, exist_ok=True)
        with open("%s/%s.jsonl" % (folder, name), "w", encoding="utf-8") as f:
            for row in rows:
                f.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    import generate_phrases as p
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    write("Email", single(email, email_neg))
    write("CreditCard", single(card, card_neg))
    write("IBAN", single(iban_v, iban_neg))
    write("SSN", single(ssn, ssn_neg))
    write("IPAddress", single(ip, ip_neg))
    write("MACAddress", single(mac, mac_neg))
    write("PhoneNumber", single(phone, phone_neg))
    write("URLPassword", single(swap(urlpw), urlpw_neg))
    write("NationalID", single(named, national_neg))
    write("CryptoWallet", single(wallet, wallet_neg))
    write("Secrets", single(secret, secret_neg))
    write("PromptInjection", sentences(list(p.injections()), p.INJECTION_NEGATIVES))
    write("Jailbreak", sentences(p.JAILBREAKS, p.JAILBREAK_NEGATIVES, ("%s", "Hi. %s", "%s Understood?", "SYSTEM NOTE\n%s", "%s\n\nNow begin.")))
    clean = [" ".join(x) for x in r.sample(list(itertools.product(*p.CLEAN_PARTS)), 1000)] + p.CLEAN_OTHER
    write("clean", deal(clean, []))


main()
