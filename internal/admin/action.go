package admin

import "strings"

// actionWords are the actions of the audit log in words that fit between who
// did it and what to.
var actionWords = map[string]string{
	"account.create": "created the account", "account.delete": "deleted the account", "account.invite": "made a password link for",
	"account.login": "signed in", "account.login_failed": "failed to sign in", "account.sign_on_ended": "ended the sign-on of", "api_key.exchange": "exchanged a token for", "api_key.exchange_refused": "was refused a key by",
	"token_rule.create": "created the token rule", "token_rule.delete": "removed the token rule", "token_rule.update": "changed the token rule", "account.update": "changed the account",
	"session.revoke": "ended a session of", "session.revoke_all": "signed out everywhere",
	"algorithm_version.import": "asked to import", "algorithm_version.import_cancel": "cancelled the import of", "algorithm_version.import_failed": "could not import",
	"mirror.create": "added the mirror", "mirror.update": "changed the mirror", "mirror.delete": "removed the mirror", "mirror.poll": "asked to poll the mirror",
	"mirror.make_webhook": "made a webhook address of the mirror", "mirror.remove_webhook": "ended the webhook address of the mirror", "registry.test": "tested the registry",
	"registry.create": "added the registry", "registry.update": "changed the registry", "registry.delete": "removed the registry",
	"algorithm_version.create": "pushed", "algorithm_version.update": "corrected the settings of", "algorithm_version.delete": "removed the version", "api_key.create": "created the API key", "api_key.revoke": "revoked the API key",
	"launch.create": "created the launch instance", "launch.update": "changed the launch instance", "launch.delete": "removed the launch instance",
	"launch.retry_dead_letters": "asked to retry dead letters of the launch instance", "launch.drop_dead_letters": "asked to drop dead letters of the launch instance",
	"satellite.create": "created the satellite", "satellite.update": "changed the satellite", "satellite.delete": "removed the satellite",
	"satellite_version.create": "made a new version of", "satellite_version.delete": "removed a version of", "satellite_key.create": "created the caller key", "satellite_key.revoke": "revoked the caller key",
	"certificate.obtain": "obtained a certificate for",
	"bundle.download":    "downloaded the bundle of", "registry.collect": "freed space of the", "registry.collect_request": "asked to free space of the",
	"notification_destination.create": "added the destination", "notification_destination.update": "changed the destination", "notification_destination.delete": "removed the destination",
	"notification_destination.test": "sent a test to", "notification_delivery.resend": "sent again the message",
	"notification_rule.create": "made the notification rule", "notification_rule.update": "changed the notification rule", "notification_rule.delete": "removed the notification rule",
	"backup.take": "took the backup", "backup.fail": "did not end the backup", "backup.restore": "restored the backup",
	"secret_key.rotate": "rotated the secret key", "signing_key.rotate": "rotated the signing key",
	"quota.set": "set the quota of", "quota.remove": "removed the quota of",
	"retention.set": "set the retention of versions of", "retention.remove": "removed the retention of versions of",
}

// inActionWords returns the words for an action. An action without any keeps its
// name, with spaces in place of its signs.
func inActionWords(action string) string {
	if words := actionWords[action]; words != "" {
		return words
	}
	return strings.NewReplacer(".", " ", "_", " ").Replace(action)
}
