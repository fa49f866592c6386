# Verifies HS256 tokens and answers with the same headers and metadata as the service does.
package approov

secret := opa.runtime().env.BENCH_TOKEN_SECRET

token := input.attributes.request.http.headers["approov-token"]

verified := claims if {
	[valid, _, claims] := io.jwt.decode_verify(token, {"secret": secret, "alg": "HS256"})
	valid
	claims.exp
}

default answer := {
	"allowed": false,
	"http_status": 401,
	"headers": {"content-type": "application/json", "cache-control": "no-store", "www-authenticate": "Approov"},
	"body": "{}",
	"dynamic_metadata": {
		"approov_verdict": "unverified",
		"approov_action": "deny",
		"approov_reason": "invalid_token_signature",
		"approov_policy": "default",
		"approov_mode": "enforce",
	},
}

answer := {
	"allowed": true,
	"headers": {"x-approov-verdict": "verified", "x-approov-action": "allow"},
	"request_headers_to_remove": [sprintf("x-approov-%s", [name]) |
		some name in ["reason", "did", "ip", "arc", "iss", "aud", "sub"]
	],
	"dynamic_metadata": {
		"approov_verdict": "verified",
		"approov_action": "allow",
		"approov_reason": "ok",
		"approov_policy": "default",
		"approov_mode": "enforce",
		"approov_key_id": "env",
		"approov_did": verified.did,
	},
} if {
	verified
}
