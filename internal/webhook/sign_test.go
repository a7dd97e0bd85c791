package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/webhook"
)

// The example of the specification, which other implementations compute alike.
func TestSign(t *testing.T) {
	t.Parallel()
	key, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
	if err != nil {
		t.Fatal(err)
	}
	got := webhook.Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
	if again, err := webhook.ParseSecret(webhook.FormatSecret(key)); err != nil || string(again) != string(key) {
		t.Errorf("a secret that is written and read is %x, %v", again, err)
	}
	for _, secret := range []string{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!", "whsec_" + strings.Repeat("AAAA", 30)} {
		if _, err := webhook.ParseSecret(secret); err == nil || secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("ParseSecret(%q): %v, want an error that does not show it", secret, err)
		}
	}
}
