package promptguard

import "bytes"

// schemes are those whose URLs carry passwords.
var schemes = []string{"http://", "https://", "ftp://", "ftps://", "sftp://", "ssh://", "git://", "postgres://", "postgresql://", "mysql://",
	"mariadb://", "mongodb://", "mongodb+srv://", "redis://", "rediss://", "amqp://", "amqps://", "mqtt://", "mqtts://", "nats://", "kafka://",
	"ldap://", "ldaps://", "smtp://", "smtps://", "imap://", "imaps://", "mssql://", "sqlserver://", "oracle://", "clickhouse://",
	"cockroachdb://", "snowflake://", "couchdb://", "neo4j://", "bolt://", "etcd://", "smb://", "socks5://", "proxy://", "vnc://", "rdp://"}

// maxAuthority is how long the part of a URL may be that names user, password and host.
const maxAuthority = 320

func urlDetector() detector {
	return detector{kind: "URLPassword", label: "PASSWORD", cue: cueLiteral, literals: schemes, whole: true, late: true, match: matchURL}
}

// matchURL judges a scheme: the password is what stands between the first colon and the last @ of the authority
// (RFC 3986, section 3.2). Only the password is the match.
func matchURL(v *view, at int) match {
	if v.before(at, isAlnum) {
		return match{}
	}
	sep := bytes.Index(v.b[at:min(len(v.b), at+16)], []byte("://"))
	if sep < 0 {
		return match{}
	}
	from, colon, last := at+sep+3, -1, -1
	i := from
	for i < len(v.b) && i-from < maxAuthority && !endsAuthority(v.b[i]) {
		if c := v.b[i]; c == ':' && colon < 0 {
			colon = i
		} else if c == '@' {
			last = i
		}
		i++
	}
	if i == len(v.b) && !v.end && i-from < maxAuthority {
		return v.undecided(at)
	}
	if colon < 0 || last < colon+2 || i == last+1 || colon-from > maxLocal || isStandIn(v.b[colon+1:last]) {
		return match{}
	}
	return found(colon+1, last)
}

func endsAuthority(c byte) bool {
	return is(c, isSpace) || c == '/' || c == '?' || c == '#' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '`' || c == '\\'
}

// standIns are what manuals write in place of a secret.
var standIns = []string{"password", "passwd", "pass", "pwd", "secret", "yourpassword", "your-password", "your_password", "mypassword", "xxx", "changeme",
	"example", "placeholder", "token", "your-token", "your_token", "redacted", "removed", "hidden", "null", "none", "undefined", "true", "false"}

// isStandIn says whether a value stands for a secret rather than being one: a variable, stars, or a word of standIns.
func isStandIn(value []byte) bool {
	if len(value) == 0 {
		return true
	}
	switch value[0] {
	case '$', '{', '<', '[', '*', '%':
		return true
	}
	for _, w := range standIns {
		if len(w) == len(value) && equalFold(value, w) {
			return true
		}
	}
	first := lower(value[0])
	for _, c := range value {
		if lower(c) != first {
			return false
		}
	}
	return true
}
