package xdsv1

import "testing"

func TestParseKeyIsTheInverseOfBuilding(t *testing.T) {
	f := func(key string, want Key) {
		t.Helper()
		got, err := ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("ParseKey(%q) = %+v, want %+v", key, got, want)
		}
		if got.String() != key {
			t.Errorf("ParseKey(%q).String() = %q", key, got.String())
		}
	}
	f(ListenerKey("infra", "web", "https"), Key{Kind: KindListener, Namespace: "infra", Name: "web", Section: "https"})
	f(RouteKey(RouteGRPC, "shop", "cart"), Key{Kind: KindRoute, Sub: "grpc", Namespace: "shop", Name: "cart"})
	f(BackendKey("shop", "cart", 8080), Key{Kind: KindBackend, Namespace: "shop", Name: "cart", Port: 8080})
	f(ProviderKey("ai", "openai"), Key{Kind: KindProvider, Namespace: "ai", Name: "openai"})
	f(ModelsKey("ai", "chat"), Key{Kind: KindModels, Namespace: "ai", Name: "chat"})
	f(PolicyKey("token", "ai", "teams"), Key{Kind: KindPolicy, Sub: "token", Namespace: "ai", Name: "teams"})
	f(SecretKey("infra", "tls"), Key{Kind: KindSecret, Namespace: "infra", Name: "tls"})
	f(RuntimeKey, Key{Kind: KindRuntime})
}

func TestParseKeyRefusesWhatIsNoKey(t *testing.T) {
	f := func(key, want string) {
		t.Helper()
		_, err := ParseKey(key)
		if err == nil || err.Error() != want {
			t.Errorf("ParseKey(%q): %v, want %s", key, err, want)
		}
	}
	f("", `key "": an element is empty`)
	f("route/http//x", `key "route/http//x": an element is empty`)
	f("cluster/a/b", `key "cluster/a/b": unknown kind "cluster"`)
	f("provider/a", `key "provider/a": has 2 elements, a provider key has 3`)
	f("route/ftp/a/b", `key "route/ftp/a/b": unknown kind of route "ftp"`)
	f("backend/a/b/0", `key "backend/a/b/0": "0" is not a port from 1 to 65535`)
	f("backend/a/b/080", `key "backend/a/b/080": "080" is not a port from 1 to 65535`)
	f("backend/a/b/65536", `key "backend/a/b/65536": "65536" is not a port from 1 to 65535`)
}

func TestKeyOf(t *testing.T) {
	r := &Resource{Kind: &Resource_Secret{Secret: &Secret{Key: "secret/a/b"}}}
	if got := KeyOf(r); got != "secret/a/b" {
		t.Errorf("KeyOf = %q", got)
	}
	if got := KeyOf(&Resource{}); got != "" {
		t.Errorf("KeyOf(empty) = %q", got)
	}
	if got := KeyOf(nil); got != "" {
		t.Errorf("KeyOf(nil) = %q", got)
	}
}
