package users_test

import (
	"context"
	"strings"
	"testing"

	"heartbeat/internal/users"
)

func TestRoleMayWhatLesserRolesMay(t *testing.T) {
	t.Parallel()
	order := []users.Role{users.Anyone, users.Viewer, users.Operator, users.Admin}
	for i, role := range order {
		for j, least := range order {
			if role.May(least) != (i >= j) {
				t.Errorf("%s may what asks for %s: %t", role, least, role.May(least))
			}
		}
	}
	for _, unknown := range []users.Role{"", "root", "Admin"} {
		if unknown.May(users.Anyone) || users.Admin.May(unknown) {
			t.Errorf("the unknown role %q may something, or is asked for", unknown)
		}
		if _, err := users.ParseRole(string(unknown)); err == nil {
			t.Errorf("%q is taken for a role", unknown)
		}
	}
	if _, err := users.ParseRole("anyone"); err == nil {
		t.Error("a user can be given the role of routes without sign-in")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"anna": true, "a": true, "anna.berg@example.org": true, "4711": true, "a+b_c-d": true, strings.Repeat("a", 64): true,
		"": false, "Anna": false, "-anna": false, "anna berg": false, "anna\n": false, "ännä": false, strings.Repeat("a", 65): false,
		"local": false, "token": false, "anna'; --": false,
	} {
		if err := users.CheckName(name); (err == nil) != want {
			t.Errorf("name %q: %v, want it accepted: %t", name, err, want)
		}
	}
	if got := users.CleanName(" Anna "); got != "anna" {
		t.Errorf("CleanName returned %q", got)
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]string{
		"correct horse battery": "", "twelve chars": "", "žluťoučký kůň": "",
		"":                        "0 characters",
		"eleven char":             "11 characters",
		"ééééééé":                 "7 characters", // 14 bytes
		strings.Repeat("ab", 513): "1026 bytes",
		"anna.of.ward.seven":      "user's name",
		"ANNA.of.ward.seven":      "user's name",
		"aaaaaaaaaaaaaaaa":        "over and over",
		"with a\ttab in it":       "control character",
		"two lines\nof text":      "control character",
		"not UTF-8 \xff\xff\xff":  "not UTF-8",
	} {
		err := users.CheckPassword("anna.of.ward.seven", password)
		switch {
		case want == "" && err != nil:
			t.Errorf("password %q is refused: %v", password, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("password %q: %v, want it refused for %q", password, err, want)
		case err != nil && len(password) > 8 && strings.Contains(err.Error(), password):
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

// The hashes come from the reference implementation, as in argon2's own test.c and on its command line.
func TestHashesOfTheReferenceImplementationAreVerified(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
	} {
		if same, err := users.VerifyPassword(stored, "password"); err != nil || !same {
			t.Errorf("%s: verified %t, %v", stored, same, err)
		}
		if same, err := users.VerifyPassword(stored, "passwore"); err != nil || same {
			t.Errorf("%s: another password is verified: %t, %v", stored, same, err)
		}
	}
}

func TestHashIsVerifiedAndSalted(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery"
	first, second := users.HashPassword(password), users.HashPassword(password)
	if first == second {
		t.Error("two hashes of one password are equal")
	}
	if !strings.HasPrefix(first, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %s", first)
	}
	if same, err := users.VerifyPassword(first, password); err != nil || !same {
		t.Errorf("the password is not verified: %v", err)
	}
	if same, _ := users.VerifyPassword(first, password+" "); same {
		t.Error("another password is verified")
	}
	composed, decomposed := "caf\u00e9 au lait, merci", "cafe\u0301 au lait, merci"
	if same, _ := users.VerifyPassword(users.HashPassword(composed), decomposed); !same {
		t.Error("the same characters typed on another keyboard are refused")
	}
}

func TestHashThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	const salt, key = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for _, stored := range []string{
		"", "password", "$argon2i$v=19$m=256,t=2,p=1$" + salt + "$" + key, "$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=4294967295,t=2,p=1$" + salt + "$" + key, "$argon2id$v=19$m=256,t=4000000,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=256,t=0,p=1$" + salt + "$" + key, "$argon2id$v=19$m=256,t=2,p=0$" + salt + "$" + key,
		"$argon2id$v=19$m=256,t=2,p=1,x=2$" + salt + "$" + key, "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$", "$argon2id$v=19$m=256,t=2,p=1$!$" + key,
	} {
		if same, err := users.VerifyPassword(stored, "password"); err == nil || same {
			t.Errorf("%q: verified %t, %v, want an error", stored, same, err)
		}
	}
}

func TestActorTravelsInTheContext(t *testing.T) {
	t.Parallel()
	want := users.Actor{Name: "anna", Role: users.Operator, Method: users.Password}
	if got := users.ActorOf(users.WithActor(t.Context(), want)); got != want {
		t.Errorf("the actor is %v, want %v", got, want)
	}
	if none := users.ActorOf(context.Background()); none.Role.May(users.Anyone) {
		t.Errorf("without an actor %v may something", none)
	}
}
