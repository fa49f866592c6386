"""Signs requests by RFC 9421, without any code of this project: one JSON request per line in, its signature out."""

import base64
import hmac
import json
import subprocess
import sys


def component(request, name):
    path, _, query = request["path"].partition("?")
    derived = {
        "@method": request["method"],
        "@scheme": "https",
        "@authority": request["authority"],
        "@path": path,
        "@query": "?" + query,
        "@request-target": request["path"],
        "@target-uri": "https://" + request["authority"] + request["path"],
    }
    return derived[name] if name in derived else ", ".join(value.strip(" \t") for value in request["headers"][name])


def sign_install(key_file, base):
    command = ["openssl", "dgst", "-sha256", "-sign", key_file]
    der = subprocess.run(command, input=base, capture_output=True, check=True).stdout
    s_start = 4 + der[3] + 2
    return b"".join(int.from_bytes(part, "big").to_bytes(32, "big") for part in (der[4 : 4 + der[3]], der[s_start:]))


def sign_account(secret, base):
    return hmac.digest(base64.b64decode(secret), base, "sha256")


for line in sys.stdin:
    request = json.loads(line)
    label, names = request["label"], request["components"]
    signature_input = "(" + " ".join(f'"{name}"' for name in names) + ")" + request["parameters"]
    lines = [f'"{name}": {component(request, name)}' for name in names] + [f'"@signature-params": {signature_input}']
    sign = {"install": sign_install, "account": sign_account}[label]
    signature = base64.b64encode(sign(request["key"], "\n".join(lines).encode("latin-1"))).decode()
    print(json.dumps({"signature-input": f"{label}={signature_input}", "signature": f"{label}=:{signature}:"}), flush=True)
